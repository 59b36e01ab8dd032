"""Large values on S3 are uploaded once, as parts of the data file itself; nothing of that is lost or left behind."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys
import time

import lance
import pyarrow as pa
import pytest

import leman
from leman.lance_cleanup import clean_table
from leman.object_door import open_door

from .s3_server import Proxy, S3Server

_VALUE_BYTES = 512 << 10
_ROWS = 60
_PART_BYTES = 5 << 20


@leman.udf(data_type=pa.binary(), version="1")
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(_VALUE_BYTES)


def _blobs(db: leman.Connection, rows: int = _ROWS) -> leman.Table:
    table = db.create_table("blobs", pa.table({"x": pa.array(range(rows), pa.int64())}))
    table.add_columns({"y": payload})
    return table


def _check(db: leman.Connection, options: dict[str, str], rows: int = _ROWS) -> None:
    read = lance.dataset(db.table_uri("blobs"), storage_options=options).to_table().to_pydict()
    assert read["x"] == list(range(rows))
    assert read["y"] == [random.Random(x).randbytes(_VALUE_BYTES) for x in read["x"]]


def _left(server: S3Server, db: leman.Connection) -> list[str]:
    """Return what lies in the checkpoints' folders."""
    root = server.objects / db.uri.rpartition("/")[2]
    return [path.name for path in root.glob("blobs.lance/_leman/checkpoints/*/*") if path.is_file()]


def _uploads(db: leman.Connection, options: dict[str, str]) -> list[str]:
    door = open_door(db.table_uri("blobs"), options)
    return [key for folder in ("data", "_leman/checkpoints") for key, _ in door.pending_uploads(folder)]


@pytest.mark.parametrize("checkpoint_size", [20, 1000])
def test_each_byte_is_written_once(db, options, proxy: Proxy, server: S3Server, checkpoint_size: int) -> None:
    table = _blobs(db)
    proxy.reset()
    result = table.backfill("y", concurrency=2, checkpoint_size=checkpoint_size)
    assert result.metrics["fragments_placed"] == 1
    data_bytes = _ROWS * _VALUE_BYTES
    # A worker that was held up may leave its last rows to the other one, too few for a part of their own.
    copied_bytes = result.metrics["bytes_copied"]
    assert copied_bytes < _PART_BYTES
    assert result.metrics["write_amplification"] < 1.01 + copied_bytes / data_bytes
    # Those few go up once more, in front of a part.
    assert data_bytes < proxy.bytes_up < 1.02 * data_bytes + copied_bytes
    # A copy inside the store has no body, and an answer that says so.
    copies = [path for method, path, size in proxy.traffic if "partNumber" in path and size < 1024 and method == "PUT"]
    assert len(copies) <= bool(copied_bytes) + len([p for m, p in proxy.requests if m == "POST" and "uploads" in p])
    _check(db, options)
    assert _left(server, db) == []
    assert _uploads(db, options) == []


@pytest.mark.long
def test_small_checkpoints_are_copied_behind_the_parts(db, options, proxy: Proxy, server: S3Server) -> None:
    @leman.udf(data_type=pa.binary(), version="1")
    def payload(x: int) -> bytes:
        # What can be made smaller is left to Lance's writer.
        return random.Random(x).randbytes(_VALUE_BYTES) if x < 40 else bytes([x]) * _VALUE_BYTES

    table = db.create_table("blobs", pa.table({"x": pa.array(range(_ROWS), pa.int64())}))
    table.add_columns({"y": payload})
    result = table.backfill("y", concurrency=1, checkpoint_size=20)
    assert result.metrics["fragments_placed"] == 1
    assert result.metrics["bytes_copied"] > 0
    read = lance.dataset(db.table_uri("blobs"), storage_options=options).to_table().to_pydict()
    assert read["y"] == [payload(x) for x in range(_ROWS)]
    assert _left(server, db) == []


@pytest.mark.long
def test_vectors_are_uploaded_once(db, options) -> None:
    width = 3072

    @leman.udf(data_type=pa.list_(pa.float32(), width), version="1")
    def embed(x: int) -> list[float]:
        return [float(x)] * width

    rows = 1600
    table = db.create_table("blobs", pa.table({"x": pa.array(range(rows), pa.int64())}))
    table.add_columns({"y": embed})
    result = table.backfill("y", concurrency=1, checkpoint_size=800)
    assert result.metrics["fragments_placed"] == 1
    assert result.metrics["write_amplification"] < 1.01
    column = lance.dataset(db.table_uri("blobs"), storage_options=options).to_table(columns=["y"])["y"]
    assert [value[0].as_py() for value in column] == [float(x) for x in range(rows)]


