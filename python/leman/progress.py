"""Shows how a job goes on: bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_INTERVAL_S = 5.0
_QUIET_S = 2.0
_NOTEBOOK_INTERVAL_S = 2.0


class ProgressSink(Protocol):
    """What a job reports to; calls may come from any one thread at a time.

    ``info`` and ``result`` are the job's first and last words; a ``snapshot`` has ``phase``, ``rows_total``,
    ``rows_computed``, ``rows_checkpointed``, ``fragments_total``, ``fragments_assembled``, ``fragments_committed``,
    ``bytes_assembled``, ``bytes_to_assemble``, ``rows_per_s``, ``workers``, ``elapsed_s`` and perhaps ``message``.
    """

    def start(self, info: Mapping[str, Any]) -> None:
        """Take the job's description: job_id, table_name, column, rows_total, fragments_total, workers."""

    def update(self, snapshot: Mapping[str, Any]) -> None:
        """Take the state of things."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Take the job's result, as ``job_runner.run_backfill`` returns it."""


def make_sink(progress: object, *, say_result: bool = True) -> ProgressSink | None:
    """Return the sink for ``progress=``.

    Parameters
    ----------
    progress : bool, ProgressSink or None
        False: nothing. True: bars on a terminal, else lines. None: the same, but lines only for jobs over 2 s.
    say_result : bool
        Whether bars and lines end with one about the result.

    Raises
    ------
    TypeError
        Where it is something else.
    """
    if progress is False:
        return None
    if progress is None or progress is True:
        if _is_terminal(sys.stderr):
            return ProgressBars(say_result)
        quiet_s = _QUIET_S if progress is None else 0.0
        if _is_notebook(sys.stderr):
            return ProgressLines(sys.stderr, quiet_s, _NOTEBOOK_INTERVAL_S, say_result, in_place=True)
        return ProgressLines(sys.stderr, quiet_s, say_result=say_result)
    if all(callable(getattr(progress, name, None)) for name in ("start", "update", "finish")):
        return progress  # type: ignore[return-value]
    raise TypeError(
        f"progress={progress!r}: expected True, False, None or an object with start, update and finish, "
        f"got {type(progress).__name__}"
    )


def close_sink(sink: ProgressSink | None) -> None:
    """Give the terminal back, also when the job ended with an error."""
    close = getattr(sink, "close", None)
    if callable(close):
        close()


class ProgressLines:
    """Plain lines, at most one every few seconds, and one at the end.

    Parameters
    ----------
    stream : text file
        Where lines go.
    quiet_s : float
        A job that takes less says nothing.
    interval_s : float
        Seconds between lines.
    say_result : bool
        Whether there is a last line.
    in_place : bool
        Whether a line takes the place of the one before, as a notebook's cell shows what follows a carriage return.
    """

    def __init__(
        self,
        stream: TextIO,
        quiet_s: float = 0.0,
        interval_s: float = _LINE_INTERVAL_S,
        say_result: bool = True,
        in_place: bool = False,
    ) -> None:
        self._stream = stream
        self._in_place = in_place
        self._shown = 0  # Characters of the line that the next one takes the place of.
        self._quiet_s = quiet_s
        self._interval_s = interval_s
        self._say_result = say_result
        self._started = self._last = time.monotonic()
        self._label = "backfill"

    def start(self, info: Mapping[str, Any]) -> None:
        """Note what is filled."""
        self._started = self._last = time.monotonic()
        self._label = _label(info)

    def update(self, snapshot: Mapping[str, Any]) -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        message = snapshot.get("message")
        if not message and (now - self._last < self._interval_s or now - self._started < self._quiet_s):
            return
        self._last = now
        self._write(describe(snapshot) + (f"; {message}" if message else ""), stays=bool(message))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the last line."""
        if self._say_result and time.monotonic() - self._started >= self._quiet_s:
            self._write(describe_result(result))

    def close(self) -> None:
        """End the line that stands."""
        if self._shown:
            self._put("\n")
            self._shown = 0

    def _write(self, text: str, stays: bool = True) -> None:
        line = f"leman {self._label}: {text}"
        begin = "\r" if self._shown else ""
        padded = line.ljust(self._shown)
        self._shown = 0 if stays or not self._in_place else len(line)
        self._put(begin + padded + ("" if self._shown else "\n"))

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A closed pipe must not end the job.
            return


class ProgressBars:
    """Bars for rows computed, rows checkpointed, bytes assembled and fragments committed, drawn by rich."""

    def __init__(self, say_result: bool = True) -> None:
        self._say_result = say_result
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last: Mapping[str, Any] = {}
        self._label = "backfill"

    def start(self, info: Mapping[str, Any]) -> None:
        """Draw empty bars."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._label = _label(info)
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        for name in ("computed", "checkpointed", "assembled", "committed"):
            self._tasks[name] = self._progress.add_task(name, total=None, figures="", note="")
        self._progress.start()
        self._progress.console.print(f"Filling [bold]{self._label}[/]", highlight=False)

    def update(self, snapshot: Mapping[str, Any]) -> None:
        """Move the bars."""
        self._last = snapshot
        if self._progress is None:
            self.start({})
        rows, fragments = snapshot.get("rows_total"), snapshot.get("fragments_total")
        note = f"{_count(snapshot.get('rows_per_s'))} rows/s · {snapshot.get('workers', 0)} workers"
        self._move("computed", snapshot.get("rows_computed"), rows, _count, note)
        self._move("checkpointed", snapshot.get("rows_checkpointed"), rows, _count)
        self._move("assembled", snapshot.get("bytes_assembled"), snapshot.get("bytes_to_assemble"), human_bytes)
        self._move("committed", snapshot.get("fragments_committed"), fragments, _fragments)
        if snapshot.get("message") and self._progress is not None:
            self._progress.console.print(str(snapshot["message"]), markup=False, highlight=False)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Leave the bars as they are and say how it went."""
        progress = self._progress
        if progress is not None:
            # The last snapshot may be older than the last commit.
            counts = {name: value for name, value in result.items() if name.startswith(("rows_", "fragments_"))}
            assembled = result.get("metrics", {}).get("bytes_assembled")
            if assembled is not None and result.get("status") == "DONE":
                # What was to be assembled was counted in checkpoints, which may be larger than what becomes of them.
                counts |= {"bytes_assembled": assembled, "bytes_to_assemble": assembled}
            self.update({**self._last, **counts, "message": None})
        self.close()
        if progress is not None and self._say_result:
            progress.console.print(f"{self._label}: {describe_result(result)}", markup=False, highlight=False)

    def close(self) -> None:
        """Stop drawing."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _move(self, name: str, done: Any, total: Any, write: Any, note: str = "") -> None:
        if self._progress is None:
            return
        figures = f"{_bare(write(done))} / {write(total)}" if total is not None else write(done)
        self._progress.update(self._tasks[name], completed=done or 0, total=total, figures=figures, note=note)


