"""Finds a function named on the command line: ``module:function`` or ``path.py:function``."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .argument_checks import closest
from .user_function import UserFunction, UserFunctionClass, as_user_function

_FORM = "expected module:function or path.py:function"


def load_named_function(reference: str) -> UserFunction:
    """Import a module or file and return the UDF in it.

    Parameters
    ----------
    reference : str
        ``features:n_words``, ``features.py:n_words``; for a class that takes arguments also with literals as in
        ``features.py:Embed(model="small")``.

    Raises
    ------
    ValueError
        Where there is no such file, module or function, or the import fails; the message says which.
    TypeError
        Where what is found is not a UDF.
    """
    place, colon, expression = reference.partition(":")
    # A Windows drive is no module.
    if len(place) == 1 and colon and ":" in expression:
        drive, (place, _, expression) = place, expression.partition(":")
        place = f"{drive}:{place}"
    if not place or not expression:
        raise ValueError(f"--udf {reference!r}: {_FORM}")
    module = _import_file(reference, Path(place)) if place.endswith(".py") else _import_module(reference, place)
    name, positional, keywords = _parse(reference, expression)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            functions = [
                key for key, entry in vars(module).items() if isinstance(entry, (UserFunction, UserFunctionClass))
            ]
            has = (
                f" UDFs there: {', '.join(functions)}" if functions else " It has no UDF; decorate one with @leman.udf"
            )
            raise ValueError(f"--udf {reference!r}: {place} has no {part!r}.{closest(part, functions)}{has}")
        value = getattr(value, part)
    if positional or keywords:
        if not isinstance(value, UserFunctionClass):
            raise TypeError(f"--udf {reference!r}: {name} is not a UDF class, so it takes no constructor arguments")
        return value(*positional, **keywords)
    return as_user_function("--udf", value)


def _import_file(reference: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"--udf {reference!r}: there is no file {str(path)!r}; {_FORM}")
    # As python itself does for a script, so that the file's neighbours can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"{name}_from_file"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_failed(reference, error) from error
    return module


def _import_module(reference: str, name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise _import_failed(reference, error) from error
        file = Path(name + ".py")
        hint = f" Did you mean {file}:…?" if file.is_file() else ""
        raise ValueError(f"--udf {reference!r}: there is no module {name!r}.{hint} {_FORM}") from None
    except Exception as error:
        raise _import_failed(reference, error) from error


def _import_failed(reference: str, error: Exception) -> ValueError:
    return ValueError(f"--udf {reference!r}: importing it failed: {type(error).__name__}: {error}")


def _parse(reference: str, expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    if "(" not in expression:
        return expression, [], {}
    advice = f"--udf {reference!r}: expected constructor arguments that are literals, e.g. Embed(model='small')"
    try:
        call = ast.parse(expression, mode="eval").body
        if not isinstance(call, ast.Call) or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError(advice)
        positional = [ast.literal_eval(entry) for entry in call.args]
        keywords = {str(entry.arg): ast.literal_eval(entry.value) for entry in call.keywords}
    except (SyntaxError, ValueError):
        raise ValueError(advice) from None
    return ast.unparse(call.func), positional, keywords
