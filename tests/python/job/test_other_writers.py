"""Other writers change the table while a job runs: every row ends with exactly its own value."""

from __future__ import annotations

import pathlib
import time

import lance
import pyarrow as pa
import pytest

import leman


@leman.udf
def slow_times_ten(x: int) -> int:
    import time

    time.sleep(0.002)
    return x * 10


@pytest.fixture
def job(numbers: leman.Table) -> leman.BackfillHandle:
    """A job of about two seconds over ten fragments, some of them committed already."""
    numbers.add_columns({"y": slow_times_ten})
    handle = numbers.backfill_async("y", concurrency=1, commit_granularity=1, progress=False)
    deadline = time.monotonic() + 30
    while lance.dataset(numbers.to_lance().uri).count_rows("y is not null") == 0:
        assert time.monotonic() < deadline and not handle.done()
        time.sleep(0.01)
    return handle


def check(tmp_path: pathlib.Path, rows: int) -> None:
    table = lance.dataset(str(tmp_path / "db" / "numbers.lance"))
    assert table.count_rows() == rows
    assert table.count_rows("y is not null and y != x * 10") == 0
    assert table.count_rows("y = x * 10") == rows


def test_compaction_in_the_middle(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "db" / "numbers.lance")
    before = len(lance.dataset(path).get_fragments())
    lance.dataset(path).optimize.compact_files(target_rows_per_fragment=500)
    assert len(lance.dataset(path).get_fragments()) < before
    assert job.result(60).status == "DONE"
    check(tmp_path, 1000)


def test_deletes_and_appends_in_the_middle(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "db" / "numbers.lance")
    lance.dataset(path).delete("x % 10 = 3")
    lance.write_dataset(pa.table({"x": pa.array([5000], pa.int64())}), path, mode="append")
    assert job.result(60).status == "DONE"
    table = lance.dataset(path)
    assert table.count_rows("y = x * 10") == 900
    assert table.count_rows("y is null") == 1


def test_an_update_of_the_input_in_the_middle(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "db" / "numbers.lance")
    lance.dataset(path).update({"x": "x + 100000"}, where="x >= 950")
    assert job.result(60).status == "DONE"
    assert lance.dataset(path).count_rows("x < 950 and y = x * 10") == 950
    leman.connect(str(tmp_path / "db")).open_table("numbers").backfill("y", concurrency=1)
    check(tmp_path, 1000)


def test_another_column_is_added_and_dropped_in_the_middle(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "db" / "numbers.lance")
    lance.dataset(path).add_columns({"z": "x + 1"})
    lance.dataset(path).drop_columns(["z"])
    assert job.result(60).status == "DONE"
    check(tmp_path, 1000)


def test_a_dropped_column_ends_the_job_with_a_clear_error(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    lance.dataset(str(tmp_path / "db" / "numbers.lance")).drop_columns(["y"])
    with pytest.raises(leman.JobFailedError, match="column 'y' is no longer in the table"):
        job.result(60)


def test_an_overwritten_table_ends_the_job(job: leman.BackfillHandle, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "db" / "numbers.lance")
    lance.write_dataset(pa.table({"x": pa.array([1, 2], pa.int64())}), path, mode="overwrite")
    with pytest.raises(leman.JobFailedError, match="the table was overwritten while the job ran"):
        job.result(60)
    assert lance.dataset(path).to_table().to_pydict() == {"x": [1, 2]}
