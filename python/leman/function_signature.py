"""Reads a user's function: its kind, its arguments and what it says about types."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from .function_types import AnnotatedType, read_annotation, resolve_annotations

SCALAR, ARRAY, RECORD_BATCH, NATIVE = "scalar", "array", "record_batch", "native"


@dataclasses.dataclass(frozen=True)
class Argument:
    """One positional argument: its name, whether it has a default, and its annotation if any."""

    name: str
    has_default: bool
    annotated: AnnotatedType | None

    def wants(self, name: str) -> bool:
        """Say whether the annotation is of a type, by its name in ``AnnotatedType``."""
        return self.annotated is not None and self.annotated.name == name

    @property
    def takes_none(self) -> bool:
        """Whether a null may be passed: not where the annotation names a type and no ``None``."""
        return self.annotated is None or self.annotated.takes_none


@dataclasses.dataclass(frozen=True)
class FunctionSignature:
    """What the call of a user's function looks like.

    Attributes
    ----------
    kind : {"scalar", "array", "record_batch", "native"}
        Called with the values of a row, with one ``pa.Array`` a column, with one ``pa.RecordBatch``, or by the engine
        out of a native library.
    arguments : tuple of Argument
        Positional arguments in order, without ``self``.
    returns : AnnotatedType or None
        What the return annotation says.
    is_async : bool
        Whether a call returns a coroutine.
    """

    kind: str
    arguments: tuple[Argument, ...]
    returns: AnnotatedType | None
    is_async: bool = False


def read_signature(name: str, function: Callable[..., Any], *, is_method: bool) -> FunctionSignature:
    """Read the signature of a function, or of a class's ``__call__`` (``is_method``).

    Raises
    ------
    TypeError
        Where Leman cannot call such a function; the message says what to change.
    """
    _refuse_generators(name, function)
    parameters = list(inspect.signature(function).parameters.values())
    if is_method:
        parameters = parameters[1:]
    annotations = resolve_annotations(function)
    arguments = []
    for parameter in parameters:
        has_default = parameter.default is not inspect.Parameter.empty
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise TypeError(
                f"function {name!r}: {stars}{parameter.name} cannot be bound to columns; name each argument"
            )
        if parameter.kind is parameter.KEYWORD_ONLY:
            if not has_default:
                raise TypeError(
                    f"function {name!r}: keyword-only argument {parameter.name!r} has no default, and columns are "
                    "passed by position; move it before the '*'"
                )
            continue
        annotated = read_annotation(annotations[parameter.name]) if parameter.name in annotations else None
        arguments.append(Argument(parameter.name, has_default, annotated))
    if not arguments:
        raise TypeError(f"function {name!r} takes no argument; it needs at least one, named like the column it reads")
    returns = read_annotation(annotations["return"]) if "return" in annotations else None
    kind = _kind(name, arguments)
    is_async = inspect.iscoroutinefunction(function)
    if is_async and kind != SCALAR:
        raise TypeError(
            f"function {name!r} is async and takes whole batches; write an async function of one row, of which many "
            "run at the same time (max_in_flight), or a plain def of a batch with asyncio.run inside"
        )
    return FunctionSignature(kind, tuple(arguments), returns, is_async)


def _refuse_generators(name: str, function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"function {name!r} is a generator; functions that make several rows of one (chunkers) are not there yet: "
            "return one value a call, or a list of values for a list column"
        )


def _kind(name: str, arguments: list[Argument]) -> str:
    names = [argument.annotated.name if argument.annotated else "" for argument in arguments]
    for argument in arguments:
        if argument.wants("frame") and argument.annotated is not None and not argument.has_default:
            raise TypeError(
                f"function {name!r}: argument {argument.name!r} is annotated {argument.annotated.text!r}, which no "
                "function is called with; take a pa.Array (x.to_pandas() makes a Series of it), or the batch of the "
                "whole row as a pa.RecordBatch (batch.to_pandas() makes a DataFrame)"
            )
    if "pa.ChunkedArray" in names:
        raise TypeError(f"function {name!r}: pa.ChunkedArray is not supported; annotate with pa.Array")
    if "pa.RecordBatch" in names:
        if any(other != "pa.RecordBatch" and not arguments[i].has_default for i, other in enumerate(names)) or (
            names.count("pa.RecordBatch") > 1
        ):
            raise TypeError(f"function {name!r}: a pa.RecordBatch function takes that one argument and no other")
        return RECORD_BATCH
    if "pa.Array" in names:
        for argument, annotation in zip(arguments, names, strict=True):
            if annotation != "pa.Array" and not argument.has_default:
                raise TypeError(
                    f"function {name!r}: argument {argument.name!r} is not annotated with pa.Array but another one is; "
                    "annotate all of them with pa.Array, or none"
                )
        return ARRAY
    return SCALAR
