"""What a worker does about a row whose function raised: retries, skips, or gives up, as ``on_error`` says."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .errors import FunctionTimeoutError
from .lance_errors import HostError
from .on_error import Matcher, Retry, Skip, message_of
from .secret_redaction import redact

FAIL, SKIP, RETRY = 0, 1, 2

_LONGEST_PAUSE_S = 60.0
_MAX_MESSAGE = 1000
_MAX_TRACEBACK = 4000

Value = TypeVar("Value")

#: A skipped row: its position in the batch, exception type, message, traceback, and how often it was called.
SkippedRow = tuple[int, str, str, str, int]


class RowPolicy:
    """The policy of one worker thread.

    Parameters
    ----------
    matchers : sequence of Matcher
        In order; the first that matches decides. A ``Retry`` whose attempts are used up is passed over, so that a later
        ``Skip`` may still match; where nothing matches, the job fails.
    pause : callable
        Waits so many seconds; for tests.
    """

    def __init__(self, matchers: Sequence[Matcher], pause: Callable[[float], None] = time.sleep) -> None:
        self._matchers = tuple(matchers)
        self.pause = pause
        self._attempts: dict[int, int] = {}
        self._skipped: list[SkippedRow] = []

    @property
    def decides(self) -> bool:
        """Whether there is anything to decide; without matchers every failure fails the job."""
        return bool(self._matchers)

    def on_row(self, row: int, error: BaseException, trace: str = "") -> int:
        """Say what to do about ``row``: FAIL, SKIP or RETRY; a retry is answered after its pause."""
        attempt = self._attempts.get(row, 0) + 1
        self._attempts[row] = attempt
        for matcher in self._matchers:
            if not matcher.matches(error):
                continue
            if isinstance(matcher, Retry):
                if attempt < matcher.max_attempts:
                    self.pause(pause_s(matcher.backoff, attempt))
                    return RETRY
                continue
            if isinstance(matcher, Skip):
                self._skipped.append(
                    (
                        row,
                        _type_name(error),
                        redact(message_of(error))[:_MAX_MESSAGE],
                        redact(trace or _trace(error))[-_MAX_TRACEBACK:],  # The innermost frames say most.
                        attempt,
                    )
                )
                return SKIP
            return FAIL
        return FAIL

    def take_skipped(self) -> list[SkippedRow]:
        """Return the rows skipped since the last call, and forget the attempts of the batch."""
        skipped, self._skipped = self._skipped, []
        self._attempts = {}
        return skipped

    def apply_to_batch(
        self, rows: int, call: Callable[[int, int], Value], null: Callable[[int], Value], first: int = 0
    ) -> list[Value]:
        """Call a batch function on ``rows`` rows; where it fails and may be skipped, halve down to the row.

        Parameters
        ----------
        rows : int
            Rows from ``first`` on.
        call : callable
            ``call(first, rows)`` gives the result of these rows, or raises.
        null : callable
            ``null(rows)`` gives a result of so many nulls.

        Returns
        -------
        list
            Results in row order, together of all rows.
        """
        while True:
            try:
                return [call(first, rows)]
            except HostError:
                raise  # A result of the wrong length or type is a defect of the function, not of a row.
            except Exception as error:
                if rows > 1 and isinstance(error, FunctionTimeoutError):
                    # The limit is for a call: only a row that alone takes longer has failed.
                    action = SKIP
                elif rows > 1:
                    # Only a single row can be to blame; retries of the whole are worth it before it is taken apart.
                    action = self._on_part(first, error)
                else:
                    action = self.on_row(first, error)
                if action == RETRY:
                    continue
                if action == FAIL:
                    if rows == 1:
                        _name_row(error, first)
                    raise
                if rows == 1:
                    return [null(1)]
            half = rows // 2
            return self.apply_to_batch(half, call, null, first) + self.apply_to_batch(
                rows - half, call, null, first + half
            )

    def _on_part(self, first: int, error: BaseException) -> int:
        action = self.on_row(first, error)
        if action == SKIP:
            self._skipped.pop()  # Not this row yet: the part is halved first.
        if action != RETRY:
            self._attempts.pop(first, None)
        return action


def _name_row(error: BaseException, row: int) -> None:
    with contextlib.suppress(AttributeError):  # An exception class with slots.
        error.leman_row = row  # type: ignore[attr-defined]


def pause_s(backoff: str, attempt: int) -> float:
    """Return the seconds to wait after the ``attempt``-th call: the documented schedules, at most 60."""
    import random

    if backoff == "fixed":
        return 1.0
    if backoff == "linear":
        return min(float(attempt), _LONGEST_PAUSE_S)
    # With jitter, so that workers that met the same overload do not come back at once.
    return min(2.0 ** (attempt - 1), _LONGEST_PAUSE_S) * random.uniform(0.75, 1.0)


def decide_lost_row(matchers: Sequence[Matcher], error_type: str, message: str, attempts: int) -> int:
    """Say what to do about a row on which workers end: FAIL, SKIP or RETRY; asked by the driver.

    Parameters
    ----------
    matchers : sequence of Matcher
        Of the function.
    error_type : str
        A class of :mod:`leman.errors`, as an instance of which the row meets the matchers.
    message : str
        How the last worker ended.
    attempts : int
        How often the row was tried.
    """
    from . import errors

    error = getattr(errors, error_type, errors.WorkerCrashError)(message)
    for matcher in matchers:
        if not matcher.matches(error) or (isinstance(matcher, Retry) and attempts >= matcher.max_attempts):
            continue
        return RETRY if isinstance(matcher, Retry) else SKIP if isinstance(matcher, Skip) else FAIL
    return FAIL


def skip_limits(matchers: Sequence[Matcher]) -> tuple[int | None, float | None]:
    """Return the strictest ``max_skip_count`` and ``max_skip_fraction`` of all ``Skip`` matchers."""
    skips = [matcher for matcher in matchers if isinstance(matcher, Skip)]
    counts = [skip.max_skip_count for skip in skips if skip.max_skip_count is not None]
    fractions = [skip.max_skip_fraction for skip in skips if skip.max_skip_fraction is not None]
    return min(counts, default=None), min(fractions, default=None)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _trace(error: BaseException) -> str:
    frames: list[Any] = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.endswith(("leman/batch_call.py", "leman/async_call.py", "leman/row_policy.py"))
    ]
    return "".join(traceback.format_list(frames))
