"""Backfills on real storage with real workers: what ends up in the column, and what is computed again."""

from __future__ import annotations

import pathlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import leman

from .conftest import CallLog


@leman.udf
def plus_one(x: int) -> int:
    return x + 1


@leman.udf(data_type=pa.int64())
def doubled(x: pa.Array) -> pa.Array:
    return pc.multiply(x, 2)


@leman.udf(data_type=pa.int64())
def whole_row(batch: pa.RecordBatch) -> pa.Array:
    return pc.add(batch["x"], 7)


@leman.udf
class Offset:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x: int) -> int:
        return x + self.by


def counting(path: str, version: str = "1") -> leman.UserFunction:
    @leman.udf(version=version)
    def counted(x: int) -> int:
        with open(path, "ab", buffering=0) as file:
            file.write(b".")
        return x * 10

    return counted


def column(table: leman.Table, name: str) -> list[object]:
    return table.to_arrow().column(name).to_pylist()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plus_one, lambda x: x + 1),
        (doubled, lambda x: 2 * x),
        (whole_row, lambda x: x + 7),
        (Offset(5), lambda x: x + 5),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_every_kind_of_function_fills_every_row(numbers: leman.Table, function, expected, concurrency: int) -> None:
    numbers.add_columns({"y": function})
    result = numbers.backfill("y", concurrency=concurrency)
    assert result.status == "DONE"
    assert result.rows_computed == 1000
    assert column(numbers, "y") == [expected(x) for x in range(1000)]


