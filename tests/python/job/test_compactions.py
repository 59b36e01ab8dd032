"""Compactions under and between jobs: what was computed is found where its rows are now, and computed once."""

from __future__ import annotations

import datetime
import pathlib
import random
import time

import lance
import numpy as np
import pyarrow as pa
import pytest

import leman
from leman.column_definition import _declare

from .conftest import CallLog
from .test_crashes import Driver, checkpointed_rows, wait_until

ROWS = 1000
stable_or_not = pytest.mark.parametrize("stable", [False, True], ids=["row addresses", "stable row ids"])


def make(tmp_path: pathlib.Path, stable: bool, rows_per_file: int = 100) -> str:
    path = str(tmp_path / "db" / "numbers.lance")
    data = pa.table({"id": pa.array(range(ROWS), pa.int64()), "x": pa.array(range(ROWS), pa.int64())})
    lance.write_dataset(data, path, max_rows_per_file=rows_per_file, enable_stable_row_ids=stable)
    return path


def compact(path: str, rows: int = 350) -> None:
    before = {fragment.fragment_id for fragment in lance.dataset(path).get_fragments()}
    lance.dataset(path).optimize.compact_files(target_rows_per_fragment=rows)
    assert before != {fragment.fragment_id for fragment in lance.dataset(path).get_fragments()}


def backfill(tmp_path: pathlib.Path, calls: CallLog, **arguments: object) -> leman.BackfillResult:
    """Run the driver's job to its end."""
    driver = Driver(tmp_path, calls, 0.0, **arguments)
    output, errors = driver.process.communicate(timeout=60)
    assert driver.process.returncode == 0, errors
    return output


@stable_or_not
@pytest.mark.parametrize(
    "where", [pytest.param(None, id="all rows"), pytest.param("x % 2 = 0", id="where", marks=pytest.mark.long)]
)
def test_after_kill_9_and_a_compaction_only_what_was_not_checkpointed_is_computed(
    tmp_path: pathlib.Path, calls: CallLog, stable: bool, where: str | None
) -> None:
    path = make(tmp_path, stable)
    arguments = {"concurrency": 2, "batch_size": 10, "checkpoint_size": 10, "where": where, "commit_granularity": 2}
    wanted = ROWS if where is None else ROWS // 2
    driver = Driver(tmp_path, calls, 0.002, **arguments)
    wait_until(lambda: calls.count >= wanted * 0.55)
    driver.process.kill()
    driver.process.wait()
    wait_until(lambda: not driver.descendants(), 5)
    assert checkpointed_rows(tmp_path) > 0
    # Two workers, each with at most one batch in hand.
    lost = 2 * 10
    lance.dataset(path).delete("x % 50 = 7")
    compact(path)
    lance.dataset(path).delete("x % 50 = 8")
    backfill(tmp_path, calls, **arguments)
    assert calls.count <= wanted + lost
    table = lance.dataset(path)
    assert table.count_rows("y = x * 10") == table.count_rows(where)
    assert where is None or table.count_rows("x % 2 = 1 and y is not null") == 0
    assert not list((pathlib.Path(path) / "_leman/checkpoints").rglob("*.lance"))
    called = calls.count
    backfill(tmp_path, calls, **arguments)
    assert calls.count == called


@pytest.mark.long
@stable_or_not
def test_compactions_at_random_moments(tmp_path: pathlib.Path, calls: CallLog, stable: bool) -> None:
    path = make(tmp_path, stable, rows_per_file=40)
    driver = Driver(tmp_path, calls, 0.002, concurrency=2, batch_size=10, checkpoint_size=10, commit_granularity=2)
    chance = random.Random(7 if stable else 8)
    wait_until(lambda: calls.count >= 50)
    target = 60
    while driver.process.poll() is None and target < 300:
        time.sleep(chance.uniform(0, 0.3))
        if chance.random() < 0.5:
            lance.dataset(path).delete(f"id % 100 = {chance.randrange(100)}")
        try:
            lance.dataset(path).optimize.compact_files(target_rows_per_fragment=target)
            target += 60
        except OSError as error:
            # The job was first.
            assert "conflict" in str(error).lower()
    _, errors = driver.process.communicate(timeout=60)
    assert driver.process.returncode == 0, errors
    assert calls.count <= ROWS
    table = lance.dataset(path)
    assert table.count_rows("y = x * 10") == table.count_rows()


def test_two_compactions_between_two_runs(tmp_path: pathlib.Path, calls: CallLog) -> None:
    path = make(tmp_path, False, rows_per_file=50)
    arguments = {"concurrency": 1, "batch_size": 10, "checkpoint_size": 10, "commit_granularity": 3}
    driver = Driver(tmp_path, calls, 0.002, **arguments)
    wait_until(lambda: calls.count >= 600)
    driver.process.kill()
    driver.process.wait()
    wait_until(lambda: not driver.descendants(), 5)
    compact(path, 130)
    lance.dataset(path).delete("x in (3, 333, 999)")
    compact(path, 420)
    backfill(tmp_path, calls, **arguments)
    assert calls.count <= ROWS + 10
    assert lance.dataset(path).count_rows("y = x * 10") == ROWS - 3


