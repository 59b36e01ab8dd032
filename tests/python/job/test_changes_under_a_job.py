"""Each kind of change that others may make to the table while a job runs, at a known point of the job.

The function waits in the middle of fragment 3: fragments 0 and 1 are committed, 3 is in work, 5 to 7 are not begun.
"""

from __future__ import annotations

import datetime
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator

import lance
import pyarrow as pa
import pytest

import leman

from .conftest import CallLog

ROWS = 400
ROWS_PER_FRAGMENT = 50
WAITS_AT = 175


class PausedJob:
    """A job that stands still until `finish`."""

    def __init__(self, tmp_path: pathlib.Path, calls: CallLog, stable: bool) -> None:
        self.path = str(tmp_path / "db" / "numbers.lance")
        self.calls = calls
        self.gate = tmp_path / "gate"
        waiting, gate, log = tmp_path / "waiting", self.gate, calls.path
        self.db = leman.connect(str(tmp_path / "db"))
        data = pa.table({"id": pa.array(range(ROWS), pa.int64()), "x": pa.array(range(ROWS), pa.int64())})
        lance.write_dataset(data, self.path, max_rows_per_file=ROWS_PER_FRAGMENT, enable_stable_row_ids=stable)
        waits_at = WAITS_AT

        @leman.udf(version="1", input_columns=["x"])
        def times_ten(x: int) -> int:
            import time

            with open(log, "ab", buffering=0) as file:
                file.write(b".")
            if x == waits_at:
                waiting.touch()
                while not gate.exists():
                    time.sleep(0.01)
            return x * 10

        self.function = times_ten
        self.table = self.db.open_table("numbers")
        self.table.add_columns({"y": times_ten})
        self.handle = self.table.backfill_async(
            "y", concurrency=1, commit_granularity=1, task_size=ROWS_PER_FRAGMENT, batch_size=10,
            task_shuffle_diversity=1, progress=False,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (waiting.exists() and self.dataset().count_rows("y is not null") >= 2 * ROWS_PER_FRAGMENT):
            assert time.monotonic() < deadline and not self.handle.done(), "the job does not get to its pause"
            time.sleep(0.01)

    def dataset(self) -> lance.LanceDataset:
        return lance.dataset(self.path)

    def finish(self) -> leman.BackfillResult:
        self.gate.touch()
        return self.handle.result(60)

    def check(self, rows: int, without_value: int = 0) -> None:
        """Every row has its own value, but those that came after the job had planned, which have none."""
        table = self.dataset()
        assert table.count_rows() == rows
        assert table.count_rows("y is not null and y != x * 10") == 0
        assert table.count_rows("y is null") == without_value


@pytest.fixture
def start(tmp_path: pathlib.Path, calls: CallLog) -> Iterator[Callable[[bool], PausedJob]]:
    jobs: list[PausedJob] = []

    def make(stable: bool = False) -> PausedJob:
        jobs.append(PausedJob(tmp_path, calls, stable))
        return jobs[-1]

    yield make
    for job in jobs:
        job.gate.touch()
        job.handle.cancel()


stable_or_not = pytest.mark.parametrize("stable", [False, True], ids=["row addresses", "stable row ids"])


@stable_or_not
def test_an_append(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    lance.write_dataset(pa.table({"id": [1000], "x": [1000]}), job.path, mode="append")
    assert job.finish().status == "DONE"
    job.check(ROWS + 1, without_value=1)
    assert job.calls.count == ROWS


@stable_or_not
def test_an_insert_by_merge(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    new = pa.table({"id": [5, 1000, 1001], "x": [-1, 1000, 1001]})
    job.dataset().merge_insert("id").when_not_matched_insert_all().execute(new)
    assert job.finish().status == "DONE"
    job.check(ROWS + 2, without_value=2)
    assert job.calls.count == ROWS


@stable_or_not
def test_deleted_rows_everywhere(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    job.dataset().delete("x % 10 = 3")
    assert job.finish().status == "DONE"
    job.check(ROWS * 9 // 10)
    assert job.calls.count <= ROWS


def test_deleted_fragments(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    job.dataset().delete("x < 50 or (x >= 150 and x < 200) or x >= 350")
    assert job.finish().status == "DONE"
    job.check(ROWS - 150)


@stable_or_not
def test_a_backfill_of_another_column(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)

    @leman.udf
    def plus_one(x: int) -> int:
        return x + 1

    other = job.db.open_table("numbers")
    other.add_columns({"z": plus_one})
    assert other.backfill("z", concurrency=1, progress=False).status == "DONE"
    assert job.finish().status == "DONE"
    job.check(ROWS)
    assert job.dataset().count_rows("z = x + 1") == ROWS
    assert job.calls.count == ROWS


@stable_or_not
def test_other_columns_added_and_dropped(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    job.dataset().add_columns({"w": "x + 1"})
    job.dataset().add_columns(pa.schema([pa.field("v", pa.int64())]))
    job.dataset().drop_columns(["w"])
    assert job.finish().status == "DONE"
    job.check(ROWS)
    assert job.dataset().schema.names == ["id", "x", "y", "v"]
    assert job.calls.count == ROWS


def test_a_restore_of_an_older_version_without_the_column(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    old = job.dataset().checkout_version(1)
    old.restore()
    with pytest.raises(leman.JobFailedError, match="the table was restored to an older version while the job ran"):
        job.finish()
    assert job.dataset().schema.names == ["id", "x"]


def test_a_restore_of_a_version_before_the_commits(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    versions = [v["version"] for v in job.dataset().versions()]
    empty = next(v for v in versions if "y" in job.dataset().checkout_version(v).schema.names)
    job.dataset().checkout_version(empty).restore()
    with pytest.raises(leman.JobFailedError, match="restored"):
        job.finish()
    assert job.dataset().count_rows("y is not null and y != x * 10") == 0
    job.db.open_table("numbers").backfill("y", udf=job.function, concurrency=1, progress=False)
    job.check(ROWS)


def test_the_column_dropped(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    job.dataset().drop_columns(["y"])
    with pytest.raises(leman.JobFailedError, match="column 'y' is no longer in the table"):
        job.finish()


def test_the_column_dropped_and_made_again(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    job.dataset().drop_columns(["y"])
    job.dataset().add_columns({"y": "cast(-1 as bigint)"})
    with pytest.raises(leman.JobFailedError, match="column 'y' is no longer in the table: another"):
        job.finish()
    assert job.dataset().count_rows("y = -1") == ROWS


def test_the_table_dropped(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    shutil.rmtree(job.path)
    with pytest.raises(leman.JobFailedError, match="the table 'numbers' is gone: it was dropped"):
        job.finish()


def test_the_table_overwritten_with_the_same_columns(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    other = pa.table({"id": range(ROWS), "x": range(5000, 5000 + ROWS), "y": pa.nulls(ROWS, pa.int64())})
    lance.write_dataset(other, job.path, mode="overwrite", max_rows_per_file=ROWS_PER_FRAGMENT)
    with pytest.raises(leman.JobFailedError, match="overwritten while the job ran"):
        job.finish()
    assert job.dataset().count_rows("y is not null") == 0


@stable_or_not
@pytest.mark.parametrize("where", ["x = 25", "x = 170", "x = 375"], ids=["done", "in work", "not begun"])
def test_another_column_updated(start: Callable[[bool], PausedJob], stable: bool, where: str) -> None:
    job = start(stable)
    job.dataset().update({"id": "id + 5000"}, where=where)
    assert job.finish().status == "DONE"
    job.check(ROWS)
    assert job.calls.count <= ROWS + 1


@stable_or_not
@pytest.mark.parametrize("where", ["x = 25", "x = 170", "x = 375"], ids=["done", "in work", "not begun"])
def test_the_input_updated(start: Callable[[bool], PausedJob], stable: bool, where: str) -> None:
    job = start(stable)
    job.dataset().update({"x": "x + 5000"}, where=where)
    assert job.finish().status == "DONE"
    job.check(ROWS)
    assert job.calls.count <= ROWS + 1


@stable_or_not
def test_a_merge_insert_that_updates(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    new = pa.table({"id": [170, 375, 1000], "x": [7170, 7375, 1000], "y": pa.nulls(3, pa.int64())})
    job.dataset().merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(new)
    assert job.finish().status == "DONE"
    job.check(ROWS + 1)


@stable_or_not
def test_a_compaction(start: Callable[[bool], PausedJob], stable: bool) -> None:
    job = start(stable)
    job.dataset().delete("x % 25 = 7")
    job.dataset().optimize.compact_files(target_rows_per_fragment=150)
    assert len(job.dataset().get_fragments()) < ROWS // ROWS_PER_FRAGMENT
    assert job.finish().status == "DONE"
    job.check(ROWS - 16)
    # Neither what was committed nor what was checkpointed is computed again.
    assert job.calls.count <= ROWS


def test_old_versions_removed(start: Callable[[bool], PausedJob]) -> None:
    job = start(False)
    job.dataset().optimize.compact_files(target_rows_per_fragment=150)
    job.dataset().cleanup_old_versions(datetime.timedelta(0), delete_unverified=False)
    try:
        assert job.finish().status == "DONE"
    except leman.JobFailedError as error:
        assert "version" in str(error) or "not found" in str(error).lower()
        job.db.open_table("numbers").backfill("y", udf=job.function, concurrency=1, progress=False)
    job.check(ROWS)
