"""Values that no function expects: each is refused at the call, in a message that names it and is not long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import leman

HUGE = 10**30
LONG = "x" * 5000


@leman.udf
def plus_one(x: int) -> int:
    return x + 1


@pytest.fixture
def table(tmp_path: Path) -> leman.Table:
    made = leman.connect(tmp_path).create_table("numbers", pa.table({"x": range(10)}))
    made.add_columns({"y": plus_one})
    return made


@pytest.mark.parametrize(
    "argument",
    [
        "concurrency", "intra_applier_concurrency", "commit_granularity", "task_shuffle_diversity", "batch_size",
        "num_frags", "skip_frags", "task_size", "checkpoint_size", "min_checkpoint_size", "max_checkpoint_size",
        "memory", "read_version",
    ],
)  # fmt: skip
def test_numbers_that_no_machine_counts_to(table: leman.Table, argument: str) -> None:
    with pytest.raises(ValueError, match=rf"^{argument}=1000+: expected an integer from \d to 9223372036854775807$"):
        table.backfill("y", **{argument: HUGE})
    assert table.connection.list_jobs() == []


@pytest.mark.parametrize("argument", ["resources", "label_selector"])
@pytest.mark.parametrize("value", ["", 0, []])
def test_what_is_no_dict_is_not_taken_for_an_empty_one(table: leman.Table, argument: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^{argument}=.*expected a dict"):
        table.backfill("y", **{argument: value})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t.connection.open_table("numbers", version=HUGE), ValueError, "^version=1000"),
        (lambda t: t.checkout(HUGE), ValueError, "^version=1000"),
        (lambda t: t.checkout(1.5), TypeError, r"^version=1\.5: expected an integer"),
        (lambda t: t.restore(0), ValueError, "^version=0: expected an integer >= 1"),
        (lambda t: leman.connect("a\0b"), ValueError, r"^uri='a\\x00b': .* NUL"),
        (lambda t: leman.connect("s3:/bucket/db"), ValueError, "^uri='s3:/bucket/db': expected s3:// with two slashes"),
        (lambda t: leman.connect("http://me:secret@host/db"), ValueError, r"^uri='http://me:\*\*\*@host/db': .* s3://"),
        (lambda t: leman.connect("S3://bucket/db"), ValueError, "^uri='S3://bucket/db': expected a folder, or a URI"),
        (lambda t: leman.connect(__file__), ValueError, r"\.py' is a file; expected a folder"),
        (lambda t: leman.connect("no_such").open_table("t"), leman.TableNotFoundError, "there is no folder .*no_such"),
        (lambda t: t.get_errors(column_name=1), TypeError, "^column_name=1: expected a str"),
        (lambda t: t.get_errors(error_type=ValueError), TypeError, "^error_type=.*expected a str"),
        (lambda t: t.get_errors(column_name="Y"), leman.ColumnNotFoundError, "no such column. Did you mean 'y'"),
        (lambda t: plus_one.preview("numbers"), TypeError, "^table='numbers': expected a table"),
        (lambda t: leman.native_udf(LONG + ".so", "f"), FileNotFoundError, "no such file"),
        (lambda t: leman.native_udf("a\0.so", "f"), FileNotFoundError, "no such file"),
    ],
)
def test_wrong_values_are_named(
    table: leman.Table, call: Callable[[leman.Table], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(table)


def test_a_long_value_is_not_shown_in_full(table: leman.Table) -> None:
    with pytest.raises(TypeError, match=r"^concurrency='xxx.*…: expected an integer") as caught:
        table.backfill("y", concurrency=LONG)
    assert len(str(caught.value)) < 400
