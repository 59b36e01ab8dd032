"""Every way in which a native function fails without a crash: named, bounded, skipped where asked for, and resumed."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

import leman

FAULTS = {1: "cannot take 1", 2: "m" * 900, 3: r"not \\xff\\xfe text", 4: "", 5: ""}


@pytest.fixture
def table(tmp_path: Path) -> leman.Table:
    rows = pa.table({"x": pa.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], pa.int64())})
    return leman.connect(tmp_path / "db").create_table("t", rows, max_rows_per_file=5)


@pytest.mark.parametrize("name", ["fail_by", "fail_by_batch"])
def test_rows_that_fail_are_skipped_and_recorded(table: leman.Table, sample_library: Path, name: str) -> None:
    skipping = leman.native_udf(sample_library, name, input_columns=["x"], on_error=leman.skip_on_error())
    table.add_columns({"y": skipping})
    result = table.backfill("y", concurrency=1, progress=False)
    assert (result.status, result.rows_skipped, result.metrics["worker_deaths"]) == ("DONE", len(FAULTS), 0)
    expected = [None if x in FAULTS else x * 10 for x in range(10)]
    assert table.to_arrow().column("y").to_pylist() == expected
    recorded = {error.fragment_id * 5 + error.row: error for error in table.get_errors(job_id=result.job_id)}
    assert sorted(recorded) == sorted(FAULTS)
    for x, error in recorded.items():
        assert error.error_type == "leman.errors.NativeFunctionError"
        assert len(error.error_message) <= 2000
        assert re.search(FAULTS[x], error.error_message)


@pytest.mark.parametrize("name", ["fail_by", "fail_by_batch"])
@pytest.mark.parametrize("x", [1, 3])
def test_without_a_policy_the_job_fails_and_goes_on(tmp_path: Path, sample_library: Path, name: str, x: int) -> None:
    table = leman.connect(tmp_path / "db").create_table("t", pa.table({"x": pa.array([0, x], pa.int64())}))
    table.add_columns({"y": leman.native_udf(sample_library, name, input_columns=["x"])})
    at = "row 1" if name == "fail_by" else "rows 0 to 1"
    expected = rf"(?s)column 'y', {at} of fragment 0: {name}\(\).*{FAULTS[x][:100]}"
    with pytest.raises(leman.UserFunctionError, match=expected) as caught:
        table.backfill("y", concurrency=1, progress=False)
    assert len(str(caught.value)) < 5000
    job = table.connection.list_jobs()[0]
    assert (job.status, job.metrics["worker_deaths"]) == ("FAILED", 0)
    skipping = leman.native_udf(sample_library, name, input_columns=["x"], on_error=leman.skip_on_error())
    assert table.backfill("y", udf=skipping, concurrency=1, progress=False).status == "DONE"
    assert table.to_arrow().column("y").to_pylist() == [0, None]


def test_a_batch_of_the_wrong_length_is_told(table: leman.Table, sample_library: Path) -> None:
    table.add_columns(
        {"y": leman.native_udf(sample_library, "too_short", input_columns=["x"], on_error=leman.skip_on_error())}
    )
    with pytest.raises(leman.UserFunctionError, match=r"column 'y'.*too_short\(\).*0.*rows"):
        table.backfill("y", concurrency=1, progress=False)
    assert table.connection.list_jobs()[0].metrics["worker_deaths"] == 0


@pytest.fixture
def numbers(tmp_path: Path) -> leman.Table:
    rows = pa.table({"x": pa.array(range(20), pa.int64())})
    return leman.connect(tmp_path / "db").create_table("numbers", rows, max_rows_per_file=10)


@pytest.mark.parametrize("name", ["stuck_on_seven", "stuck_on_seven_batch"])
def test_a_call_that_takes_too_long_meets_on_error(numbers: leman.Table, sample_library: Path, name: str) -> None:
    limited = leman.native_udf(
        sample_library, name, input_columns=["x"], timeout=0.3, on_error=leman.Skip(TimeoutError)
    )
    numbers.add_columns({"y": limited})
    result = numbers.backfill("y", concurrency=1, progress=False)
    assert (result.status, result.rows_skipped) == ("DONE", 1)
    assert numbers.to_arrow().column("y").to_pylist() == [None if x == 7 else x * 10 for x in range(20)]
    (error,) = numbers.get_errors(job_id=result.job_id)
    assert (error.fragment_id, error.row, error.error_type) == (0, 7, "FunctionTimeoutError")
    assert error.error_message == "the call took longer than its timeout of 0.3 s"
    if name == "stuck_on_seven":  # It tells its row: nothing is halved.
        assert result.metrics["worker_deaths"] == 1


def test_without_a_matcher_a_call_that_takes_too_long_fails_the_job(numbers: leman.Table, sample_library: Path) -> None:
    limited = leman.native_udf(sample_library, "stuck_on_seven", input_columns=["x"], timeout=0.3)
    numbers.add_columns({"y": limited})
    with pytest.raises(leman.FunctionTimeoutError, match=r"column 'y', row 7 of fragment 0: .*timeout of 0\.3 s"):
        numbers.backfill("y", concurrency=1, progress=False)


def test_batch_functions_see_the_rows_of_where_alone(numbers: leman.Table, sample_library: Path) -> None:
    sums = leman.native_udf(sample_library, "running_sum", input_columns=["x"])
    numbers.add_columns({"y": sums})
    numbers.backfill("y", concurrency=1, progress=False)
    whole = numbers.to_arrow().column("y").to_pylist()
    numbers.delete("x = 3")
    numbers.backfill("y", where="x % 2 = 1 AND x < 10", concurrency=1, progress=False)
    values = dict(zip(*(numbers.to_arrow().column(name).to_pylist() for name in ("x", "y")), strict=True))
    assert [values[x] for x in (1, 5, 7, 9)] == [1, 6, 13, 22]
    assert all(values[x] == whole[x] for x in range(20) if x % 2 == 0 or x > 10)
