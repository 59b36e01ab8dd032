"""Faults of an object store: every one has a clear outcome, and nothing that was computed is lost."""

from __future__ import annotations

import datetime
import itertools
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

import lance
import pyarrow as pa
import pytest

import leman
from leman.lance_cleanup import clean_table
from leman.object_door import ObjectDoor, open_door

from .s3_server import SECRET_KEY, Proxy, S3Server

_VALUE_BYTES = 512 << 10


@leman.udf(data_type=pa.binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(_VALUE_BYTES)


def _blobs(db: leman.Connection, rows: int = 60) -> leman.Table:
    table = db.create_table("blobs", pa.table({"x": pa.array(range(rows), pa.int64())}))
    table.add_columns({"y": payload})
    return table


def _check(db: leman.Connection, options: dict[str, str]) -> None:
    read = lance.dataset(db.table_uri("blobs"), storage_options=options).to_table().to_pydict()
    assert read["y"] == [random.Random(x).randbytes(_VALUE_BYTES) for x in read["x"]]


def test_a_storm_of_503_is_waited_out(db, options, proxy: Proxy) -> None:
    table = _blobs(db)
    turn = itertools.count()
    proxy.fault = lambda method, path: 503 if next(turn) % 3 == 0 else None
    proxy.reset()
    result = table.backfill("y", concurrency=2, checkpoint_size=20)
    assert result.status == "DONE"
    assert proxy.faults > 10
    proxy.fault = lambda method, path: None
    _check(db, options)


@pytest.mark.long
def test_a_slow_server_only_takes_longer(db, options, proxy: Proxy) -> None:
    table = _blobs(db)
    proxy.fault = lambda method, path: 0.03
    assert table.backfill("y", concurrency=2, checkpoint_size=20).status == "DONE"
    proxy.fault = lambda method, path: None
    _check(db, options)


def test_expired_credentials_end_the_job_clearly_and_it_resumes_with_new_ones(
    db, options, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMAN_S3_WRITE_ONCE", "0")
    table = _blobs(db)

    def expire_in_assembly(method: str, path: str) -> int | None:
        return 403 if expired.is_set() or (method == "PUT" and "partNumber" in path and "/data/" in path) else None

    expired = threading.Event()
    proxy.fault = expire_in_assembly
    with pytest.raises(leman.JobFailedError, match="credentials") as failed:
        table.backfill("y", concurrency=2, checkpoint_size=20)
    assert SECRET_KEY not in str(failed.value)
    proxy.fault = lambda method, path: None
    result = table.backfill("y", concurrency=2, checkpoint_size=20)
    assert result.rows_computed == 0
    assert result.rows_total == 60
    _check(db, options)


def test_a_server_killed_in_an_upload_and_started_again_is_waited_for(
    db, options, proxy: Proxy, server: S3Server
) -> None:
    table = _blobs(db)
    killed = threading.Event()

    def kill_once(method: str, path: str) -> None:
        if method == "PUT" and "partNumber" in path and "/data/" in path and not killed.is_set():
            killed.set()
            server.kill()
            threading.Timer(1.0, server.start).start()

    proxy.fault = kill_once
    assert table.backfill("y", concurrency=2, checkpoint_size=20).status == "DONE"
    assert killed.is_set()
    _check(db, options)


def test_a_server_that_stays_away_fails_the_job_which_resumes_and_leaves_no_upload(
    options, proxy: Proxy, server: S3Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMAN_S3_WRITE_ONCE", "0")
    impatient = {**options, "client_retry_timeout": "1", "client_max_retries": "1"}
    db = leman.connect(f"s3://bucket/{tmp_path.name}", storage_options=impatient)
    table = _blobs(db)
    gone = threading.Event()

    def go(method: str, path: str) -> None:
        if method == "PUT" and "partNumber" in path and "/data/" in path and not gone.is_set():
            gone.set()
            server.kill()

    proxy.fault = go
    with pytest.raises(leman.JobFailedError):
        table.backfill("y", concurrency=2, checkpoint_size=20)
    proxy.fault = lambda method, path: None
    server.start()
    # The job could not say goodbye: its lease and its record are there, and this process knows that it is over.
    door = open_door(db.table_uri("blobs"), options)
    assert door.entries("_leman/leases")
    (ended,) = db.list_jobs("blobs")
    assert (ended.status, ended.error_type) == ("FAILED", "DriverDied")
    assert door.pending_uploads("data")
    result = leman.connect(db.uri, storage_options=options).open_table("blobs").backfill("y", checkpoint_size=20)
    assert result.rows_computed == 0
    _check(db, options)
    time.sleep(1.1)  # S3's times are of whole seconds.
    clean_table(db.table_uri("blobs"), options, grace_s=0.0)
    assert not door.pending_uploads("data")
    _check(db, options)


_DRIVER = """
import json, sys
import leman

@leman.udf(version="1")
def tenfold(x: int) -> int:
    return x * 10

table = leman.connect(sys.argv[1], storage_options=json.loads(sys.stdin.readline())).open_table("numbers")
table.add_columns({"y": tenfold})
try:
    table.backfill("y", concurrency=1, checkpoint_size=25, job_id="lost", progress=False)
except leman.JobFailedError:
    print("ended", flush=True)
sys.stdin.readline()
"""


def _age(door: ObjectDoor, key: str, changes: dict[str, object]) -> None:
    """Make a lease or a record one that was written longer ago."""
    content = json.loads(door.get(key))
    door.put(key, json.dumps({**content, **changes}).encode())


@pytest.mark.long
def test_to_others_a_job_that_ended_while_its_store_was_away_is_lost_and_not_in_the_way(
    options, proxy: Proxy, server: S3Server, tmp_path: pathlib.Path
) -> None:
    uri = f"s3://bucket/{tmp_path.name}"
    db = leman.connect(uri, storage_options=options)
    table = db.create_table("numbers", pa.table({"x": pa.array(range(100), pa.int64())}))
    gone = threading.Event()

    def go(method: str, path: str) -> None:
        if method == "PUT" and "/data/" in path and gone.is_set() is False and "/checkpoints/" not in path:
            gone.set()
            server.kill()

    proxy.fault = go
    impatient = {**options, "client_retry_timeout": "1", "client_max_retries": "1"}
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert driver.stdin is not None and driver.stdout is not None
        driver.stdin.write(json.dumps(impatient) + "\n")
        driver.stdin.flush()
        assert driver.stdout.readline() == "ended\n"
        assert gone.is_set()
        proxy.fault = lambda method, path: None
        server.start()
        # Its process lives on; nobody can know yet that the job does not.
        assert db.get_job("lost").status == "RUNNING"
        with pytest.raises(leman.ColumnBusyError, match="is being filled by job lost"):
            table.backfill("y", progress=False)
        door = open_door(db.table_uri("numbers"), options)
        (lease,) = door.entries("_leman/leases")
        minute_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=61)
        _age(door, f"_leman/leases/{lease[0]}", {"renewed_at_us": int(minute_ago.timestamp() * 1e6)})
        _age(door, "_leman/jobs/lost.json", {"updated_at": minute_ago.isoformat()})
        job = db.get_job("lost")
        assert (job.status, job.error_type, job.is_over) == ("LOST", "DriverLost", False)
        assert f"s since {minute_ago:%Y-%m-%dT%H:%M:%SZ}: it ended while its storage was away" in str(job.error)
        assert [found.job_id for found in db.list_jobs(status="LOST")] == ["lost"]
        assert table.backfill("y", job_id="lost", progress=False).rows_computed == 0
        assert db.get_job("lost").status == "DONE"
        assert driver.poll() is None
    finally:
        driver.communicate("\n", timeout=30)
    assert table.to_arrow().column("y").to_pylist() == [x * 10 for x in range(100)]


def test_a_data_file_that_is_gone_is_named_at_once(db, server: S3Server) -> None:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(100), pa.int64())}))
    table.add_columns({"y": payload})
    (name,) = (file.path for file in table.to_lance().get_fragments()[0].metadata.files)
    (victim,) = server.objects.rglob(f"{name}")
    victim.rename(victim.with_suffix(".away"))
    with pytest.raises(leman.JobFailedError, match=f"data file {table.uri}/data/{name} of fragment 0 is missing"):
        table.backfill("y", progress=False)
