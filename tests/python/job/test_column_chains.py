"""Columns whose functions read other columns that functions fill."""

from __future__ import annotations

import typing

import pyarrow as pa
import pytest

import leman

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
