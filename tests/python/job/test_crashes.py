"""Real processes that are killed: nothing acknowledged is lost, nothing is left running, the next run goes on."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

import leman

from .conftest import CallLog

DRIVER = """
import os, sys, time
import leman

path, db, sleep_s, extra = sys.argv[1], sys.argv[2], float(sys.argv[3]), eval(sys.argv[4])

@leman.udf(version="1")
def counted(x: int) -> int:
    with open(path, "ab", buffering=0) as file:
        file.write(b".")
    time.sleep(sleep_s)
    return x * 10

table = leman.connect(db).open_table("numbers")
if "y" not in table.schema.names:
    table.add_columns({"y": counted})
result = table.backfill("y", udf=counted, **extra)
print("rows_computed", result.rows_computed)
"""


class Driver:
    """A backfill in a process of its own, marked so that all its descendants can be found."""

    def __init__(self, tmp_path: pathlib.Path, calls: CallLog, sleep_s: float, **extra: object) -> None:
        script = tmp_path / "driver.py"
        script.write_text(textwrap.dedent(DRIVER))
        self.mark = f"LEMAN_TEST_MARK={tmp_path}-{time.monotonic_ns()}"
        name, value = self.mark.split("=", 1)
        self.process = subprocess.Popen(
            [sys.executable, str(script), calls.path, str(tmp_path / "db"), str(sleep_s), repr(extra)],
            env={**os.environ, name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def descendants(self) -> list[int]:
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (os.getpid(), self.process.pid):
                try:
                    if self.mark.encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def workers(self) -> list[int]:
        """Processes forked by the fork server."""
        own = self.descendants()
        return [pid for pid in own if _parent(pid) in own]


def _parent(pid: int) -> int:
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def checkpointed_rows(tmp_path: pathlib.Path) -> int:
    names = [p.stem.split("-") for p in (tmp_path / "db/numbers.lance/_leman/checkpoints").rglob("*.lance")]
    return sum(int(name[3]) - int(name[2]) for name in names)


@pytest.fixture
def one_fragment(db: leman.Connection) -> Iterator[leman.Table]:
    yield db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}))


def test_after_kill_9_only_what_was_not_acknowledged_is_computed_again(
    one_fragment: leman.Table, calls: CallLog, tmp_path: pathlib.Path, db: leman.Connection
) -> None:
    driver = Driver(tmp_path, calls, 0.002, concurrency=2, batch_size=20)
    wait_until(lambda: calls.count >= 500)
    driver.process.kill()
    driver.process.wait()
    wait_until(lambda: not driver.descendants(), 5)
    called = calls.count
    saved = checkpointed_rows(tmp_path)
    # Two workers, each with at most one batch in hand that was not acknowledged.
    assert saved >= called - 2 * 20
    assert db.open_table("numbers").count_rows("y is not null") == 0
    again = Driver(tmp_path, calls, 0.0, concurrency=2, batch_size=20)
    assert again.process.wait(60) == 0, again.process.stderr.read()
    assert calls.count - called == 1000 - saved
    table = db.open_table("numbers")
    assert table.to_arrow().column("y").to_pylist() == [x * 10 for x in range(1000)]


def test_a_killed_worker_is_replaced_and_its_checkpoints_stay(
    one_fragment: leman.Table, calls: CallLog, tmp_path: pathlib.Path, db: leman.Connection
) -> None:
    driver = Driver(tmp_path, calls, 0.002, concurrency=2, batch_size=20)
    for rows in (200, 500):
        wait_until(lambda rows=rows: calls.count >= rows and bool(driver.workers()))
        os.kill(driver.workers()[0], signal.SIGKILL)
    assert driver.process.wait(60) == 0, driver.process.stderr.read()
    assert calls.count <= 1000 + 2 * 20
    assert db.open_table("numbers").count_rows("y = x * 10") == 1000
    job = db.list_jobs()[0]
    assert job.metrics["worker_deaths"] == 2
    assert not driver.descendants()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_job_and_says_how_to_resume(
    one_fragment: leman.Table, calls: CallLog, tmp_path: pathlib.Path, db: leman.Connection, number: signal.Signals
) -> None:
    driver = Driver(tmp_path, calls, 0.005, concurrency=2, batch_size=20)
    wait_until(lambda: calls.count >= 100)
    driver.process.send_signal(number)
    started = time.monotonic()
    assert driver.process.wait(10) != 0
    assert time.monotonic() - started < 2.5
    wait_until(lambda: not driver.descendants(), 3)
    assert "run the same backfill again to resume" in driver.process.stderr.read()
    assert db.list_jobs()[0].status == "CANCELLED"
    called = calls.count
    saved = checkpointed_rows(tmp_path)
    again = Driver(tmp_path, calls, 0.0, concurrency=2, batch_size=20)
    assert again.process.wait(60) == 0
    assert calls.count - called == 1000 - saved


def test_a_row_that_kills_its_worker_fails_the_job_and_is_named(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(100), pa.int64())}))

    @leman.udf
    def poison(x: int) -> int:
        import os

        if x == 37:
            os._exit(11)
        return x

    table.add_columns({"y": poison})
    with pytest.raises(leman.WorkerCrashError, match=r"row 37 of fragment 0.*exited with code 11"):
        table.backfill("y", concurrency=2)


def test_a_driver_killed_at_any_time_leaves_a_valid_table(
    db: leman.Connection, calls: CallLog, tmp_path: pathlib.Path
) -> None:
    db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}), max_rows_per_file=50)
    for attempt in range(4):
        driver = Driver(tmp_path, calls, 0.0002, concurrency=2, commit_granularity=2, task_size=50)
        time.sleep(0.5 + 0.12 * attempt)
        driver.process.kill()
        driver.process.wait()
        wait_until(lambda driver=driver: not driver.descendants(), 5)
        table = db.open_table("numbers")
        assert table.count_rows() == 1000
        if "y" in table.schema.names:
            assert table.count_rows("y is not null and y != x * 10") == 0
    assert Driver(tmp_path, calls, 0.0, concurrency=2).process.wait(60) == 0
    assert db.open_table("numbers").count_rows("y = x * 10") == 1000


def test_two_drivers_on_one_column_one_runs_and_the_other_is_told(
    one_fragment: leman.Table, calls: CallLog, tmp_path: pathlib.Path, db: leman.Connection
) -> None:
    first = Driver(tmp_path, calls, 0.003, concurrency=1, batch_size=20)
    wait_until(lambda: calls.count >= 50)
    second = Driver(tmp_path, calls, 0.0, concurrency=1, batch_size=20)
    assert second.process.wait(30) != 0
    said = second.process.stderr.read()
    assert "ColumnBusyError" in said and db.list_jobs()[0].job_id in said
    assert first.process.wait(60) == 0
    assert calls.count == 1000
    assert db.open_table("numbers").count_rows("y = x * 10") == 1000
