"""Errors that cross from the host into the engine, with what the engine may do about them."""

from __future__ import annotations

from .secret_redaction import redact

_PASSING = ("timed out", "timeout", "connection", "retryable", "input/output error", "stale file handle")


class HostError(Exception):
    """An error of the table or of storage; ``leman_kind`` names an ``ErrorKind`` of ``src/base/result.h``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.leman_kind = kind


def translate(error: BaseException, what: str) -> HostError:
    """Say what an exception of pylance means for the engine.

    Parameters
    ----------
    error : BaseException
        What pylance raised.
    what : str
        What was being done, for the message.
    """
    if isinstance(error, HostError):
        return error
    text = redact(str(error))
    lowered = text.lower()
    kind = "internal"
    if isinstance(error, MemoryError) or "no space left" in lowered or "quota exceeded" in lowered:
        kind = "resource exhausted"
    elif (
        "commit conflict" in lowered
        or "too many concurrent writers" in lowered
        or "incompatible transaction" in lowered
    ):
        kind = "conflict"
    elif "permission denied" in lowered or "read-only file system" in lowered:
        kind = "invalid argument"
    elif any(word in lowered for word in _PASSING):
        kind = "retryable"
    elif isinstance(error, FileNotFoundError) or "not found" in lowered:
        kind = "not found"
    return HostError(kind, f"{what}: {without_source_lines(text)}")


def without_source_lines(text: str) -> str:
    """Return an error's text without where in Lance's own source it arose, for which users have no use."""
    return text.split(", /", 1)[0].strip()
