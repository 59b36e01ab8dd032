"""Checks of single arguments; every message names the argument, the value and what was expected."""

from __future__ import annotations

import datetime
import difflib
import math
import operator
import re
from collections.abc import Iterable, Mapping

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TABLE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}")
# What the engine and Lance count in.
_LARGEST = 2**63 - 1
_SHOWN_LETTERS = 200


def shown(value: object) -> str:
    """Return a value as an error message shows it: what it is, not all of it."""
    text = repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"


def closest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name nearest to ``name``, or an empty string."""
    # A person's slip is often one of case, which difflib counts as a difference.
    by_lower = {entry.lower(): entry for entry in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean {by_lower[found[0]]!r}?" if found else ""


def reject_unknown(function: str, unknown: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise the ``TypeError`` of an unknown keyword argument, with the nearest known one."""
    for name in unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{closest(name, known)}")


def integer(argument: str, value: object, *, minimum: int) -> int:
    """Return ``value`` as an ``int`` of at least ``minimum``; bools and floats are no integers here."""
    expected = f"expected an integer >= {minimum}"
    if isinstance(value, bool):
        raise TypeError(f"{argument}={shown(value)}: {expected}, got a bool")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}={shown(value)}: {expected}, got {type(value).__name__}") from None
    if number < minimum:
        raise ValueError(f"{argument}={number}: {expected}")
    if number > _LARGEST:
        raise ValueError(f"{argument}={shown(number)}: expected an integer from {minimum} to {_LARGEST}")
    return number


def optional_integer(argument: str, value: object, *, minimum: int) -> int | None:
    """Like :func:`integer`, with ``None`` for "not given"."""
    return None if value is None else integer(argument, value, minimum=minimum)


def number(argument: str, value: object, *, above: float | None = None, minimum: float | None = None) -> float:
    """Return ``value`` as a finite ``float`` above or at least a bound."""
    bound = f"> {above:g}" if above is not None else f">= {minimum:g}" if minimum is not None else "finite"
    expected = f"expected a number {bound}"
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(f"{argument}={shown(value)}: {expected}, got {type(value).__name__}")
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{argument}={shown(value)}: {expected}, got {type(value).__name__}") from None
    if (
        not math.isfinite(result)
        or (above is not None and result <= above)
        or (minimum is not None and result < minimum)
    ):
        raise ValueError(f"{argument}={shown(value)}: {expected}")
    return result


def optional_number(
    argument: str, value: object, *, above: float | None = None, minimum: float | None = None
) -> float | None:
    """Like :func:`number`, with ``None`` for "not given"."""
    return None if value is None else number(argument, value, above=above, minimum=minimum)


def optional_seconds(argument: str, value: object) -> float | None:
    """Return a positive duration in seconds from a number or a ``timedelta``."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    return optional_number(argument, value, above=0.0)


def text(argument: str, value: object) -> str:
    """Return ``value`` if it is a ``str`` with something in it."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}={shown(value)}: expected a str, got {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{argument}={shown(value)}: expected a str that is not empty")
    return value


def table_version(argument: str, value: object) -> int | str:
    """Return a version number of at least 1, or a tag."""
    return text(argument, value) if isinstance(value, str) else integer(argument, value, minimum=1)


def column_paths(argument: str, value: object) -> tuple[str, ...]:
    """Return a list of column paths as a tuple."""
    expected = "expected a list of column names"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        hint = f", e.g. [{shown(value)}]" if isinstance(value, str) else ""
        raise TypeError(f"{argument}={shown(value)}: {expected}{hint}, got {type(value).__name__}")
    paths = tuple(value)
    for path in paths:
        if not isinstance(path, str) or not path:
            raise TypeError(f"{argument}={shown(list(paths))}: {expected}, but {path!r} is not a column name")
    if not paths:
        raise ValueError(f"{argument}=[]: {expected} with at least one name in it")
    return paths


def label_selector(argument: str, value: object) -> dict[str, str]:
    """Return a selector of nodes by label, as Ray takes it: ``{"zone": "a", "gpu": "in(A100,H100)"}``."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}={shown(value)}: expected a dict of label to value, got {type(value).__name__}")
    for label, wanted in value.items():
        if not isinstance(label, str) or not isinstance(wanted, str) or not label or not wanted:
            raise TypeError(
                f"{argument}: expected str labels and values such as 'a', '!a', 'in(a,b)' or '!in(a,b)', got "
                f"{label!r}: {wanted!r}"
            )
    return dict(value)


def custom_resources(argument: str, value: object) -> dict[str, float]:
    """Return amounts of a cluster's custom resources by name."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}={shown(value)}: expected a dict of name to amount, got {type(value).__name__}")
    own = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
    amounts = {}
    for name, amount in value.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}: expected names of resources, got {name!r}")
        if name.lower() in own:
            raise ValueError(f"{argument} has {name!r}: say {own[name.lower()]}= instead")
        amounts[name] = number(f"{argument}[{name!r}]", amount, above=0.0)
    return amounts


def identifier(argument: str, value: object) -> str:
    """Return a job id; letters, digits, ``-`` and ``_`` only, since it names files."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}={shown(value)}: expected a str, got {type(value).__name__}")
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{argument}={shown(value)}: expected 1 to 128 letters, digits, '-' or '_'")
    return value


def table_name(value: object, argument: str = "name") -> str:
    """Return a table name that stays inside its database folder."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}={shown(value)}: expected a table name (str), got {type(value).__name__}")
    if not _TABLE_NAME.fullmatch(value):
        raise ValueError(
            f"{argument}={shown(value)}: expected a table name of letters, digits, '_', '-' and '.', "
            "not beginning with '.'"
        )
    return value