@pytest.fixture
def interrupted(db, options, proxy: Proxy) -> leman.Table:
    """A table whose job ended after it had uploaded 40 rows of 60."""

    @leman.udf(data_type=pa.binary(), version="1")
    def payload(x: int) -> bytes:
        if x >= 40:
            raise ValueError("not yet")
        return random.Random(x).randbytes(_VALUE_BYTES)

    table = db.create_table("blobs", pa.table({"x": pa.array(range(_ROWS), pa.int64())}))
    table.add_columns({"y": payload})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=20)
    return table


def test_a_later_run_takes_what_was_uploaded(db, options, interrupted: leman.Table, server: S3Server) -> None:
    assert len([name for name in _left(server, db) if name.endswith(".parts")]) == 2
    assert len(_uploads(db, options)) == 1
    result = interrupted.backfill("y", udf=payload, concurrency=1, checkpoint_size=20)
    assert result.rows_computed == 20
    assert result.metrics["fragments_placed"] == 1
    _check(db, options)
    assert _left(server, db) == []
    assert _uploads(db, options) == []


@pytest.mark.long
def test_what_is_gone_is_computed_again(db, options, interrupted: leman.Table, server: S3Server) -> None:
    door = open_door(db.table_uri("blobs"), options)
    for key, _ in door.pending_uploads("data"):
        door.delete(key)
    assert _uploads(db, options) == []
    result = interrupted.backfill("y", udf=payload, concurrency=1, checkpoint_size=20)
    assert result.status == "DONE"
    _check(db, options)
    assert _left(server, db) == []
    assert _uploads(db, options) == []
    (_, job) = sorted(db.list_jobs("blobs"), key=lambda job: job.launched_at)
    assert any("lost" in event for event in map(str, job.events))


def test_cleaning_up_aborts_what_was_announced(db, options, interrupted: leman.Table, server: S3Server) -> None:
    time.sleep(1.1)  # S3's times are of whole seconds.
    planned = clean_table(db.table_uri("blobs"), options, dry_run=True, grace_s=0.0)
    assert len([item for item in planned["would_remove"] if item["file"].endswith(".upload")]) == 1
    assert len(_uploads(db, options)) == 1
    clean_table(db.table_uri("blobs"), options, grace_s=0.0)
    assert _uploads(db, options) == []
    assert _left(server, db) == []


_DRIVER = """
import os, random, sys
import pyarrow as pa
import leman

@leman.udf(data_type=pa.binary(), version="1")
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(512 << 10)

table = leman.connect(sys.argv[1]).open_table("blobs")
table.backfill("y", udf=payload, concurrency=1, checkpoint_size=20)
"""


@pytest.mark.parametrize(
    "moment",
    ["in the middle", *(pytest.param(at, marks=pytest.mark.long) for at in ("before completing", "before the commit"))],
)
def test_a_killed_driver_is_gone_on_from(
    db, options, proxy: Proxy, server: S3Server, tmp_path: pathlib.Path, moment: str
) -> None:
    _blobs(db)
    script = tmp_path / "driver.py"
    script.write_text(_DRIVER)
    names = {name.upper().replace("ALLOW", "AWS_ALLOW"): value for name, value in options.items()}
    records = 0

    def kill(method: str, path: str) -> None:
        nonlocal records
        records += method == "PUT" and ".parts" in path
        is_moment = {
            "in the middle": records == 2,
            "before completing": method == "POST" and "uploadId" in path and "/data/" in path,
            "before the commit": method == "PUT" and "_transactions" in path,
        }[moment]
        if is_moment:
            driver.kill()

    proxy.fault = kill
    driver = subprocess.Popen([sys.executable, str(script), db.uri], env={**os.environ, **names})
    assert driver.wait(120) == -9
    proxy.fault = lambda method, path: None
    time.sleep(2)
    result = db.open_table("blobs").backfill("y", udf=payload, concurrency=1, checkpoint_size=20)
    assert result.rows_computed == (20 if moment == "in the middle" else 0)
    _check(db, options)
    assert _left(server, db) == []
    assert _uploads(db, options) == []


@pytest.mark.long
def test_it_can_be_turned_off(db, options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMAN_S3_WRITE_ONCE", "0")
    result = _blobs(db).backfill("y", concurrency=1, checkpoint_size=20)
    assert result.metrics["fragments_stitched"] == 1
    _check(db, options)