def test_a_column_is_declared_though_a_compaction_comes_first(tmp_path: pathlib.Path) -> None:
    path = make(tmp_path, False)
    before = lance.dataset(path)
    compact(path)
    _declare(before, pa.schema([pa.field("y", pa.int64())]))
    assert lance.dataset(path).schema.names == ["id", "x", "y"]


class LargeValues:
    """96 rows in four fragments; the function stops in the third, with values that lie in pages files."""

    def __init__(self, tmp_path: pathlib.Path, calls: CallLog, blobs: bool) -> None:
        self.path = str(tmp_path / "db" / "values.lance")
        data = pa.table({"x": pa.array(range(96), pa.int64())})
        lance.write_dataset(data, self.path, max_rows_per_file=24, data_storage_version="2.2")
        log, gate, self.calls, self.gate = calls.path, tmp_path / "gate", calls, tmp_path / "gate"
        options = {"field_metadata": {"lance-encoding:blob": "true"}} if blobs else {}

        def noise(x: int) -> bytes:
            import numpy as np

            if x == 66 and not gate.exists():
                raise ValueError("not yet")
            with open(log, "ab", buffering=0) as file:
                file.write(b".")
            return np.random.default_rng(x).bytes(200_000)

        type_ = pa.large_binary() if blobs else pa.binary()
        self.function = leman.udf(noise, version="1", data_type=type_, **options)
        self.db = leman.connect(str(tmp_path / "db"))
        self.db.open_table("values").add_columns({"v": self.function})

    def backfill(self) -> leman.BackfillResult:
        return self.db.open_table("values").backfill(
            "v", udf=self.function, concurrency=1, batch_size=8, checkpoint_size=8, commit_granularity=None,
            task_shuffle_diversity=1, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    "deleted", [pytest.param("", id="all rows", marks=pytest.mark.long), pytest.param("x % 20 = 3", id="rows deleted")]
)
@pytest.mark.parametrize("blobs", [False, True], ids=["plain", "blobs"])
def test_large_values_are_carried_too(tmp_path: pathlib.Path, calls: CallLog, deleted: str, blobs: bool) -> None:
    job = LargeValues(tmp_path, calls, blobs)
    with pytest.raises(leman.JobFailedError, match="not yet"):
        job.backfill()
    assert list((pathlib.Path(job.path) / "_leman/checkpoints").rglob("*.region"))
    if deleted:
        lance.dataset(job.path).delete(deleted)
    compact(job.path, 256)
    job.gate.touch()
    called = calls.count
    assert job.backfill().status == "DONE"
    # Those in hand when it failed were not saved.
    assert calls.count <= 96 + 8
    assert calls.count - called <= 96 - 64
    dataset = lance.dataset(job.path)
    table = dataset.to_table(columns=["x"] if blobs else ["x", "v"], with_row_address=True)
    if blobs:
        values = [file.read() for file in dataset.take_blobs("v", addresses=table["_rowaddr"].to_pylist())]
    else:
        values = table["v"].to_pylist()
    assert values == [np.random.default_rng(x).bytes(200_000) for x in table["x"].to_pylist()]
    assert not list((pathlib.Path(job.path) / "_leman/checkpoints").rglob("*.*"))


def test_rows_that_a_rewrite_put_in_another_order_are_computed_again(tmp_path: pathlib.Path, calls: CallLog) -> None:
    path = make(tmp_path, False, rows_per_file=500)
    arguments = {"concurrency": 1, "batch_size": 50, "checkpoint_size": 50, "commit_granularity": None}
    driver = Driver(tmp_path, calls, 0.002, **arguments)
    wait_until(lambda: calls.count >= 700)
    driver.process.kill()
    driver.process.wait()
    wait_until(lambda: not driver.descendants(), 5)
    dataset = lance.dataset(path)
    data = dataset.to_table().sort_by([("x", "descending")])
    old = [fragment.metadata for fragment in dataset.get_fragments()]
    new = lance.fragment.write_fragments(data, dataset, mode="append")
    group = lance.LanceOperation.RewriteGroup(old_fragments=old, new_fragments=new)
    rewrite = lance.LanceOperation.Rewrite(groups=[group], rewritten_indices=[])
    lance.LanceDataset.commit(path, rewrite, read_version=dataset.version)
    called = calls.count
    backfill(tmp_path, calls, **arguments)
    assert lance.dataset(path).count_rows("y = x * 10") == ROWS
    assert calls.count == called + ROWS


def test_where_the_old_version_is_gone_rows_are_computed_again(tmp_path: pathlib.Path, calls: CallLog) -> None:
    path = make(tmp_path, False)
    arguments = {"concurrency": 1, "batch_size": 50, "checkpoint_size": 50, "commit_granularity": None}
    driver = Driver(tmp_path, calls, 0.002, **arguments)
    wait_until(lambda: calls.count >= 300)
    driver.process.kill()
    driver.process.wait()
    wait_until(lambda: not driver.descendants(), 5)
    compact(path)
    lance.dataset(path).cleanup_old_versions(datetime.timedelta(0))
    called = calls.count
    backfill(tmp_path, calls, **arguments)
    assert lance.dataset(path).count_rows("y = x * 10") == ROWS
    assert calls.count == called + ROWS
