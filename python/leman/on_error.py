"""What to do when a user's function raises: an ordered list of matchers, first match wins."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from . import argument_checks as check

BACKOFFS = ("exponential", "fixed", "linear")


def _checked_exceptions(owner: str, exceptions: tuple[object, ...]) -> tuple[type[BaseException], ...]:
    for entry in exceptions:
        if not (isinstance(entry, type) and issubclass(entry, BaseException)):
            raise TypeError(f"{owner}({entry!r}): expected exception classes, e.g. {owner}(ValueError, TimeoutError)")
    # No class given means any error, but never KeyboardInterrupt or SystemExit.
    return tuple(exceptions) or (Exception,)  # type: ignore[arg-type]


def _check_match(match: object) -> None:
    if match is None:
        return
    if not isinstance(match, str):
        raise TypeError(f"match={match!r}: expected a regular expression as a str, got {type(match).__name__}")
    try:
        re.compile(match)
    except re.error as error:
        raise ValueError(
            f"match={match!r}: expected a valid regular expression, but {error}; re.escape() makes one from plain text"
        ) from None


def message_of(error: BaseException) -> str:
    """Return ``str(error)``; where that raises, a text that says so."""
    try:
        return str(error)
    except Exception:
        return "<str() of the exception failed>"


@dataclasses.dataclass(frozen=True, init=False)
class Matcher:
    """An error that the function may raise: its classes and a pattern searched in its message.

    Attributes
    ----------
    exceptions : tuple of exception classes
        Any of them (or a subclass) matches.
    match : str or None
        Regular expression searched in ``str(error)``.
    """

    exceptions: tuple[type[BaseException], ...]
    match: str | None

    def __init__(self, *exceptions: type[BaseException], match: str | None = None) -> None:
        object.__setattr__(self, "exceptions", _checked_exceptions(type(self).__name__, exceptions))
        _check_match(match)
        object.__setattr__(self, "match", match)

    def matches(self, error: BaseException) -> bool:
        """Say whether this matcher is meant for ``error``."""
        return isinstance(error, self.exceptions) and (
            self.match is None or re.search(self.match, message_of(error)) is not None
        )


@dataclasses.dataclass(frozen=True, init=False)
class Retry(Matcher):
    """Call again after a pause; when the attempts are used up, the job fails.

    Parameters
    ----------
    *exceptions : exception classes
        What to retry; none given: any ``Exception``.
    match : str, optional
        Regular expression searched in the message.
    max_attempts : int
        Calls in all, the first one included.
    backoff : {"exponential", "fixed", "linear"}
        Pauses of 1, 2, 4, 8 … s; 1, 1, 1 … s; 1, 2, 3 … s; at most 60 s.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as above.
    """

    max_attempts: int
    backoff: str

    def __init__(
        self,
        *exceptions: type[BaseException],
        match: str | None = None,
        max_attempts: int = 3,
        backoff: str = "exponential",
    ) -> None:
        super().__init__(*exceptions, match=match)
        object.__setattr__(self, "max_attempts", check.integer("max_attempts", max_attempts, minimum=1))
        if backoff not in BACKOFFS:
            raise ValueError(f"backoff={backoff!r}: expected one of {', '.join(map(repr, BACKOFFS))}")
        object.__setattr__(self, "backoff", backoff)


@dataclasses.dataclass(frozen=True, init=False)
class Skip(Matcher):
    """Leave the row null, record its error and go on.

    Parameters
    ----------
    *exceptions : exception classes
        What to skip; none given: any ``Exception``.
    match : str, optional
        Regular expression searched in the message.
    max_skip_count : int, optional
        More skipped rows than this fail the job.
    max_skip_fraction : float, optional
        A greater fraction of the rows computed than this fails the job; 0 to 1.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as above.
    """

    max_skip_count: int | None
    max_skip_fraction: float | None

    def __init__(
        self,
        *exceptions: type[BaseException],
        match: str | None = None,
        max_skip_count: int | None = None,
        max_skip_fraction: float | None = None,
    ) -> None:
        super().__init__(*exceptions, match=match)
        count = check.optional_integer("max_skip_count", max_skip_count, minimum=0)
        fraction = check.optional_number("max_skip_fraction", max_skip_fraction, minimum=0.0)
        if fraction is not None and fraction > 1.0:
            raise ValueError(f"max_skip_fraction={max_skip_fraction!r}: expected a fraction between 0 and 1")
        object.__setattr__(self, "max_skip_count", count)
        object.__setattr__(self, "max_skip_fraction", fraction)


@dataclasses.dataclass(frozen=True, init=False)
class Fail(Matcher):
    """Fail the job at once: what happens without any matcher, for exceptions to a later, wider one."""

    def __init__(self, *exceptions: type[BaseException], match: str | None = None) -> None:
        super().__init__(*exceptions, match=match)


def retry_transient(*, max_attempts: int = 3, backoff: str = "exponential") -> tuple[Matcher, ...]:
    """Retry ``ConnectionError``, ``TimeoutError`` and ``OSError``; arguments as of :class:`Retry`."""
    return (Retry(ConnectionError, TimeoutError, OSError, max_attempts=max_attempts, backoff=backoff),)


def retry_all(*, max_attempts: int = 3, backoff: str = "exponential") -> tuple[Matcher, ...]:
    """Retry any ``Exception``; arguments as of :class:`Retry`."""
    return (Retry(Exception, max_attempts=max_attempts, backoff=backoff),)


def skip_on_error(*, max_skip_count: int | None = None, max_skip_fraction: float | None = None) -> tuple[Matcher, ...]:
    """Skip the row on any ``Exception``; arguments as of :class:`Skip`."""
    return (Skip(Exception, max_skip_count=max_skip_count, max_skip_fraction=max_skip_fraction),)


def fail_fast() -> tuple[Matcher, ...]:
    """Fail the job on any ``Exception``: the default, spelled out."""
    return (Fail(Exception),)


def checked_matchers(value: object) -> tuple[Matcher, ...]:
    """Return ``on_error=`` as a tuple of matchers.

    Raises
    ------
    TypeError
        Where ``value`` is neither a matcher nor a list of matchers.
    """
    if value is None:
        return ()
    expected = (
        "expected Retry(...), Skip(...) or Fail(...), a list of them, or one of the factories such as retry_all()"
    )
    if isinstance(value, Matcher):
        return (value,)
    if isinstance(value, (type, str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"on_error={value!r}: {expected}")
    matchers: list[Matcher] = []
    for entry in value:
        # A factory's tuple may stand among matchers: [Fail(KeyError), retry_all()].
        if isinstance(entry, tuple) and all(isinstance(inner, Matcher) for inner in entry):
            matchers.extend(entry)
        elif isinstance(entry, Matcher):
            matchers.append(entry)
        else:
            raise TypeError(f"on_error: {entry!r} in the list is not a matcher; {expected}")
    return tuple(matchers)
