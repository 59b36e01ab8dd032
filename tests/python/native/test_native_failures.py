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
