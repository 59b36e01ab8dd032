"""Finds a function named on the command line: ``module:function``, ``path.py:function`` or ``library.so:function``."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .argument_checks import closest
from .cli_module import import_place
from .unpacked_function import UnpackedUDF
from .user_function import UserFunction, UserFunctionClass, as_user_function

if TYPE_CHECKING:
    from .table import Table

_FORM = "expected module:function, path.py:function, library.so:function or builtin:function"


def load_named_function(reference: str) -> UserFunction:
    """Import a module or file and return the UDF in it.

    Parameters
    ----------
    reference : str
        ``features:n_words``, ``features.py:n_words``; for a class that takes arguments also with literals as in
        ``features.py:Embed(model="small")``; ``libfeatures.so:scale(by=3)`` is a native function with a parameter.

    Raises
    ------
    ValueError
        Where there is no such file, module or function, or the import fails; the message says which.
    TypeError
        Where what is found is not a UDF.
    """
    if reference.endswith(".so") and os.path.isfile(reference):
        from .native_function import describe_library

        names = [entry["name"] for entry in describe_library(Path(reference).resolve())]
        example = f"; write --udf {reference}:{names[0]}" if names else ""
        raise ValueError(f"--udf {reference!r}: which function of the library? It has: {', '.join(names)}{example}")
    if ".so:" in reference or reference.startswith("builtin:"):
        return _native_function(reference)
    module, place, expression = import_place("--udf", reference, _FORM)
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


def add_several(table: Table, function: UserFunction, prefix: str | None, input_columns: list[str] | None) -> list[str]:
    """Add a column of each field of a function's results; return their names.

    Raises
    ------
    ValueError
        Where the function fills one column, and so a name is missing.
    """
    if not function.fills_columns and prefix is None:
        raise ValueError(
            f"function {function.name!r} fills one column, which needs a name: add-column URI TABLE COLUMN …; for a "
            "column of each field of a struct give --prefix (it may be empty)"
        )
    unpacked = UnpackedUDF(function, prefix=prefix or "", input_columns=input_columns)
    table.add_columns(unpacked)
    return unpacked.columns()


def _split(reference: str) -> tuple[str, str]:
    """Return what is before the first colon that ends a library's name, and what is after it."""
    if reference.startswith("builtin:"):
        return "builtin", reference.removeprefix("builtin:")
    path, _, expression = reference.partition(".so:")
    return path + ".so", expression


def _native_function(reference: str) -> UserFunction:
    from .native_function import builtin_udf, native_udf

    path, expression = _split(reference)
    name, positional, keywords = _parse(reference, expression)
    if positional:
        raise TypeError(f"--udf {reference!r}: parameters of a native function have names, e.g. {name}(size=3)")
    if path == "builtin":
        return builtin_udf(name, params=keywords)
    try:
        return native_udf(path, name, params=keywords)
    except FileNotFoundError as error:
        raise ValueError(f"--udf {reference!r}: {error}") from None


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
