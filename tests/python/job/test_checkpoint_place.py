"""Checkpoints that lie elsewhere than in their table: another folder, another file system."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import tempfile
from collections.abc import Iterator

import pyarrow as pa
import pytest

import leman
from leman import cli
from leman.checkpoint_place import VARIABLE, existing_root
from leman.lance_cleanup import clean_table

from .conftest import CallLog


@pytest.fixture(params=["same file system", "another one"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    if request.param == "same file system":
        yield tmp_path / "checkpoints"
        return
    memory = pathlib.Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    folder = tempfile.mkdtemp(dir=memory)
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


@leman.udf(data_type=pa.binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(100_000)


@leman.udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
def blob(x: int) -> bytes | None:
    return None if x % 5 == 0 else random.Random(x).randbytes(1000 * (x % 7))


@leman.udf(data_type=pa.list_(pa.struct([("n", pa.int64()), ("s", pa.string())])))
def nested(x: int) -> list[dict[str, object]]:
    return [{"n": i, "s": str(i)} for i in range(x % 4)]


def _files(folder: pathlib.Path | str) -> set[str]:
    root = pathlib.Path(folder)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _checkpoints(folder: pathlib.Path | str) -> set[str]:
    return {name for name in _files(folder) if "/checkpoints/" in name}


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@pytest.mark.parametrize("checkpoint_size", [20, 100])
@pytest.mark.parametrize("function", [payload, blob, nested], ids=lambda function: function.name)
def test_values_are_those_of_checkpoints_in_the_table(
    tmp_path: pathlib.Path, place: pathlib.Path, function: leman.UserFunction, checkpoint_size: int, version: str
) -> None:
    numbers = pa.table({"x": pa.array(range(200), pa.int64())})
    db = leman.connect(tmp_path / "db", checkpoint_uri=place)
    table = db.create_table("numbers", numbers, max_rows_per_file=100, data_storage_version=version)
    table.add_columns({"y": function})
    result = table.backfill("y", concurrency=2, checkpoint_size=checkpoint_size)
    assert result.rows_computed == 200
    assert result.metrics["bytes_placed"] == 0
    dataset = table.to_lance()
    if function is blob:
        addresses = dataset.to_table(columns=[], with_row_address=True)["_rowaddr"].to_pylist()
        found = [taken if taken is None else taken.read() for taken in dataset.take_blobs("y", addresses=addresses)]
    else:
        found = dataset.to_table(columns=["y"])["y"].to_pylist()
    assert found == [function(x) for x in range(200)]
    assert _checkpoints(place) == set()
    assert _checkpoints(table.uri) == set()
    assert not [name for name in _files(table.uri) if name.endswith(".tmp")]


@pytest.fixture
def flag(tmp_path: pathlib.Path) -> pathlib.Path:
    """While this file is there, ``fragile`` fails on its last row."""
    path = tmp_path / "broken"
    path.touch()
    return path


@pytest.fixture
def fragile(flag: pathlib.Path, calls: CallLog) -> leman.UserFunction:
    log, broken = calls.path, str(flag)

    @leman.udf(version="1", data_type=pa.int64())
    def fragile(x: int) -> int:
        if x == 199 and os.path.exists(broken):
            raise ValueError("broken")
        with open(log, "ab", buffering=0) as file:
            file.write(b".")
        return 10 * x

    return fragile


def _table(db: leman.Connection, function: leman.UserFunction) -> leman.Table:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(200), pa.int64())}), max_rows_per_file=100)
    table.add_columns({"y": function})
    return table


def _fail(table: leman.Table) -> None:
    with pytest.raises(leman.UserFunctionError, match="broken"):
        table.backfill("y", concurrency=1, checkpoint_size=20, commit_granularity=None)


def test_a_run_resumes_where_its_predecessor_kept_its_checkpoints(
    tmp_path: pathlib.Path,
    place: pathlib.Path,
    flag: pathlib.Path,
    fragile: leman.UserFunction,
    calls: CallLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, str(place))
    _fail(_table(leman.connect(tmp_path / "db"), fragile))
    assert len(_checkpoints(place)) >= 9
    assert _checkpoints(tmp_path / "db") == set()
    flag.unlink()
    calls.clear()
    # The same table, by another path: it knows which folder is its own.
    (tmp_path / "link").symlink_to(tmp_path / "db")
    table = leman.connect(tmp_path / "link").open_table("numbers")
    assert table.plan_backfill("y").rows_resumed >= 180
    result = table.backfill("y", concurrency=1, checkpoint_size=20)
    assert result.rows_computed == calls.count <= 20
    root = existing_root(table.connection, "numbers")
    assert f"checkpoints are kept in {root}" in str(table.connection.get_job(result).events)
    assert cli.run(["show", str(tmp_path / "db"), "numbers"]) == 0
    assert f"checkpoints: {root}\n" in capsys.readouterr().out
    assert table.to_arrow()["y"].to_pylist() == [10 * x for x in range(200)]
    assert _checkpoints(place) == set()


def test_what_was_computed_is_found_after_a_compaction(
    tmp_path: pathlib.Path, place: pathlib.Path, flag: pathlib.Path, fragile: leman.UserFunction
) -> None:
    db = leman.connect(tmp_path / "db", checkpoint_uri=place)
    table = _table(db, fragile)
    _fail(table)
    flag.unlink()
    table.to_lance().delete("x in (3, 120)")
    table.to_lance().optimize.compact_files(target_rows_per_fragment=1000)
    table = db.open_table("numbers")
    assert table.backfill("y", concurrency=1, checkpoint_size=20).rows_computed <= 20
    assert table.to_arrow()["y"].to_pylist() == [10 * x for x in range(200) if x not in (3, 120)]
    assert _checkpoints(place) == set()


def test_without_the_variable_nothing_is_found_and_with_it_clean_removes_what_was_left(
    tmp_path: pathlib.Path,
    flag: pathlib.Path,
    fragile: leman.UserFunction,
    calls: CallLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "checkpoints"
    elsewhere = leman.connect(tmp_path / "db", checkpoint_uri=place)
    _fail(_table(elsewhere, fragile))
    left = _checkpoints(place)
    flag.unlink()
    calls.clear()
    plain = leman.connect(tmp_path / "db").open_table("numbers")
    assert plain.plan_backfill("y").rows_resumed == 0
    assert plain.backfill("y", concurrency=1, checkpoint_size=20).rows_computed == calls.count == 200
    assert plain.to_arrow()["y"].to_pylist() == [10 * x for x in range(200)]
    assert clean_table(plain.uri, grace_s=0.0)["files"] == 0
    assert _checkpoints(place) == left
    root = existing_root(elsewhere, "numbers")
    planned = clean_table(plain.uri, dry_run=True, checkpoint_root=root, grace_s=0.0)
    assert {item["file"] for item in planned["would_remove"]} == {str(place / name) for name in left}
    monkeypatch.setenv(VARIABLE, str(place))
    assert cli.run(["clean", str(tmp_path / "db"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"]["files"] == len(left)
    assert _checkpoints(place) == set()


def test_tables_of_one_name_in_two_databases_have_folders_of_their_own(
    tmp_path: pathlib.Path, flag: pathlib.Path, fragile: leman.UserFunction, calls: CallLog
) -> None:
    place = tmp_path / "checkpoints"
    first = leman.connect(tmp_path / "first", checkpoint_uri=place)
    second = leman.connect(tmp_path / "second", checkpoint_uri=place)
    one, other = _table(first, fragile), _table(second, fragile)
    _fail(one)
    left = _checkpoints(place)
    flag.unlink()
    calls.clear()
    assert other.backfill("y", concurrency=1, checkpoint_size=20).rows_computed == calls.count == 200
    assert clean_table(other.uri, checkpoint_root=existing_root(second, "numbers"), grace_s=0.0)["files"] == 0
    second.drop_table("numbers")
    assert _checkpoints(place) == left
    assert [path.name for path in place.iterdir()] == [os.path.basename(existing_root(first, "numbers"))]
    assert one.backfill("y", concurrency=1, checkpoint_size=20).rows_computed <= 20


def test_a_table_that_is_made_anew_sees_nothing_of_its_predecessor(
    tmp_path: pathlib.Path, fragile: leman.UserFunction
) -> None:
    place = tmp_path / "checkpoints"
    db = leman.connect(tmp_path / "db", checkpoint_uri=place)
    _fail(_table(db, fragile))
    leman.connect(tmp_path / "db").drop_table("numbers")
    assert _checkpoints(place)
    table = _table(db, fragile)
    assert table.plan_backfill("y").rows_resumed == 0
    assert not os.path.exists(existing_root(db, "numbers") or tmp_path / "none")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "expected a folder, or s3://"),
        ("s4://bucket/x", r"'s4://bucket/x': expected a folder, or s3://"),
        ("s3://", "names no bucket"),
        ("s3://key:very-secret@bucket/x", "do not belong into it"),
        ("az://container/x?sig=very-secret", "do not belong into it"),
        ("FILE", "is a file"),
        ("TABLE", "is a table"),
    ],
)
@pytest.mark.parametrize("source", ["checkpoint_uri", VARIABLE])
def test_what_is_no_place_is_refused_at_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str, source: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    table = leman.connect(tmp_path / "db").create_table("t", pa.table({"x": [1]}))
    value = {"FILE": str(file), "TABLE": table.uri}.get(value, value)
    monkeypatch.setenv(VARIABLE, value)
    if source == VARIABLE and not value:
        assert leman.connect(tmp_path / "db").checkpoint_uri is None
        return
    with pytest.raises(ValueError, match=f"{source}=.*{message}") as caught:
        leman.connect(tmp_path / "db", checkpoint_uri=value if source == "checkpoint_uri" else None)
    assert "very-secret" not in str(caught.value)
    with pytest.raises(TypeError, match=r"checkpoint_uri=3: expected a folder, or s3://.*got int"):
        leman.connect(tmp_path / "db", checkpoint_uri=3)  # type: ignore[arg-type]


def test_a_place_that_cannot_be_written_is_told_before_any_work(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fragile: leman.UserFunction, calls: CallLog
) -> None:
    _table(leman.connect(tmp_path / "db"), fragile)
    monkeypatch.setenv(VARIABLE, "/proc/nowhere")
    table = leman.connect(tmp_path / "db").open_table("numbers")
    with pytest.raises(OSError, match=r"LEMAN_CHECKPOINT_URI='/proc/nowhere': checkpoints cannot be written there"):
        table.backfill_async("y")
    assert calls.count == 0
    (pathlib.Path(table.uri) / "_leman" / "checkpoint_place.json").write_text("{}")
    with pytest.raises(leman.CorruptDataError, match=r"checkpoint_place.json does not say where"):
        table.backfill("y")
