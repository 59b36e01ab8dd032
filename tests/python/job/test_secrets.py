"""Secrets and names from outside: what is written holds no secret, and no name leads out of its place."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pytest

import leman

SECRET = "leman-marker-secret-8f1c"


def test_no_secret_of_the_environment_or_of_storage_options_is_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(tmp_path / "config"))
    db = leman.connect(str(tmp_path / "db"), storage_options={"secret_access_key": SECRET})
    table = db.create_table("t", pa.table({"x": pa.array(range(100), pa.int64())}))

    @leman.udf(on_error=leman.Skip(ValueError))
    def sees_it(x: int) -> int:
        import os

        assert os.environ["AWS_SECRET_ACCESS_KEY"]
        if x == 3:
            raise ValueError("no")
        if x == 50:
            raise RuntimeError("the end")
        return x

    table.add_columns({"y": sees_it})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=10)
    table.backfill("y", concurrency=1, where="x != 50")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("errors" in path.parts for path in written) and any("jobs" in path.parts for path in written)
    for path in written:
        assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x"])
def test_names_that_lead_elsewhere_go_nowhere(numbers: leman.Table, tmp_path: pathlib.Path, name: str) -> None:
    @leman.udf
    def same(x: int) -> int:
        return x

    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(pathlib.Path(numbers.uri))}
    with pytest.raises(ValueError, match="job_id"):
        numbers.backfill("x", udf=same, job_id=name)
    with pytest.raises(ValueError):
        numbers.connection.get_job(name)
    with pytest.raises(ValueError):
        numbers.get_errors(job_id=name)
    with pytest.raises(ValueError):
        numbers.connection.create_table(name, {"x": [1]})
    with pytest.raises(ValueError):
        numbers.connection.open_table(name)
    try:
        numbers.add_columns({name: same})
        numbers.backfill(name, concurrency=1)
    except (ValueError, leman.LemanError):
        pass
    assert before == {path for path in tmp_path.rglob("*") if not path.is_relative_to(pathlib.Path(numbers.uri))}
    assert not pathlib.Path("/x").exists()
