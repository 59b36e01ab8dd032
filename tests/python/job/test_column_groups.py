"""Functions that fill several columns: added, filled, resumed, altered and dropped together."""

from __future__ import annotations

import dataclasses
import typing

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import leman

from .conftest import CallLog

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Split(typing.NamedTuple):
    tens: int
    text: str


@leman.udf
def split(x: int) -> leman.Columns[Split]:
    return Split(x // 10, f"row {x}")


def values(table: leman.Table, *names: str) -> list[tuple[typing.Any, ...]]:
    rows = table.to_arrow().sort_by("x")
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


EXPECTED = [(x // 10, f"row {x}") for x in range(1000)]


@pytest.mark.parametrize("named", ["tens", "text"])
def test_one_job_fills_all_siblings_whichever_is_named(numbers: leman.Table, named: str) -> None:
    numbers.add_columns(split)
    assert numbers.schema.field("tens").type == pa.int64() and numbers.schema.field("text").type == pa.string()
    result = numbers.backfill(named, concurrency=2, batch_size=30)
    assert values(numbers, "tens", "text") == EXPECTED
    assert result.rows_computed == 1000
    fragment = numbers.to_lance().get_fragments()[0].metadata
    assert sorted(len(file.fields) for file in fragment.files) == [1, 2]  # x alone, the siblings in one file
    assert numbers.connection.get_job(result.job_id).column == "tens, text"
    assert numbers.backfill("text").rows_computed == numbers.backfill("tens").rows_computed == 0


def by_order(x: int):
    return (x // 10, f"row {x}")


def by_name(x: int):
    return {"text": f"row {x}", "tens": x // 10}


def in_arrays(x: pa.Array) -> pa.Array:
    rows = x.to_pylist()
    return {"text": [f"row {v}" for v in rows], "tens": pa.array([v // 10 for v in rows])}


def in_a_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = batch.column("x").to_pylist()
    return pa.record_batch({"text": [f"row {v}" for v in rows], "tens": [v // 10 for v in rows]})


async def awaited(x: int):
    return Split(x // 10, f"row {x}")


@pytest.mark.parametrize("function", [by_order, by_name, in_arrays, in_a_batch, awaited])
def test_every_kind_of_function_can_fill_several_columns(numbers: leman.Table, function) -> None:
    made = leman.udf(data_type=pa.struct([("tens", pa.int64()), ("text", pa.string())]))(function)
    numbers.add_columns(leman.UnpackedUDF(made, prefix="x_"))
    numbers.backfill("x_text", concurrency=1)
    assert values(numbers, "x_tens", "x_text") == EXPECTED


def test_nested_values_lists_and_nulls(numbers: leman.Table) -> None:
    @dataclasses.dataclass
    class Seen:
        box: Split | None
        scores: list[float]
        label: str | None

    def look(x: int):
        if x % 3 == 0:
            return None
        return Seen(Split(x, "a") if x % 2 else None, [0.5] * (x % 4), None)

    look.__annotations__["return"] = leman.Columns[Seen]
    numbers.add_columns(leman.udf(look))
    numbers.backfill("label", concurrency=1, batch_size=40)
    for x, (box, scores, label) in enumerate(values(numbers, "box", "scores", "label")):
        expected = look(x)
        assert label is None
        if expected is None:
            assert (box, scores) == (None, None)
        else:
            assert box == (expected.box and expected.box._asdict()) and scores == expected.scores


def test_checkpoints_of_a_failed_job_are_used_by_the_next(numbers: leman.Table, calls: CallLog) -> None:
    log, limit = calls.path, 700

    @leman.udf(version="1")
    def fragile(x: int) -> leman.Columns[Split]:
        with open(log, "a") as file:
            file.write(".")
        if x == limit:
            raise RuntimeError("stopped")
        return Split(x // 10, f"row {x}")

    numbers.add_columns(fragile)
    with pytest.raises(leman.UserFunctionError, match="column 'tens, text', row 0 of fragment 7"):
        numbers.backfill("tens", concurrency=1, batch_size=50, task_shuffle_diversity=1)
    limit = -1
    calls.clear()

    @leman.udf(version="1")
    def mended(x: int) -> leman.Columns[Split]:
        with open(log, "a") as file:
            file.write(".")
        return Split(x // 10, f"row {x}")

    numbers.backfill("tens", udf=mended, concurrency=1, batch_size=50)
    assert values(numbers, "tens", "text") == EXPECTED
    assert calls.count <= 350


def test_a_filter_keeps_the_other_rows_of_all_siblings(numbers: leman.Table) -> None:
    numbers.add_columns(split)
    numbers.backfill("tens", where="x >= 500", concurrency=1)
    assert values(numbers, "tens", "text") == [(None, None)] * 500 + EXPECTED[500:]

    def negative(x: int) -> leman.Columns[Split]:
        return Split(-x, "new")

    numbers.alter_columns({"path": "text", "udf": leman.udf(negative)})
    numbers.backfill("text", where="x % 2 = 0 and x > 600", concurrency=1)
    kept = [(None, None)] * 500 + EXPECTED[500:]
    assert values(numbers, "tens", "text") == [(-x, "new") if x % 2 == 0 and x > 600 else kept[x] for x in range(1000)]
    numbers.backfill("tens", concurrency=1)
    assert values(numbers, "tens", "text") == [(-x, "new") for x in range(1000)]


def test_appended_deleted_and_compacted_rows(numbers: leman.Table) -> None:
    numbers.add_columns(split)
    numbers.backfill("tens", concurrency=1)
    numbers.delete("x % 10 = 3")
    numbers.add(pa.table({"x": pa.array(range(1000, 1100), pa.int64())}))
    assert numbers.backfill("text", concurrency=1).rows_computed == 100
    numbers.to_lance().optimize.compact_files()
    assert numbers.backfill("text", concurrency=1).rows_computed == 0
    assert values(numbers, "tens", "text") == [(x // 10, f"row {x}") for x in range(1100) if x >= 1000 or x % 10 != 3]
    numbers.alter_columns({"path": "text", "udf": leman.udf(version="2")(split.__wrapped__)})
    assert numbers.backfill("tens", concurrency=1).rows_computed == 1000


def test_skipped_rows_are_null_in_all_siblings_and_can_be_retried(numbers: leman.Table) -> None:
    def picky(x: int) -> leman.Columns[Split]:
        if x % 100 == 7:
            raise ValueError("seven")
        return Split(x, "fine")

    numbers.add_columns(leman.udf(on_error=leman.skip_on_error(), version="1")(picky))
    assert numbers.backfill("tens", concurrency=1).rows_skipped == 10
    assert [x for x, row in enumerate(values(numbers, "tens", "text")) if row == (None, None)] == list(
        range(7, 1000, 100)
    )
    assert len(numbers.get_errors(column_name="text")) == len(numbers.get_errors(column_name="tens, text")) == 10

    def patient(x: int) -> leman.Columns[Split]:
        return Split(x, "fine")

    again = leman.udf(version="1")(patient)
    assert numbers.backfill("text", udf=again, retry_failed=True, concurrency=1).rows_computed == 10
    assert values(numbers, "tens", "text") == [(x, "fine") for x in range(1000)]


def test_siblings_are_altered_and_dropped_together(numbers: leman.Table) -> None:
    numbers.add_columns([split, leman.UnpackedUDF(split, prefix="more_")])
    numbers.alter_columns({"path": "more_text", "name": "renamed"})
    numbers.backfill("renamed", concurrency=1)
    assert values(numbers, "more_tens", "renamed") == EXPECTED
    numbers.drop_columns(["more_tens"])
    assert numbers.schema.names == ["x", "tens", "text"]
    numbers.to_lance().drop_columns(["tens"])  # another program
    with pytest.raises(ValueError, match=r"columns for \['tens'\] of its function, which another program dropped"):
        numbers.backfill("text")
    numbers.drop_columns(["text"])
    assert numbers.schema.names == ["x"]


def test_what_cannot_be_is_refused_before_any_work(numbers: leman.Table) -> None:
    with pytest.raises(TypeError, match=r"function 'split' fills several columns.*UnpackedUDF"):
        numbers.add_columns({"y": split})
    with pytest.raises(ValueError, match="column 'tens' would be added twice"):
        numbers.add_columns([split, split])

    @leman.udf
    def one(x: int) -> int:
        return x

    with pytest.raises(TypeError, match=r"fills one column, which needs a name"):
        numbers.add_columns(one)
    with pytest.raises(TypeError, match=r"'one' returns int64, one value"):
        leman.UnpackedUDF(one)
    with pytest.raises(TypeError, match="prefix=3: expected a str"):
        leman.UnpackedUDF(split, prefix=3)
    assert numbers.schema.names == ["x"]
    numbers.add_columns(split)
    with pytest.raises(ValueError, match="column 'tens' exists already"):
        numbers.add_columns(split)
    with pytest.raises(TypeError, match=r"column 'tens, text' is struct<.*>, but function 'one' makes int64"):
        numbers.alter_columns({"path": "tens", "udf": one})

    def reads_sibling(text: str) -> leman.Columns[Split]:
        return Split(1, text)

    with pytest.raises(ValueError, match="would read 'text', the column that it fills"):
        numbers.alter_columns({"path": "tens", "udf": leman.udf(reads_sibling)})


def test_a_batch_function_whose_columns_do_not_fit_is_named(numbers: leman.Table) -> None:
    @leman.udf
    def wrong(x: pa.Array) -> leman.Columns[Split]:
        return {"tens": pc.add(x, 1), "txt": x}

    numbers.add_columns(wrong)
    with pytest.raises(leman.UserFunctionError, match=r"'wrong' returned columns \['tens', 'txt'\]; expected"):
        numbers.backfill("tens", concurrency=1)
