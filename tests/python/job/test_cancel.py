"""Ways to stop a job whose function blocks: its workers are gone, what was computed is kept, the record says so."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable

import pytest

import leman


@leman.udf(version="1")
def blocks_at_500(x: int) -> int:
    import os
    import pathlib
    import time

    if x == 500:
        pathlib.Path(os.environ["LEMAN_TEST_BLOCKED"]).write_text(str(os.getpid()))
        time.sleep(600)
    return x


@leman.udf(version="1")
def quick(x: int) -> int:
    return x


def await_(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("way", ["handle", "request", "timeout"])
def test_a_job_whose_function_blocks_is_stopped_and_goes_on_later(
    numbers: leman.Table, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    from leman.jobs import request_cancel

    blocked = tmp_path / "blocked"
    monkeypatch.setenv("LEMAN_TEST_BLOCKED", str(blocked))
    numbers.add_columns({"y": blocks_at_500})
    handle = numbers.backfill_async(
        "y",
        concurrency=1,
        checkpoint_size=50,
        commit_granularity=None,
        progress=False,
        timeout=3 if way == "timeout" else None,
    )
    await_(lambda: blocked.exists() and blocked.read_text() != "")
    if way == "handle":
        handle.cancel()
    elif way == "request":
        assert request_cancel(numbers.connection.get_job(handle.job_id))
    kind = leman.JobTimeoutError if way == "timeout" else leman.JobCancelledError
    with pytest.raises(kind, match="run the same backfill again to resume"):
        handle.result(30)
    pid = int(blocked.read_text())
    await_(lambda: not is_alive(pid))
    job = numbers.connection.get_job(handle.job_id)
    assert job.status == "CANCELLED"
    kept = job.metrics["rows_computed"]
    assert kept >= 450
    result = numbers.backfill("y", udf=quick, concurrency=1)
    assert result.rows_computed == 1000 - kept
    assert numbers.count_rows("y = x") == 1000
    assert os.getpid() != pid


def test_what_workers_have_in_hand_is_kept_when_a_job_is_cancelled(
    numbers: leman.Table, tmp_path: pathlib.Path
) -> None:
    log = str(tmp_path / "calls")

    @leman.udf
    def logged(x: int) -> int:
        time.sleep(0.002)
        with open(log, "a") as file:
            file.write(f"{x}\n")
        return x

    def called() -> int:
        return len(pathlib.Path(log).read_text().split()) if os.path.exists(log) else 0

    numbers.add_columns({"y": logged})
    handle = numbers.backfill_async("y", concurrency=2, progress=False)
    await_(lambda: called() >= 100)
    handle.cancel()
    with pytest.raises(leman.JobCancelledError):
        handle.result(30)
    kept = numbers.connection.get_job(handle.job_id).metrics["rows_computed"]
    assert 100 <= kept == called() < 1000
    assert numbers.backfill("y", concurrency=2).rows_computed == 1000 - kept
    assert numbers.count_rows("y = x") == 1000
