"""Rows with null arguments: a function that says it takes no None is not called on them."""

from __future__ import annotations

import typing

import pyarrow as pa
import pytest

import leman

from .test_backfill import column


@pytest.fixture
def table(db: leman.Connection) -> leman.Table:
    data = pa.table({"a": pa.array([1, None, 3, None] * 25, pa.int64()), "s": ["x", "y", None, None] * 25})
    return db.create_table("t", data)


def test_a_plain_annotation_takes_no_null_and_the_rows_are_counted(table: leman.Table) -> None:
    @leman.udf
    def size(a: int, s: str) -> int:
        return a + len(s)

    table.add_columns({"y": size})
    result = table.backfill("y", concurrency=1)
    assert column(table, "y") == [2, None, None, None] * 25
    assert result.metrics["rows_null_input"] == 75
    assert (result.rows_computed, result.rows_skipped) == (100, 0)
    job = table.connection.get_job(result.job_id)
    assert job.metrics["rows_null_input"] == 75


@pytest.mark.parametrize("annotation", [int | None, typing.Any, None])
def test_an_annotation_that_takes_none_or_says_nothing_gets_it(table: leman.Table, annotation: object) -> None:
    def or_zero(a):
        return 0 if a is None else a

    if annotation is not None:
        or_zero.__annotations__["a"] = annotation
    table.add_columns({"y": leman.udf(data_type=pa.int64())(or_zero)})
    result = table.backfill("y", concurrency=1)
    assert column(table, "y") == [1, 0, 3, 0] * 25
    assert result.metrics["rows_null_input"] == 0


def test_one_argument_may_be_null_and_another_not(table: leman.Table) -> None:
    @leman.udf
    def text(a: int | None, s: str) -> str:
        return f"{a}{s}"

    table.add_columns({"y": text})
    assert table.backfill("y", concurrency=1).metrics["rows_null_input"] == 50
    assert column(table, "y") == ["1x", "Noney", None, None] * 25
