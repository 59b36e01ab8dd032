"""Calls ``async def`` functions: many rows of a batch at the same time, on one event loop a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from .errors import FunctionTimeoutError
from .row_policy import RETRY, SKIP, RowPolicy, SkippedRow

Made = TypeVar("Made")

# Rows whose arguments are made at once: few, since they wait as Python objects.
_ARGUMENT_ROWS = 256


def make_on_loop(loop: asyncio.AbstractEventLoop, make: Callable[[], Made]) -> Made:
    """Return what ``make`` makes, called on the loop: clients that look for a running one find it (aiohttp's do)."""

    async def made() -> Made:
        return make()

    try:
        return loop.run_until_complete(made())
    except RuntimeError as error:
        if "running event loop" not in str(error):
            raise
        return make()  # It runs a loop of its own.


class AsyncFunction:
    """An ``async def`` function of one worker thread, with its event loop.

    ``run`` computes a batch; the engine then takes the values one by one, in row order, by calling this object, and
    may ask for the last one ``again``.

    Parameters
    ----------
    name : str
        For messages.
    function : callable
        Returns a coroutine.
    policy : RowPolicy
        What to do where it raises; its pauses are waited out by the row alone.
    max_in_flight : int
        Rows that are computed at the same time.
    skip_null : sequence of bool
        For each argument, whether a row where it is null is left null without a call.
    ndarrays : sequence of bool
        For each argument, whether a list value is given as an array.
    timeout_s : float, optional
        Seconds that a row may take; then it fails with a ``FunctionTimeoutError``.
    loop : asyncio.AbstractEventLoop, optional
        On which the function was made; by default a new one.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        policy: RowPolicy,
        max_in_flight: int,
        skip_null: Sequence[bool],
        ndarrays: Sequence[bool],
        timeout_s: float | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.__name__ = name
        self.failed_row = -1
        self.null_inputs = 0
        self._function = function
        self._policy = policy
        policy.pause = self._note_pause
        self._max_in_flight = max_in_flight
        self._timeout_s = timeout_s
        self._skip_null = tuple(skip_null)
        self._ndarrays = tuple(ndarrays)
        self._pause_s = 0.0
        self._loop = loop
        self._is_set_up = False
        self._batch: pa.RecordBatch | None = None
        self._rows: list[int] = []
        self._values: list[Any] = []
        self._next = 0
        self._stopping = False

    def run(self, batch: pa.RecordBatch, selected: bytes | None) -> None:
        """Compute the rows of ``batch`` for which ``selected`` (a byte a row, None: all) is not 0.

        Raises
        ------
        Exception
            The function's own, where a row failed and the policy does not say otherwise; ``failed_row`` is its row.
        """
        self._batch, self._next, self.failed_row, self.null_inputs = batch, 0, -1, 0
        self._stopping = False
        self._rows = list(range(batch.num_rows)) if selected is None else np.flatnonzero(_mask(selected)).tolist()
        self._values = [None] * len(self._rows)
        self._run_until_complete(self._run_rows())

    def __call__(self) -> Any:
        """Return the next row's value."""
        value, self._values[self._next] = self._values[self._next], None
        self._next += 1
        return value

    def again(self) -> None:
        """Compute the row taken last again, after the pause that the policy asked for."""
        self._next -= 1
        position = self._next
        assert self._batch is not None
        row = self._rows[position]
        arguments = next(self._arguments([row]))
        pause_s = self._pause_s

        async def once_more() -> None:
            await asyncio.sleep(pause_s)
            self._values[position] = await self._call(row, arguments)

        self._run_until_complete(once_more())

    def take_skipped(self) -> list[SkippedRow]:
        """Return the rows skipped since the last call, in row order."""
        self._batch = None
        return sorted(self._policy.take_skipped())

    def on_row(self, row: int, error: BaseException, trace: str = "") -> int:
        """Say what to do about a row whose value does not fit; see :meth:`RowPolicy.on_row`."""
        return self._policy.on_row(row, error, trace)

    def _run_until_complete(self, coroutine: Any) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        if not self._is_set_up:
            self._is_set_up = True
            setup = getattr(self._function, "setup", None)
            if inspect.iscoroutinefunction(setup):
                self._loop.run_until_complete(setup())
        self._loop.run_until_complete(coroutine)

    async def _run_rows(self) -> None:
        queue = enumerate(zip(self._rows, self._arguments(self._rows), strict=True))
        lanes = {asyncio.ensure_future(self._lane(queue)) for _ in range(min(self._max_in_flight, len(self._rows)))}
        if not lanes:
            return
        try:
            done, _ = await asyncio.wait(lanes, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # Nothing of a failed batch goes on behind the back of the next one.
            self._stopping = True
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        for lane in done:
            lane.result()

    async def _lane(self, queue: Iterator[tuple[int, tuple[int, tuple[Any, ...]]]]) -> None:
        for position, (row, arguments) in queue:
            if any(skip and value is None for skip, value in zip(self._skip_null, arguments, strict=True)):
                self.null_inputs += 1
            else:
                self._values[position] = await self._call(row, arguments)

    async def _call(self, row: int, arguments: tuple[Any, ...]) -> Any:
        while True:
            try:
                return await self._within_limit(arguments)
            except Exception as error:
                action = self._policy.on_row(row, error)
                if action == SKIP:
                    return None
                if action != RETRY:
                    if self.failed_row < 0:
                        self.failed_row = row
                    raise
                pause_s = self._pause_s
            except BaseException as error:
                # Of the function's own making, but not an end that came from outside: a lane that is told to stop.
                if self.failed_row < 0 and not (isinstance(error, asyncio.CancelledError) and self._stopping):
                    self.failed_row = row
                raise
            await asyncio.sleep(pause_s)

    async def _within_limit(self, arguments: tuple[Any, ...]) -> Any:
        if self._timeout_s is None:
            return await self._function(*arguments)
        task = asyncio.ensure_future(self._function(*arguments))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            return task.result()
        task.cancel()
        raise FunctionTimeoutError(f"the call took longer than its timeout of {self._timeout_s:g} s")

    def _note_pause(self, seconds: float) -> None:
        # The policy waits between attempts; here only the row waits, not the thread.
        self._pause_s = seconds

    def _arguments(self, rows: list[int]) -> Iterator[tuple[Any, ...]]:
        assert self._batch is not None
        for first in range(0, len(rows), _ARGUMENT_ROWS):
            part = rows[first : first + _ARGUMENT_ROWS]
            whole = part[-1] - part[0] + 1 == len(part)
            taken = self._batch.slice(part[0], len(part)) if whole else self._batch.take(pa.array(part))
            columns = [
                _arrays(column) if as_array else column.to_pylist()
                for column, as_array in zip(taken.columns, self._ndarrays, strict=True)
            ]
            yield from zip(*columns, strict=True)


def _mask(selected: bytes) -> Any:
    return np.frombuffer(selected, dtype=np.uint8)


def _arrays(column: pa.Array) -> list[Any]:
    return [value.values.to_numpy(zero_copy_only=False) if value.is_valid else None for value in column]
