"""Kubernetes quantities: memory such as ``8Gi``, CPUs such as ``500m``.

The notation is that of https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/; of its
suffixes only those that make sense for memory and CPUs are taken, so that a slip such as ``8m`` is an error.
"""

from __future__ import annotations

import re
from decimal import Decimal

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_LEAST_MEMORY_BYTES = 128 * 2**20  # A Ray node does not start in less; a smaller number is bytes taken for GiB.


def memory_bytes(argument: str, value: object) -> int:
    """Return an amount of memory in bytes.

    Parameters
    ----------
    argument : str
        The argument's name, for messages.
    value : str or int
        ``"8Gi"``, ``"120G"`` or a number of bytes.

    Raises
    ------
    TypeError, ValueError
        Where it is neither, or less than 128 MiB.
    """
    expected = "expected a size such as '8Gi' or '512Mi', or a number of bytes"
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    if isinstance(value, int):
        size_bytes = value
    else:
        match = _MEMORY.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{argument}={value!r}: {expected}")
        factor = {"": 1, **_BINARY, **_DECIMAL}.get(match.group(2))
        if factor is None:
            raise ValueError(f"{argument}={value!r}: {expected}.{_meant(match.group(1), match.group(2))}")
        size_bytes = int(Decimal(match.group(1)) * factor)
    if size_bytes < _LEAST_MEMORY_BYTES:
        raise ValueError(
            f"{argument}={value!r}: that is {size_bytes} bytes; expected at least 128Mi, with less Ray does not start"
        )
    return size_bytes


def _meant(number: str, suffix: str) -> str:
    by_letter = {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}
    known = by_letter.get(suffix[:1].lower())
    return f" Did you mean '{number}{known}'?" if known else ""


def memory_text(size_bytes: int) -> str:
    """Return bytes in the shortest exact notation."""
    exact = [
        f"{size_bytes // factor}{suffix}"
        for suffix, factor in {**_BINARY, **_DECIMAL, "": 1}.items()
        if size_bytes % factor == 0
    ]
    return min(exact, key=len)


def gibibytes(size_bytes: int) -> str:
    """Return bytes as GiB for a message."""
    return f"{size_bytes / 2**30:.4g} GiB"


def cpu_millis(argument: str, value: object) -> int:
    """Return a number of CPUs in thousandths.

    Parameters
    ----------
    argument : str
        The argument's name, for messages.
    value : int, float or str
        ``4``, ``0.5``, ``"4"`` or ``"500m"``.

    Raises
    ------
    TypeError, ValueError
        Where it is none of them, not above 0, or finer than a thousandth.
    """
    expected = "expected a number of CPUs above 0, such as 4, 0.5 or '500m'"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", str(value).strip())
    if match is None:
        raise ValueError(f"{argument}={value!r}: {expected}")
    millis = Decimal(match.group(1)) * (1 if match.group(2) else 1000)
    if millis <= 0:
        raise ValueError(f"{argument}={value!r}: {expected}")
    if millis != int(millis):
        raise ValueError(f"{argument}={value!r}: {expected}, in steps of 0.001")
    return int(millis)


def cpu_text(millis: int) -> str:
    """Return thousandths of a CPU as Kubernetes writes them."""
    return f"{millis}m" if millis % 1000 else str(millis // 1000)
