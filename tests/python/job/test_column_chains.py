"""Columns whose functions read other columns that functions fill."""

from __future__ import annotations

import os
import typing

import pyarrow as pa
import pytest

import leman

from .conftest import CallLog
from .test_backfill import column

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Parts(typing.NamedTuple):
    half: int
    rest: int


@leman.udf
def divided(x: int) -> leman.Columns[Parts]:
    return Parts(x // 2, x % 2)


@leman.udf
def quarter(half: int | None) -> int | None:
    return None if half is None else half // 2


@leman.udf
def total(quarter: int, rest: int) -> int:
    return quarter + rest


@pytest.fixture
def chained(numbers: leman.Table) -> leman.Table:
    numbers.add_columns(divided)
    numbers.add_columns({"quarter": quarter})
    numbers.add_columns({"total": total})
    return numbers


def test_columns_are_filled_after_those_they_read(chained: leman.Table) -> None:
    results = chained.backfill(["total", "rest", "quarter", "half"], concurrency=1)
    jobs = [chained.connection.get_job(result).column for result in results]
    assert jobs == ["half, rest", "quarter", "total"]
    assert [result.rows_computed for result in results] == [1000, 1000, 1000]
    assert column(chained, "total") == [x // 2 // 2 + x % 2 for x in range(1000)]
    again = chained.backfill(["total", "quarter", "half"], concurrency=1)
    assert [result.rows_computed for result in again] == [0, 0, 0]


def test_a_new_function_at_the_start_recomputes_what_follows(chained: leman.Table) -> None:
    chained.backfill(["half", "quarter", "total"], concurrency=1)

    def other(x: int) -> leman.Columns[Parts]:
        return Parts(-x, 0)

    chained.alter_columns({"path": "half", "udf": leman.udf(other)})
    results = chained.backfill(["half", "quarter", "total"], concurrency=1)
    assert [result.rows_computed for result in results] == [1000, 1000, 1000]
    assert column(chained, "total") == [-x // 2 for x in range(1000)]


def test_a_function_of_the_whole_row_comes_last(chained: leman.Table) -> None:
    @leman.udf(data_type=pa.int64())
    def count(batch: pa.RecordBatch) -> pa.Array:
        assert not any(batch.column("total").is_null().to_pylist())
        return pa.array([batch.num_columns] * batch.num_rows)

    chained.add_columns({"count": count})
    results = chained.backfill(["count", "total", "quarter", "half"], concurrency=1)
    assert chained.connection.get_job(results[-1]).column == "count"
    assert column(chained, "count") == [5] * 1000


def test_a_circle_is_refused_when_it_is_made(chained: leman.Table) -> None:
    before = chained.version
    with pytest.raises(ValueError, match="depend on each other in a circle, half -> total -> quarter -> half"):
        chained.alter_columns({"path": "rest", "udf": divided, "input_columns": ["total"]})
    assert chained.version == before


def test_wrong_arguments_are_found_before_the_first_job(chained: leman.Table) -> None:
    for arguments, error, message in [
        ({"col_name": []}, ValueError, r"col_name=\[\]: expected at least one"),
        ({"col_name": ["half", 3]}, TypeError, "expected column names"),
        ({"col_name": ["half", "quartr"]}, leman.ColumnNotFoundError, "Did you mean 'quarter'"),
        ({"col_name": ["half", "x"]}, ValueError, "column 'x' has no function"),
        ({"col_name": ["half", "total"], "udf": total}, ValueError, "udf=…: for one column"),
        ({"col_name": ["half", "total"], "job_id": "j"}, ValueError, "job_id='j': names one job"),
        ({"col_name": ["half", "total"], "read_version": 1}, ValueError, "read_version=1: for one column"),
        ({"col_name": ["half", "total"], "concurency": 1}, TypeError, "Did you mean 'concurrency'"),
        ({"col_name": ["half", "total"], "concurrency": 0}, ValueError, "concurrency=0"),
    ]:
        with pytest.raises(error, match=message):
            chained.backfill(**arguments)
    assert chained.connection.list_jobs() == []


@leman.udf(version="1")
def plus(x: int) -> int:
    return x + 1


@leman.udf(data_type=pa.int64(), version="1")
def squared(x: pa.Array) -> pa.Array:
    return pa.array([v * v for v in x.to_pylist()], pa.int64())


@leman.udf(version="1")
def named(x: int | None) -> str:
    return f"row {x}"


def independent(table: leman.Table, **more: object) -> leman.Table:
    table.add_columns({"plus": plus, "squared": squared, "named": named, **more})
    table.add_columns(divided)
    return table


COLUMNS = ["plus", "squared", "named", "half"]


def assert_filled(table: leman.Table, xs: list[int]) -> None:
    assert column(table, "plus") == [x + 1 for x in xs]
    assert column(table, "squared") == [x * x for x in xs]
    assert column(table, "named") == [f"row {x}" for x in xs]
    assert column(table, "half") == [x // 2 for x in xs]
    assert column(table, "rest") == [x % 2 for x in xs]


def test_shared_inputs_are_read_once(numbers: leman.Table) -> None:
    independent(numbers)
    numbers.delete("x % 100 = 7")
    results = numbers.backfill(COLUMNS, concurrency=2, intra_applier_concurrency=2)
    assert [result.rows_computed for result in results] == [990] * 4
    assert results[0].metrics["bytes_read"] > 0
    assert [result.metrics["bytes_read"] for result in results[1:]] == [0, 0, 0]
    assert [result.metrics.get("rows_computed_alongside") for result in results] == [None, 990, 990, 990]
    assert_filled(numbers, [x for x in range(1000) if x % 100 != 7])
    assert [r.rows_computed for r in numbers.backfill(COLUMNS)] == [0] * 4


def test_what_is_done_is_not_computed_alongside(numbers: leman.Table) -> None:
    independent(numbers)
    numbers.backfill("squared", num_frags=4, concurrency=1)
    numbers.backfill("plus", num_frags=2, concurrency=1)
    results = numbers.backfill(COLUMNS, concurrency=1)
    assert [result.rows_computed for result in results] == [800, 600, 1000, 1000]
    assert results[3].metrics["bytes_read"] > 0  # Of the two fragments that the first job did not read.
    assert_filled(numbers, list(range(1000)))


def test_a_failure_of_a_column_is_that_of_its_own_job(numbers: leman.Table, calls: CallLog) -> None:
    path = calls.path

    @leman.udf(version="1")
    def picky(x: int) -> int:
        with open(path, "ab") as log:
            log.write(b".")
        if x == 550:
            raise ValueError("not this one")
        return x

    independent(numbers, picky=picky)
    with pytest.raises(leman.UserFunctionError, match=r"column 'picky'.*not this one"):
        numbers.backfill(["plus", "picky", "squared"], concurrency=1)
    assert column(numbers, "plus") == [x + 1 for x in range(1000)]
    assert calls.count < 1000 + 110  # The fragments that were done alongside are not computed again.
    numbers.backfill("squared", concurrency=1)
    assert column(numbers, "squared") == [x * x for x in range(1000)]


def test_a_column_that_ends_the_process_does_not_hurt_the_others(numbers: leman.Table) -> None:
    @leman.udf(version="1")
    def deadly(x: int) -> int:
        if x == 333:
            os._exit(1)
        return x

    independent(numbers, deadly=deadly)
    with pytest.raises(leman.WorkerCrashError, match="column 'deadly'"):
        numbers.backfill(["plus", "deadly"], concurrency=2)
    assert column(numbers, "plus") == [x + 1 for x in range(1000)]


def test_a_class_that_cannot_be_made_is_told_by_its_own_job(numbers: leman.Table) -> None:
    @leman.udf(version="1")
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model here")

        def __call__(self, x: int) -> int:
            return x

    independent(numbers, broken=Broken())
    with pytest.raises(leman.LemanError, match="no model here"):
        numbers.backfill(["plus", "broken"], concurrency=1)
    assert column(numbers, "plus") == [x + 1 for x in range(1000)]


@pytest.mark.parametrize("arguments", [{"where": "x < 500"}, {"batch_size": 30}, {"checkpoint_size": 17}])
def test_other_arguments(numbers: leman.Table, arguments: dict[str, object]) -> None:
    independent(numbers)
    results = numbers.backfill(COLUMNS, concurrency=2, **arguments)
    rows = 500 if "where" in arguments else 1000
    assert [result.rows_computed for result in results] == [rows] * 4
    assert column(numbers, "squared")[:500] == [x * x for x in range(500)]
    assert column(numbers, "named")[500:] == ([f"row {x}" for x in range(500, 1000)] if rows == 1000 else [None] * 500)
