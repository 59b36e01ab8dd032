"""What a worker computed is uploaded while it computes what comes next; nothing counts before it is durable."""

from __future__ import annotations

import pathlib
import random
import threading
import time
from collections.abc import Callable

import lance
import pyarrow as pa
import pytest

import leman

from .s3_server import Proxy, S3Server

_VALUE_BYTES = 512 << 10
_ROWS = 60
_CHECKPOINT_ROWS = 20
_PATIENCE_S = 30.0


def _function(calls: pathlib.Path, data_type: pa.DataType) -> leman.UDF:
    """Values of half a MiB; each call is noted in a file."""
    path = str(calls)

    @leman.udf(data_type=data_type, version="1")
    def payload(x: int) -> bytes | dict[str, bytes]:
        with open(path, "ab", buffering=0) as file:
            file.write(b"%d\n" % x)
        value = random.Random(x).randbytes(_VALUE_BYTES)
        return {"value": value} if pa.types.is_struct(data_type) else value

    return payload


def _blobs(db: leman.Connection, function: leman.UDF) -> leman.Table:
    table = db.create_table("blobs", pa.table({"x": pa.array(range(_ROWS), pa.int64())}))
    table.add_columns({"y": function})
    return table


def _called(calls: pathlib.Path) -> int:
    return len(calls.read_text().split()) if calls.exists() else 0


def _wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def _check(db: leman.Connection, options: dict[str, str]) -> None:
    read = lance.dataset(db.table_uri("blobs"), storage_options=options).to_table().to_pydict()
    values = [y["value"] if isinstance(y, dict) else y for y in read["y"]]
    assert values == [random.Random(x).randbytes(_VALUE_BYTES) for x in range(_ROWS)]


@pytest.mark.parametrize("data_type", [pa.binary(), pa.struct([("value", pa.binary())])], ids=["plain", "struct"])
def test_the_next_rows_are_computed_while_a_checkpoint_is_uploaded(
    db, options, proxy: Proxy, server: S3Server, tmp_path: pathlib.Path, data_type: pa.DataType
) -> None:
    calls = tmp_path / "calls"
    table = _blobs(db, _function(calls, data_type))
    root = server.objects / db.uri.rpartition("/")[2] / "blobs.lance" / "_leman" / "checkpoints"
    first = threading.Event()
    seen: list[tuple[bool, bool]] = []

    def hold_the_first(method: str, path: str) -> None:
        if method != "PUT" or "partNumber" not in path or first.is_set():
            return
        first.set()
        # The upload is not over before this returns.
        overlapped = _wait_for(lambda: _called(calls) > _CHECKPOINT_ROWS)
        published = [name for name in root.rglob("*") if name.is_file() and name.suffix in (".parts", ".lance")]
        seen.append((overlapped, not published))

    proxy.fault = hold_the_first
    result = table.backfill("y", concurrency=1, batch_size=5, checkpoint_size=_CHECKPOINT_ROWS, progress=False)
    assert result.rows_computed == _ROWS
    assert seen == [(True, True)]
    assert _called(calls) == _ROWS
    _check(db, options)


def test_a_job_is_cancelled_while_an_upload_hangs_and_goes_on_later(
    db, options, proxy: Proxy, tmp_path: pathlib.Path
) -> None:
    function = _function(tmp_path / "calls", pa.binary())
    table = _blobs(db, function)
    held, go = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> None:
        if method == "PUT" and "partNumber" in path and not go.is_set():
            held.set()
            go.wait(_PATIENCE_S)

    proxy.fault = hold
    job = table.backfill_async("y", concurrency=1, batch_size=5, checkpoint_size=_CHECKPOINT_ROWS)
    assert held.wait(_PATIENCE_S)
    job.cancel()
    try:
        with pytest.raises(leman.JobCancelledError):
            job.result(timeout=_PATIENCE_S / 2)
        assert not go.is_set()
    finally:
        go.set()
    result = table.backfill("y", udf=function, concurrency=1, checkpoint_size=_CHECKPOINT_ROWS, progress=False)
    assert result.rows_computed == _ROWS
    _check(db, options)
