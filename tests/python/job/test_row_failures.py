"""Rows on which the function fails: retried, skipped and recorded, or the end of the job."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import leman

from .conftest import CallLog
from .test_backfill import column

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def bad_multiples_of_100(x: int) -> int:
    if x % 100 == 0:
        raise ValueError(f"cannot take {x}")
    return x


def bad_batches(x: pa.Array) -> pa.Array:
    for value in x.to_pylist():
        if value % 100 == 0:
            raise ValueError(f"cannot take {value}")
    return pc.add(x, 0)


def bad_record_batches(batch: pa.RecordBatch) -> pa.Array:
    return bad_batches(batch["x"])


@pytest.mark.parametrize("function", [bad_multiples_of_100, bad_batches, bad_record_batches])
def test_skipped_rows_are_null_counted_and_recorded(numbers: leman.Table, function) -> None:
    numbers.add_columns({"y": leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())(function)})
    result = numbers.backfill("y", concurrency=2)
    assert result.status == "DONE"
    assert result.rows_skipped == 10
    assert column(numbers, "y") == [None if x % 100 == 0 else x for x in range(1000)]
    errors = numbers.get_errors(job_id=result.job_id, column_name="y", error_type="ValueError")
    assert sorted((error.fragment_id, error.row) for error in errors) == [(fragment, 0) for fragment in range(10)]
    messages = {error.error_message for error in errors}
    assert messages == {f"cannot take {x}" for x in range(0, 1000, 100)}
    assert all(error.attempts == 1 and "cannot take" in error.traceback + error.error_message for error in errors)
    with pytest.raises(leman.ColumnNotFoundError, match="column_name='Y': the table has no such column"):
        numbers.get_errors(column_name="Y")
    numbers.drop_columns(["y"])
    assert numbers.get_errors(column_name="y") == errors


@pytest.mark.parametrize("function", [bad_multiples_of_100, bad_batches])
def test_skipped_rows_are_placed_right_beside_deleted_and_unselected_ones(numbers: leman.Table, function) -> None:
    numbers.delete("x % 7 = 0 or x = 1")
    numbers.add_columns({"y": leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())(function)})
    result = numbers.backfill("y", where="x % 2 = 0", concurrency=1)
    bad = [x for x in range(0, 1000, 100) if x % 7 != 0]
    assert result.rows_skipped == len(bad)
    assert sorted(e.fragment_id * 100 + e.row for e in numbers.get_errors(job_id=result.job_id)) == bad
    rows = numbers.to_arrow().to_pydict()
    expected = {x: x if x % 2 == 0 and x % 100 != 0 else None for x in rows["x"]}
    assert dict(zip(rows["x"], rows["y"], strict=True)) == expected


def test_without_a_policy_the_row_is_named_and_the_job_fails(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(bad_multiples_of_100)})
    with pytest.raises(leman.UserFunctionError, match=r"column 'y', row 0 of fragment \d+: .*ValueError: cannot take"):
        numbers.backfill("y", concurrency=1)
    assert numbers.connection.list_jobs()[0].status == "FAILED"


def test_the_first_matcher_wins_and_a_pattern_is_searched_in_the_message(numbers: leman.Table) -> None:
    policy = [leman.Fail(ValueError, match="take 5.."), leman.Skip(ValueError)]
    numbers.add_columns({"y": leman.udf(on_error=policy)(bad_multiples_of_100)})
    with pytest.raises(leman.UserFunctionError, match="cannot take 500"):
        numbers.backfill("y", concurrency=1)


def test_retries_are_made_until_the_row_succeeds(numbers: leman.Table, tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path)

    @leman.udf(on_error=leman.Retry(ConnectionError, max_attempts=3, backoff="fixed"))
    def flaky(x: int) -> int:
        import os

        if x in (3, 700):
            marks = [name for name in os.listdir(folder) if name.startswith(f"mark-{x}-")]
            if len(marks) < 2:
                open(os.path.join(folder, f"mark-{x}-{len(marks)}"), "w").close()
                raise ConnectionError("not yet")
        return x

    numbers.add_columns({"y": flaky})
    result = numbers.backfill("y", concurrency=1)
    assert (result.rows_skipped, column(numbers, "y")) == (0, list(range(1000)))


def test_used_up_retries_fall_to_a_later_skip(numbers: leman.Table) -> None:
    policy = [leman.Retry(ValueError, match="take 300", max_attempts=2, backoff="fixed"), leman.Skip(ValueError)]
    numbers.add_columns({"y": leman.udf(on_error=policy)(bad_multiples_of_100)})
    result = numbers.backfill("y", concurrency=1)
    attempts = {error.error_message: error.attempts for error in numbers.get_errors(job_id=result.job_id)}
    assert attempts["cannot take 300"] == 2
    assert attempts["cannot take 400"] == 1


def test_too_many_skipped_rows_fail_the_job(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(on_error=leman.skip_on_error(max_skip_count=3))(bad_multiples_of_100)})
    with pytest.raises(leman.UserFunctionError, match=r"max_skip_count=3; the last one: ValueError: cannot take"):
        numbers.backfill("y", concurrency=1)
    limited = leman.udf(on_error=leman.skip_on_error(max_skip_fraction=0.001))(bad_multiples_of_100)
    with pytest.raises(leman.UserFunctionError, match=r"of 1000 rows were skipped.*max_skip_fraction=0.001"):
        numbers.backfill("y", udf=limited, concurrency=1)


def test_a_batch_of_the_wrong_length_is_never_skipped(numbers: leman.Table) -> None:
    @leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())
    def short(x: pa.Array) -> pa.Array:
        return x[1:]

    numbers.add_columns({"y": short})
    with pytest.raises(leman.UserFunctionError, match="'short' returned 31 values; expected 32, one for each row"):
        numbers.backfill("y", concurrency=1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: pa.array([str(v) for v in x.to_pylist()]), "type string"),
        (lambda x: "text", "returned str 'text'; expected a pyarrow.Array"),
        (lambda x: None, "returned NoneType None"),
        (lambda x: pc.divide(x.cast(pa.float64()), 2.0), "type double"),
    ],
)
def test_a_batch_of_the_wrong_type_is_an_error_that_shows_it(numbers: leman.Table, function, message: str) -> None:
    def wrong(x: pa.Array) -> pa.Array:
        return function(x)

    numbers.add_columns({"y": leman.udf(data_type=pa.int64())(wrong)})
    with pytest.raises(leman.UserFunctionError, match=message):
        numbers.backfill("y", concurrency=1)


def test_a_value_that_does_not_fit_is_an_error_that_shows_it(numbers: leman.Table) -> None:
    @leman.udf(data_type=pa.int8())
    def large(x: int) -> int:
        return x

    numbers.add_columns({"y": large})
    with pytest.raises(leman.UserFunctionError, match=r"row 28 of fragment 1.*128.*int8"):
        numbers.backfill("y", concurrency=1)


@pytest.mark.parametrize(
    ("data_type", "function", "row", "shown"),
    [
        (pa.int8(), lambda x: pa.array(x), 128, r"returned 128 \(int\).*expected int8"),
        (pa.int8(), lambda x: x.tolist(), 128, r"returned 128 \(int\).*expected int8"),
        (pa.int64(), lambda x: np.where(x == 250, np.nan, x), 250, "returned np.float64\\(nan\\).*expected int64"),
        (pa.int64(), lambda x: [str(v) if v == 250 else int(v) for v in x], 250, r"returned '250' \(str\).*int64"),
        (pa.string(), lambda x: [int(v) if v == 250 else "a" for v in x], 250, r"returned 250 \(int\).*string"),
        (pa.list_(pa.int8()), lambda x: [[1, int(v)] for v in x], 128, r"returned \[1, 128\] \(list\).*list<"),
        (pa.list_(pa.float32(), 2), lambda x: [[1.0] * (3 if v == 250 else 2) for v in x], 250, r"\[1.0, 1.0, 1.0\]"),
        (pa.struct({"a": pa.int8()}), lambda x: [{"a": int(v)} for v in x], 128, r"\{'a': 128\} \(dict\).*struct<a"),
        (pa.struct({"a": pa.int8()}), lambda x: {"a": pa.array(x)}, 128, r"returned 128 \(int\).*expected int8"),
    ],
)
@pytest.mark.parametrize("matchers", [None, leman.skip_on_error()], ids=["plain", "never skipped"])
def test_a_value_of_a_batch_that_does_not_fit_is_shown_with_its_row(
    numbers: leman.Table, data_type: pa.DataType, function, row: int, shown: str, matchers
) -> None:
    def wrong(x: pa.Array) -> pa.Array:
        return function(x.to_numpy())

    numbers.add_columns({"y": leman.udf(data_type=data_type, on_error=matchers)(wrong)})
    with pytest.raises(
        leman.UserFunctionError,
        match=f"row {row % 100} of fragment {row // 100}.*'wrong' {'' if shown[0] == 'r' else '.*'}{shown}",
    ):
        numbers.backfill("y", concurrency=1)


def fixed(x: int) -> int:
    return x


def test_rows_that_were_skipped_are_retried_and_no_others(numbers: leman.Table, calls: CallLog) -> None:
    path = calls.path

    @leman.udf
    def counted(x: int) -> int | None:
        with open(path, "ab", buffering=0) as file:
            file.write(b".")
        return None if x == 0 else x

    numbers.add_columns({"y": leman.udf(on_error=leman.skip_on_error())(bad_multiples_of_100)})
    skipped = numbers.backfill("y", where="x < 900", concurrency=1)
    assert skipped.rows_skipped == 9
    numbers.delete("x = 100")
    result = numbers.backfill("y", udf=counted, retry_failed=True, where="x != 200", concurrency=1)
    assert (result.rows_total, result.rows_computed, calls.count) == (7, 7, 7)
    assert [error.error_message for error in numbers.get_errors()] == ["cannot take 100", "cannot take 200"]
    numbers.backfill("y", udf=counted, retry_failed=True, concurrency=1)
    assert calls.count == 8
    # The row that was deleted is not there to be retried.
    assert [error.error_message for error in numbers.get_errors(job_id=skipped.job_id)] == ["cannot take 100"]
    assert numbers.backfill("y", udf=counted, retry_failed=True, concurrency=1).rows_computed == 0
    rows = numbers.to_arrow().to_pydict()
    expected = [x if 0 < x < 900 else None for x in rows["x"]]
    assert rows["y"] == expected


def test_rows_that_fail_again_stay_recorded_by_the_job_that_retried_them(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(on_error=leman.skip_on_error())(bad_multiples_of_100)})
    numbers.backfill("y", concurrency=1)
    version = numbers.version
    again = numbers.backfill("y", retry_failed=True, concurrency=2)
    assert (again.status, again.rows_total, again.rows_skipped) == ("DONE", 10, 10)
    assert {error.job_id for error in numbers.get_errors()} == {again.job_id}
    assert numbers.version > version
    # Nothing of it makes a plain backfill think that there is something to do.
    assert numbers.backfill("y", concurrency=1).rows_computed == 0


def test_a_fixed_function_fills_the_rows_that_the_old_one_skipped(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())(bad_batches)})
    numbers.backfill("y", concurrency=1)
    result = numbers.backfill("y", udf=leman.udf(fixed), retry_failed=True, concurrency=2)
    assert (result.rows_computed, result.rows_skipped) == (10, 0)
    assert column(numbers, "y") == list(range(1000))
    assert numbers.get_errors() == []


def test_retry_failed_is_checked_at_the_call(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(fixed)})
    with pytest.raises(TypeError, match="retry_failed='yes': expected True or False"):
        numbers.backfill("y", retry_failed="yes")
    with pytest.raises(ValueError, match="leave out num_frags"):
        numbers.backfill("y", retry_failed=True, num_frags=1)


def test_errors_are_listed_on_the_command_line(numbers: leman.Table, tmp_path: pathlib.Path) -> None:
    from click.testing import CliRunner

    from leman.cli import cli

    numbers.add_columns({"y": leman.udf(on_error=leman.skip_on_error())(bad_multiples_of_100)})
    numbers.backfill("y", concurrency=1)
    shown = CliRunner().invoke(cli, ["errors", str(tmp_path / "db"), "numbers"])
    assert shown.exit_code == 0
    assert "y  fragment 3 row 0  ValueError: cannot take 300" in shown.output


def test_a_function_that_raises_an_interrupt_fails_the_job(numbers: leman.Table) -> None:
    @leman.udf
    def scalar(x: int) -> int:
        if x == 7:
            raise KeyboardInterrupt
        return x

    @leman.udf(data_type=pa.int64())
    def batch(x: pa.Array) -> pa.Array:
        raise KeyboardInterrupt

    @leman.udf
    async def waiting(x: int) -> int:
        raise KeyboardInterrupt

    for name, function in {"s": scalar, "b": batch, "w": waiting}.items():
        numbers.add_columns({name: function})
        with pytest.raises(leman.UserFunctionError, match="KeyboardInterrupt"):
            numbers.backfill(name, concurrency=1, timeout=60, progress=False)


def test_a_class_that_cannot_be_made_is_named_with_its_own_frames(numbers: leman.Table) -> None:
    @leman.udf
    class Model:
        def setup(self) -> None:
            raise RuntimeError("no model")

        def __call__(self, x: int) -> int:
            return x

    numbers.add_columns({"y": Model()})
    with pytest.raises(leman.UserFunctionError) as caught:
        numbers.backfill("y", concurrency=1, progress=False)
    told = str(caught.value)
    assert "a worker could not be set up: function 'Model' raised RuntimeError: no model\n" in told
    assert told.count('  File "') == 1 and "in setup" in told
