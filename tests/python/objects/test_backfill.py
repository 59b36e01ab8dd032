"""Backfills of tables on S3, with pylance as the reader."""

from __future__ import annotations

import pathlib
import random

import lance
import pyarrow as pa
import pytest

import leman

from .s3_server import SECRET_KEY, Proxy, S3Server


@leman.udf(data_type=pa.int64())
def plus_one(x: int) -> int:
    return x + 1


def _read(db: leman.Connection, name: str, options: dict[str, str]) -> dict[str, list[object]]:
    return lance.dataset(db.table_uri(name), storage_options=options).to_table().to_pydict()


def _numbers(db: leman.Connection, rows: int = 1000, rows_per_file: int = 250) -> leman.Table:
    table = db.create_table(
        "numbers", pa.table({"x": pa.array(range(rows), pa.int64())}), max_rows_per_file=rows_per_file
    )
    table.add_columns({"y": plus_one})
    return table


def test_a_column_is_filled_and_a_second_run_has_nothing_to_do(db, options, server: S3Server) -> None:
    table = _numbers(db)
    result = table.backfill("y", concurrency=2)
    assert result.status == "DONE"
    assert result.rows_computed == 1000
    read = _read(db, "numbers", options)
    assert read["y"] == [x + 1 for x in read["x"]]
    again = table.backfill("y", concurrency=2)
    assert again.rows_computed == 0
    assert [job.status for job in db.list_jobs("numbers")] == ["DONE", "DONE"]
    own = server.objects / db.uri.rpartition("/")[2]
    left = [p for p in own.rglob("*") if p.is_file() and "/_leman/" in str(p)]
    assert left
    assert {p.parent.name for p in left} <= {"jobs", "udfs"}


def test_no_secret_is_written_or_shown(db, server: S3Server) -> None:
    table = _numbers(db)
    result = table.backfill("y", concurrency=1)
    assert SECRET_KEY not in repr(db) + repr(table) + repr(result) + str(result.as_dict())
    prefix = server.objects / db.uri.rpartition("/")[2]
    files = [path for path in prefix.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if SECRET_KEY.encode() in path.read_bytes()]
    wrong = {**db.storage_options, "aws_access_key_id": "somebody-else"}
    with pytest.raises(Exception) as refused:
        leman.connect(db.uri, storage_options=wrong).open_table("numbers").backfill("y")
    assert SECRET_KEY not in str(refused.value)


