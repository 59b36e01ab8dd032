"""What a function takes along when it is sent to workers: what cannot be, and what makes it large."""

from __future__ import annotations

import functools
import inspect
import types
import warnings
from collections.abc import Iterator
from typing import Any

from .progress import human_bytes

_LARGE_BYTES = 32 << 20
ConstructorArguments = tuple[tuple[Any, ...], dict[str, Any]] | None


def what_cannot_be_pickled(target: Any, arguments: ConstructorArguments) -> str:
    """Name the first thing that a function refers to and that cannot be pickled; empty where none is found.

    Parameters
    ----------
    target : function, partial or class
        What the user wrote.
    arguments : (tuple, dict) or None
        Of the class's constructor.
    """
    for what, value in _references(target, arguments):
        try:
            _pickled_bytes(value)
        except Exception:
            return f"{what} ({type(value).__name__}): "
    return ""


def warn_if_large(name: str, size_bytes: int, target: Any, arguments: ConstructorArguments) -> None:
    """Warn of a function with much data in it, and name what is large.

    Parameters
    ----------
    name : str
        For people.
    size_bytes : int
        Of the pickled function.
    target, arguments
        As of :func:`what_cannot_be_pickled`.
    """
    if size_bytes < _LARGE_BYTES:
        return
    largest, culprit = 0, ""
    for what, value in _references(target, arguments):
        size = _pickled_bytes(value)
        if size > largest:
            largest, culprit = size, f": {what} ({type(value).__name__}, {human_bytes(size)})"
    warnings.warn(
        f"function {name!r} takes {human_bytes(size_bytes)} along{culprit}. It is stored beside the table, and loaded "
        "by each worker; make the function a class that reads such data from a file in setup()",
        stacklevel=2,
    )


def _pickled_bytes(value: Any) -> int:
    import cloudpickle

    return len(cloudpickle.dumps(value))


def _references(target: Any, arguments: ConstructorArguments) -> Iterator[tuple[str, Any]]:
    """Yield what a function refers to beyond its code, each with words that say how."""
    if isinstance(target, functools.partial):
        bound = {**{str(i): value for i, value in enumerate(target.args)}, **target.keywords}
        yield from ((f"its argument {name!r}", value) for name, value in bound.items())
        target = target.func
    if isinstance(target, type):
        yield from ((f"its argument {name!r}", value) for name, value in _named_arguments(target, arguments))
    seen: set[str] = set()
    for function in _functions_of(target):
        found = inspect.getclosurevars(function)
        for name, value in {**found.globals, **found.nonlocals}.items():
            if name not in seen and not isinstance(value, types.ModuleType):
                seen.add(name)
                yield f"it uses {name!r}", value
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            yield f"a default of {function.__name__}()", value


def _named_arguments(cls: type, arguments: ConstructorArguments) -> Iterator[tuple[str, Any]]:
    positional, keywords = arguments or ((), {})
    try:
        bound = inspect.signature(cls).bind(*positional, **keywords).arguments
    except (TypeError, ValueError):
        bound = {**{str(i): value for i, value in enumerate(positional)}, **keywords}
    yield from bound.items()


def _functions_of(target: Any) -> Iterator[types.FunctionType]:
    if isinstance(target, types.FunctionType):
        yield target
    elif isinstance(target, type):
        for member in vars(target).values():
            function = getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                yield function
