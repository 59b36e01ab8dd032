"""Finds a function named on the command line: ``module:function`` or ``path.py:function``."""

from __future__ import annotations

import ast
from typing import Any

from .argument_checks import closest
from .cli_module import import_place
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
