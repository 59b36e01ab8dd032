"""Rows on which workers end, hang or run out of memory: they meet the function's policy like rows that raise."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pyarrow as pa
import pytest

import leman

from .test_backfill import column


@pytest.fixture
def hundred(db: leman.Connection) -> leman.Table:
    return db.create_table("t", pa.table({"x": pa.array(range(100), pa.int64())}))


def ends_its_process(x: int) -> int:
    import os

    if x == 37:
        os._exit(11)
    return x


def ends_its_process_in_a_batch(x: pa.Array) -> pa.Array:
    import os

    if 37 in x.to_pylist():
        os._exit(11)
    return x


@pytest.mark.parametrize("function", [ends_its_process, ends_its_process_in_a_batch])
def test_a_row_that_ends_its_process_is_skipped_where_the_policy_says_so(hundred: leman.Table, function) -> None:
    policy = [leman.Skip(ValueError), leman.Skip(leman.WorkerCrashError, match="code 11")]
    hundred.add_columns({"y": leman.udf(data_type=pa.int64(), on_error=policy)(function)})
    result = hundred.backfill("y", concurrency=2)
    assert (result.status, result.rows_skipped) == ("DONE", 1)
    assert column(hundred, "y") == [None if x == 37 else x for x in range(100)]
    (error,) = hundred.get_errors()
    assert (error.row, error.error_type, error.error_message) == (37, "WorkerCrashError", "exited with code 11")
    assert error.attempts > 3


def test_a_row_that_ends_its_process_beside_rows_that_a_filter_leaves_out(hundred: leman.Table) -> None:
    hundred.delete("x = 3")
    hundred.add_columns({"y": leman.udf(on_error=leman.Skip(leman.WorkerCrashError))(ends_its_process)})
    result = hundred.backfill("y", where="x % 2 = 1", concurrency=1)
    assert result.rows_skipped == 1
    rows = hundred.to_arrow().to_pydict()
    assert rows["y"] == [x if x % 2 == 1 and x != 37 else None for x in rows["x"]]


def test_a_policy_that_says_fail_wins_over_a_later_skip(hundred: leman.Table) -> None:
    policy = [leman.Fail(leman.WorkerCrashError), leman.Skip()]
    hundred.add_columns({"y": leman.udf(on_error=policy)(ends_its_process)})
    with pytest.raises(leman.WorkerCrashError, match="row 37 of fragment 0: exited with code 11"):
        hundred.backfill("y", concurrency=1)


def test_a_worker_that_makes_no_progress_is_replaced(hundred: leman.Table, tmp_path: pathlib.Path) -> None:
    flag = str(tmp_path / "hung-once")

    @leman.udf
    def hangs_once(x: int) -> int:
        import os
        import time

        if x == 50 and not os.path.exists(flag):
            open(flag, "w").close()
            time.sleep(600)
        return x

    hundred.add_columns({"y": hangs_once})
    result = hundred.backfill("y", concurrency=1, stall_timeout=0.5)
    assert result.metrics["worker_deaths"] == 1
    assert column(hundred, "y") == list(range(100))
    events = [event["message"] for event in hundred.connection.get_job(result).events]
    assert any("made no progress for 500 ms, the job's stall_timeout at row" in event for event in events)


def test_a_set_up_that_hangs_ends_the_job_with_the_reason(hundred: leman.Table) -> None:
    @leman.udf
    class Loads:
        def setup(self) -> None:
            import time

            time.sleep(600)

        def __call__(self, x: int) -> int:
            return x

    hundred.add_columns({"y": Loads()})
    with pytest.raises(leman.WorkerStallError, match=r"not ready after the job's stall_timeout.*setup\(\) hang"):
        hundred.backfill("y", concurrency=1, stall_timeout=0.3)


def test_errors_of_lost_rows_match_what_they_are_like() -> None:
    assert issubclass(leman.WorkerOOMError, (leman.WorkerCrashError, MemoryError))
    assert issubclass(leman.WorkerStallError, leman.WorkerCrashError)
    assert issubclass(leman.WorkerStallError, TimeoutError)
    assert str(leman.FunctionTimeoutError("a text", "job")) == "a text"


_OOM_GROUP = pathlib.Path(f"/sys/fs/cgroup/memory/leman-test-{os.getpid()}")

OOM_DRIVER = """
import sys, leman

@leman.udf(on_error=leman.Skip(leman.WorkerOOMError))
def hungry(x: int) -> int:
    return len(bytearray(800 << 20)) if x == 7 else x

table = leman.connect(sys.argv[1]).open_table("t")
table.add_columns({"y": hungry})
print("skipped", table.backfill("y", concurrency=1, progress=False).rows_skipped)
print([error.error_type for error in table.get_errors()])
"""


def _memory_group() -> bool:
    try:
        _OOM_GROUP.mkdir()
        (_OOM_GROUP / "memory.limit_in_bytes").write_text(str(500 << 20))
        return True
    except OSError:
        return False


def test_a_row_for_which_memory_runs_out_is_told_from_other_crashes(
    hundred: leman.Table, tmp_path: pathlib.Path
) -> None:
    if not _memory_group():
        pytest.skip("needs the right to make a memory cgroup (version 1)")
    try:
        script = tmp_path / "driver.py"
        script.write_text(textwrap.dedent(OOM_DRIVER))
        done = subprocess.run(
            [
                "sh",
                "-c",
                f'echo $$ > {_OOM_GROUP}/cgroup.procs; exec "$@"',
                "sh",
                sys.executable,
                str(script),
                hundred.connection.uri,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["skipped 1", "['WorkerOOMError']"]
    finally:
        _OOM_GROUP.rmdir()
