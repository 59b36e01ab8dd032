"""Figure 4: the driver is killed with -9 at half of the rows, and the same command is run again."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import measure
import workloads

# "<fragment>-<16 hex digits>-<start row>-<end row>.lance": docs/formats/identity.md.
_CHECKPOINT = re.compile(r"(\d+)-[0-9a-f]{16}-(\d+)-(\d+)(?:-[0-9a-f]{8})?\.lance")


@dataclasses.dataclass
class Resume:
    """What happened around one crash; rows are counted by the calls that the function itself wrote down."""

    rows_before_kill: int
    rows_acknowledged: int | None
    rows_called_twice: int
    acknowledged_rows_called_twice: int | None
    seconds_until_processes_gone: float
    seconds_to_first_call: float
    seconds_second_run: float


def _calls(path: Path) -> list[tuple[int, int, float]]:
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [(int(first), int(rows), float(when)) for first, rows, when in (line.split() for line in lines)]


def _checkpointed(table: Path) -> set[int]:
    """The rows that checkpoint files hold, by number; every fragment of the table has equally many rows."""
    rows_per_fragment = workloads.INTS.rows // workloads.INTS.fragments
    rows: set[int] = set()
    for file in (table / "_leman" / "checkpoints").rglob("*.lance"):
        if match := _CHECKPOINT.fullmatch(file.name):
            fragment, start, end = map(int, match.groups())
            rows.update(range(fragment * rows_per_fragment + start, fragment * rows_per_fragment + end))
    return rows


def _rows_of(calls: list[tuple[int, int, float]]) -> set[int]:
    rows: set[int] = set()
    for first, count, _ in calls:
        rows.update(range(first, first + count))
    return rows


def kill_and_resume(command: list[str], table: Path, environment: dict[str, str], *, checkpoints: bool) -> Resume:
    """Runs `command`, kills its first process at half of the rows, runs it again; the table is then complete."""
    calls_file = table.with_suffix(".calls")
    calls_file.unlink(missing_ok=True)
    environment = {**environment, "BENCH_CALLS": str(calls_file)}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, **quiet)
    while process.poll() is None and sum(rows for _, rows, _ in _calls(calls_file)) < workloads.INTS.rows // 2:
        time.sleep(0.01)
    if process.poll() is not None:
        raise RuntimeError(f"ended with {process.returncode} before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    while measure.descendants(os.getpid()) and time.monotonic() < killed + 30:
        time.sleep(0.005)
    gone = time.monotonic() - killed
    measure.end_leftovers()
    before = _calls(calls_file)
    acknowledged = _checkpointed(table) if checkpoints else None

    if checkpoints and not acknowledged:
        raise RuntimeError("no checkpoint was found after the kill: what was computed again cannot be told")

    started = time.time()
    second = measure.run(command, environment=environment)
    if second.exit_code != 0:
        raise RuntimeError(f"the second run ended with {second.exit_code}:\n{second.output[-2000:]}")
    after = _calls(calls_file)[len(before) :]
    rows_after = _rows_of(after)
    return Resume(
        rows_before_kill=sum(rows for _, rows, _ in before),
        rows_acknowledged=None if acknowledged is None else len(acknowledged),
        rows_called_twice=len(_rows_of(before) & rows_after),
        acknowledged_rows_called_twice=None if acknowledged is None else len(acknowledged & rows_after),
        seconds_until_processes_gone=gone,
        seconds_to_first_call=min((when for _, _, when in after), default=started) - started,
        seconds_second_run=second.seconds,
    )