def test_threads_inside_a_worker_fill_every_row(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", concurrency=1, intra_applier_concurrency=4, task_size=50)
    assert column(numbers, "y") == list(range(1, 1001))


def test_small_checkpoints_are_put_together_in_order(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    result = numbers.backfill("y", concurrency=2, batch_size=7)
    assert result.metrics["checkpoints"] >= 1000 // 7
    assert column(numbers, "y") == list(range(1, 1001))


def test_a_second_run_computes_nothing(numbers: leman.Table, calls: CallLog) -> None:
    numbers.add_columns({"y": counting(calls.path)})
    numbers.backfill("y", concurrency=2)
    assert calls.count == 1000
    version = numbers.version
    result = numbers.backfill("y", concurrency=2)
    assert (result.status, result.rows_computed, calls.count) == ("DONE", 0, 1000)
    assert numbers.version == version


def test_legitimate_nulls_are_not_computed_again(numbers: leman.Table, calls: CallLog) -> None:
    path = calls.path

    @leman.udf
    def none(x: int) -> int | None:
        with open(path, "ab", buffering=0) as file:
            file.write(b".")
        return None

    numbers.add_columns({"y": none})
    numbers.backfill("y", concurrency=1)
    numbers.backfill("y", concurrency=1)
    assert calls.count == 1000
    assert numbers.count_rows("y is null") == 1000


def test_appended_rows_are_computed_alone(numbers: leman.Table, calls: CallLog) -> None:
    numbers.add_columns({"y": counting(calls.path)})
    numbers.backfill("y", concurrency=1)
    calls.clear()
    numbers.add(pa.table({"x": pa.array(range(1000, 1050), pa.int64())}))
    result = numbers.backfill("y", concurrency=1)
    assert result.rows_computed == calls.count == 50
    assert column(numbers, "y") == [x * 10 for x in range(1050)]


def test_deleted_rows_are_not_computed_and_stay_deleted(numbers: leman.Table, calls: CallLog) -> None:
    numbers.delete("x % 3 = 0")
    numbers.add_columns({"y": counting(calls.path)})
    result = numbers.backfill("y", concurrency=2)
    left = [x for x in range(1000) if x % 3 != 0]
    assert result.rows_computed == calls.count == len(left)
    assert column(numbers, "y") == [x * 10 for x in left]


@pytest.mark.parametrize("function", [plus_one, doubled, whole_row])
def test_a_filter_computes_what_it_selects_and_leaves_the_rest(numbers: leman.Table, function) -> None:
    numbers.delete("x = 5")
    numbers.add_columns({"y": function})
    result = numbers.backfill("y", where="x % 2 = 1 and x < 450", concurrency=2)
    selected = [x for x in range(1000) if x % 2 == 1 and x < 450 and x != 5]
    assert result.rows_computed == result.rows_total == len(selected)
    rows = numbers.to_arrow().to_pydict()
    filled = {x for x, y in zip(rows["x"], rows["y"], strict=True) if y is not None}
    assert filled == set(selected)
    result = numbers.backfill("y", concurrency=2)
    assert result.rows_computed == 999 - len(selected)
    assert numbers.count_rows("y is null") == 0


def test_the_same_filter_again_computes_nothing(numbers: leman.Table, calls: CallLog) -> None:
    numbers.add_columns({"y": counting(calls.path)})
    numbers.backfill("y", where="x < 150", concurrency=1)
    numbers.backfill("y", where="x < 150", concurrency=1)
    assert calls.count == 150


def test_a_new_version_computes_all_again_or_what_a_filter_selects(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", concurrency=1)
    numbers.alter_columns({"path": "y", "udf": Offset(100)})
    numbers.backfill("y", where="x >= 990", concurrency=1)
    assert column(numbers, "y") == [*range(1, 991), *range(1090, 1100)]
    numbers.backfill("y", concurrency=1)
    assert column(numbers, "y") == list(range(100, 1100))
    assert numbers.backfill("y", concurrency=1).rows_computed == 0


def test_a_filter_fills_the_rows_that_are_still_null(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", where="x < 500", concurrency=1)
    result = numbers.backfill("y", where="y is null", concurrency=1)
    assert result.rows_computed == 500
    assert column(numbers, "y") == list(range(1, 1001))


def test_the_udf_of_one_job_can_be_another(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", udf=Offset(50), concurrency=1)
    assert column(numbers, "y") == list(range(50, 1050))


def test_other_input_columns_can_be_given(db: leman.Connection) -> None:
    table = db.create_table("two", pa.table({"x": [1, 2, 3], "z": [10, 20, 30]}))
    table.add_columns({"y": (plus_one, ["x"])})
    table.backfill("y", input_columns=["z"], concurrency=1)
    assert column(table, "y") == [11, 21, 31]


def test_a_limited_number_of_fragments_is_filled_first(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    assert numbers.backfill("y", num_frags=2, concurrency=1).fragments_committed == 2
    assert numbers.count_rows("y is not null") == 200
    assert numbers.backfill("y", num_frags=4, concurrency=1).fragments_committed == 2
    numbers.backfill("y", concurrency=1)
    assert numbers.count_rows("y is not null") == 1000


def test_commits_come_by_granularity_or_once(db: leman.Connection) -> None:
    data = pa.table({"x": pa.array(range(100), pa.int64())})
    partial = db.create_table("partial", data, max_rows_per_file=10)
    partial.add_columns({"y": plus_one})
    before = partial.version
    result = partial.backfill("y", commit_granularity=None, concurrency=1)
    assert partial.version == before + 1 and result.metrics["commits"] == 1
    fine = db.create_table("fine", data, max_rows_per_file=10)
    fine.add_columns({"y": plus_one})

    @leman.udf
    def slow(x: int) -> int:
        import time

        time.sleep(0.01)
        return x + 1

    result = fine.backfill("y", udf=slow, commit_granularity=1, concurrency=1, task_size=10)
    assert result.metrics["commits"] > 3


def test_an_old_version_can_be_read(numbers: leman.Table) -> None:
    numbers.add_columns({"y": plus_one})
    version = numbers.version
    numbers.add(pa.table({"x": pa.array([5000], pa.int64())}))
    result = numbers.backfill("y", read_version=version, concurrency=1)
    assert result.rows_computed == 1000
    assert numbers.count_rows("y is null") == 1


def test_an_empty_table_is_done_at_once(db: leman.Connection) -> None:
    table = db.create_table("empty", schema=pa.schema([("x", pa.int64())]))
    table.add_columns({"y": plus_one})
    result = table.backfill("y")
    assert (result.status, result.rows_computed) == ("DONE", 0)


def test_nulls_and_texts_and_vectors_and_structs(db: leman.Connection) -> None:
    table = db.create_table("texts", pa.table({"text": ["a b", None, "", "ü ß c"]}), max_rows_per_file=2)

    @leman.udf
    def words(text: str | None) -> int | None:
        return None if text is None else len(text.split())

    @leman.udf(data_type=pa.list_(pa.float32(), 3))
    def vector(text: str | None) -> np.ndarray | None:
        return None if text is None else np.full(3, len(text), dtype=np.float32)

    @leman.udf(data_type=pa.struct([("n", pa.int64()), ("t", pa.list_(pa.string()))]))
    def parts(text: str | None) -> dict | None:
        return None if text is None else {"n": len(text), "t": text.split()}

    table.add_columns({"words": words, "vector": vector, "parts": parts})
    for name in ("words", "vector", "parts"):
        table.backfill(name, concurrency=2)
    assert column(table, "words") == [2, None, 0, 3]
    assert column(table, "vector") == [[3.0] * 3, None, [0.0] * 3, [5.0] * 3]
    assert column(table, "parts")[3] == {"n": 5, "t": ["ü", "ß", "c"]}


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
def test_every_file_version_in_use_is_written_as_the_table_is(db: leman.Connection, version: str) -> None:
    data = pa.table({"x": pa.array(range(40), pa.int64())})
    table = db.create_table("t", data, data_storage_version=version, max_rows_per_file=20)

    @leman.udf(data_type=pa.struct([("a", pa.int64()), ("b", pa.list_(pa.int64()))]))
    def nested(x: int) -> dict:
        return {"a": x, "b": [x, x]}

    table.add_columns({"y": plus_one, "s": nested})
    table.backfill("y", concurrency=2, batch_size=7)
    table.backfill("s", concurrency=2, batch_size=7)
    assert column(table, "y") == list(range(1, 41))
    assert column(table, "s") == [{"a": x, "b": [x, x]} for x in range(40)]


def test_two_columns_at_once_and_an_append_meanwhile(numbers: leman.Table, db: leman.Connection) -> None:
    @leman.udf
    def slow(x: int) -> int:
        import time

        time.sleep(0.001)
        return x + 1

    numbers.add_columns({"a": slow, "b": slow})
    first = numbers.backfill_async("a", concurrency=1, commit_granularity=1)
    second = db.open_table("numbers").backfill_async("b", concurrency=1, commit_granularity=1)
    db.open_table("numbers").add(pa.table({"x": pa.array([7000], pa.int64())}))
    assert first.result(60).status == second.result(60).status == "DONE"
    table = db.open_table("numbers")
    assert table.count_rows("a is not null and b is not null and a = x + 1 and b = x + 1") == 1000
    assert table.count_rows() == 1001


def test_nothing_is_left_behind(numbers: leman.Table, tmp_path: pathlib.Path) -> None:
    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", concurrency=2, batch_size=30)
    root = tmp_path / "db" / "numbers.lance"
    assert not [path for path in (root / "_leman" / "checkpoints").rglob("*") if path.is_file()]
    assert not [path for path in (root / "data").iterdir() if path.suffix != ".lance"]


def test_what_leman_writes_lancedb_reads(numbers: leman.Table, tmp_path: pathlib.Path) -> None:
    import lancedb

    numbers.add_columns({"y": plus_one})
    numbers.backfill("y", concurrency=2, batch_size=30)
    table = lancedb.connect(str(tmp_path / "db")).open_table("numbers")
    assert table.search().where("y = 500").to_list()[0]["x"] == 499
    table.optimize()
    table.delete("y < 10")
    assert table.count_rows("y = x + 1") == 991
    fresh = leman.connect(str(tmp_path / "db")).open_table("numbers")
    assert fresh.backfill("y", concurrency=1).rows_computed == 0


def test_a_bundle_of_small_fragments_that_workers_share_keeps_its_rows_in_place(numbers: leman.Table) -> None:
    @leman.udf
    def slow_square(x: int) -> int:
        time.sleep(0.002)
        return x * x

    numbers.add_columns({"y": slow_square})
    result = numbers.backfill("y", concurrency=2, progress=False)
    assert result.rows_computed == 1000
    assert numbers.to_arrow()["y"].to_pylist() == [x * x for x in range(1000)]


def test_a_column_of_json_is_filled_with_texts(db: leman.Connection) -> None:
    table = db.create_table("documents", pa.table({"x": pa.array(['{"a":1}', None, "[]"], pa.json_())}))

    def same(x: pa.Array) -> pa.Array:
        return x

    table.add_columns({"y": leman.udf(data_type=pa.json_())(same)})
    table.backfill("y", concurrency=1)
    assert table.to_arrow()["y"].to_pylist() == ['{"a":1}', None, "[]"]