def test_several_checkpoints_of_a_fragment_are_joined_inside_the_store(
    db, options, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMAN_S3_WRITE_ONCE", "0")

    @leman.udf(data_type=pa.binary())
    def payload(x: int) -> bytes:
        return random.Random(x).randbytes(512 << 10)

    rows = 60
    table = db.create_table("blobs", pa.table({"x": pa.array(range(rows), pa.int64())}))
    table.add_columns({"y": payload})
    proxy.reset()
    result = table.backfill("y", concurrency=2, checkpoint_size=20)
    assert result.status == "DONE"
    assert result.metrics["fragments_stitched"] == 1
    parts = [path for method, path in proxy.requests if method == "PUT" and "partNumber" in path and "leman-" in path]
    assert len(parts) >= 4
    for x, y in zip(*_read(db, "blobs", options).values(), strict=True):
        assert y == random.Random(x).randbytes(512 << 10)


def test_checkpoints_too_small_to_be_copied_are_told_of(db, proxy: Proxy) -> None:
    @leman.udf(data_type=pa.list_(pa.float64(), 16384))
    def vector(x: int) -> list[float]:
        return [float(x)] * 16384

    table = db.create_table("vectors", pa.table({"x": pa.array(range(100), pa.int64())}))
    table.add_columns({"y": vector, "z": vector})
    small, cost = "checkpoints of 8 rows have about 1.0 MiB", "about 25 MiB go through the driver"
    planned = str(table.plan_backfill("y", checkpoint_size=8))
    assert small in planned
    assert cost in planned
    proxy.reset()
    told: list[str] = []
    result = table.backfill("y", concurrency=2, checkpoint_size=8, progress=Told(told))
    assert [text for text in told if small in text and cost in text and "take 64 rows or more" in text]
    assert small in str(db.get_job(result).events)
    assert result.metrics["bytes_streamed"] == result.metrics["bytes_assembled"] == result.metrics["bytes_copied"]
    # Read and written: what was told.
    assert 1.9 < proxy.bytes_of_assembly() / result.metrics["bytes_assembled"] < 2.3
    told.clear()
    assert "note          checkpoints" not in str(table.plan_backfill("z", checkpoint_size=50))
    result = table.backfill("z", concurrency=2, checkpoint_size=50, progress=Told(told))
    assert result.metrics["bytes_streamed"] < 100_000
    assert told == []


class Told:
    """A sink of progress that keeps messages."""

    def __init__(self, messages: list[str]) -> None:
        self._messages = messages

    def start(self, snapshot: object) -> None: ...

    def update(self, snapshot: dict[str, object]) -> None:
        if snapshot.get("message"):
            self._messages.append(str(snapshot["message"]))

    def finish(self, result: object) -> None: ...


@pytest.mark.parametrize(
    ("version", "checkpoint_size"),
    [("2.2", 8), *(pytest.param(*case, marks=pytest.mark.long) for case in (("2.0", 8), ("2.1", 8), ("2.2", 100)))],
)
def test_blobs_are_joined_inside_the_store(db, options, version: str, checkpoint_size: int) -> None:
    @leman.udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
    def payload(x: int) -> bytes | None:
        sizes = [100, 1_000_000, 0, None]
        return None if sizes[x % 4] is None else random.Random(x).randbytes(sizes[x % 4])

    table = db.create_table("blobs", pa.table({"x": pa.array(range(48), pa.int64())}), data_storage_version=version)
    table.add_columns({"b": payload})
    result = table.backfill("b", concurrency=2, checkpoint_size=checkpoint_size)
    assert result.metrics["bytes_copied"] > 12_000_000
    assert result.metrics["bytes_reencoded"] < 10_000
    dataset = lance.dataset(table.uri, storage_options=options)
    addresses = dataset.to_table(columns=[], with_row_address=True)["_rowaddr"].to_pylist()
    found = dataset.take_blobs("b", addresses=addresses)
    assert [blob if blob is None else blob.read() for blob in found] == [payload(x) for x in range(48)]


def test_skipped_rows_are_recorded_and_found(db) -> None:
    @leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())
    def picky(x: int) -> int:
        if x == 7:
            raise ValueError("not seven")
        return x

    table = db.create_table("numbers", pa.table({"x": pa.array(range(20), pa.int64())}))
    table.add_columns({"y": picky})
    assert table.backfill("y", concurrency=1).rows_skipped == 1
    assert [error.row for error in table.get_errors()] == [7]


@pytest.fixture
def flag(tmp_path: pathlib.Path) -> pathlib.Path:
    """While this file is there, ``fragile`` fails."""
    path = tmp_path / "broken"
    path.touch()
    return path


@pytest.fixture
def fragile(flag: pathlib.Path) -> leman.UserFunction:
    path = str(flag)

    @leman.udf(data_type=pa.int64())
    def fragile(x: int) -> int:
        if x == 999 and pathlib.Path(path).exists():
            raise ValueError("broken")
        return x * 2

    return fragile


def test_a_failed_run_is_resumed(db, options, flag, fragile) -> None:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}), max_rows_per_file=500)
    table.add_columns({"y": fragile})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=100)
    flag.unlink()
    result = table.backfill("y", concurrency=1, checkpoint_size=100)
    assert 0 < result.rows_computed < 1000
    read = _read(db, "numbers", options)
    assert read["y"] == [2 * x for x in read["x"]]


def test_what_was_computed_is_found_after_a_compaction(db, options, flag, fragile) -> None:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}), max_rows_per_file=500)
    table.add_columns({"y": fragile})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=100, commit_granularity=None)
    flag.unlink()
    dataset = lance.dataset(db.table_uri("numbers"), storage_options=options)
    dataset.delete("x in (3, 700)")
    dataset.optimize.compact_files(target_rows_per_fragment=1000)
    result = db.open_table("numbers").backfill("y", concurrency=1, checkpoint_size=100)
    assert result.rows_computed == 100
    read = _read(db, "numbers", options)
    assert read["y"] == [2 * x for x in read["x"]]
    assert len(read["x"]) == 998