def describe(snapshot: Mapping[str, Any]) -> str:
    """Return a snapshot as one line."""
    total, computed = snapshot.get("rows_total"), snapshot.get("rows_computed") or 0
    share = f" ({100 * computed / total:.0f} %)" if total else ""
    parts = [f"{_count(computed)} of {_count(total)} rows computed{share}"]
    if snapshot.get("rows_per_s"):
        parts.append(f"{_count(snapshot['rows_per_s'])} rows/s")
    parts.append(f"{_count(snapshot.get('rows_checkpointed'))} checkpointed")
    if snapshot.get("bytes_to_assemble"):
        rate = snapshot.get("assembled_bytes_per_s")
        parts.append(
            f"{human_bytes(snapshot.get('bytes_assembled'))} of {human_bytes(snapshot['bytes_to_assemble'])} assembled"
            + (f" ({human_bytes(rate)}/s)" if rate else "")
        )
    parts.append(
        f"{snapshot.get('fragments_committed', 0)} of {snapshot.get('fragments_total', '?')} fragments committed"
    )
    if snapshot.get("workers"):
        parts.append(f"{snapshot['workers']} workers")
    return ", ".join(parts)


def describe_result(result: Mapping[str, Any]) -> str:
    """Return a result as one line."""
    skipped = f", {_count(result['rows_skipped'])} skipped" if result.get("rows_skipped") else ""
    return (
        f"{result.get('status', '?')}: {_count(result.get('rows_computed'))} rows computed{skipped}, "
        f"{_fragments(result.get('fragments_committed', 0))} committed in {float(result.get('duration_s') or 0):.1f} s "
        f"(job {result.get('job_id', '?')})"
    )


def human_bytes(value: Any) -> str:
    """Write a number of bytes with a binary unit."""
    if value is None:
        return "?"
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _count(value: Any) -> str:
    return "?" if value is None else f"{int(value):,}"


def _fragments(value: Any) -> str:
    return "1 fragment" if value == 1 else f"{_count(value)} fragments"


def _bare(figure: str) -> str:
    # "3 / 10 fragments" rather than the unit twice.
    return figure.removesuffix(" fragments").removesuffix(" fragment")


def _label(info: Mapping[str, Any]) -> str:
    table, column = info.get("table_name"), info.get("column")
    return f"{table}.{column}" if table and column else "backfill"


def _is_notebook(stream: Any) -> bool:
    return type(stream).__module__.split(".")[0] == "ipykernel"


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
