"""What assembling a fragment on S3 moves through the client.

64 checkpoints of 16 MiB, one fragment of 1 GiB: written once, and copied inside the store; then a slow function,
whose checkpoints are cut by time.

Runs against versitygw (tools/bootstrap test builds it) behind a proxy that counts bytes.
"""

from __future__ import annotations

import os
import pathlib
import random
import sys
import tempfile
import time

import pyarrow as pa

import leman

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "python"))
from objects.conftest import options_for
from objects.s3_server import BUCKET, Proxy, S3Server, find_server

VALUE_BYTES = 1 << 20
ROWS_PER_CHECKPOINT = 16
SLOW_VALUE_BYTES = 64 << 10
SLOW_VALUE_S = 0.08


@leman.udf(data_type=pa.large_binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(VALUE_BYTES)


@leman.udf(data_type=pa.large_binary())
def slow_payload(x: int) -> bytes:
    time.sleep(SLOW_VALUE_S)
    return random.Random(x).randbytes(SLOW_VALUE_BYTES)


def measure(
    function: leman.UDF, rows: int, checkpoint_size: int | None, folder: pathlib.Path, way: str
) -> tuple[int, int, int, int, float, float]:
    """Return bytes of the data file, of assembly through the client, checkpoints, parts, seconds, amplification."""
    binary = find_server()
    if binary is None:
        raise SystemExit("no versitygw: tools/bootstrap test builds it where Go is installed")
    server = S3Server(binary, folder)
    server.start()
    proxy = Proxy(server.port)
    try:
        db = leman.connect(f"s3://{BUCKET}/bench", storage_options=options_for(proxy.port))
        table = db.create_table("blobs", pa.table({"x": pa.array(range(rows), pa.int64())}))
        table.add_columns({"y": function})
        proxy.reset()
        began_s = time.monotonic()
        result = table.backfill("y", concurrency=2, checkpoint_size=checkpoint_size, progress=False)
        took_s = time.monotonic() - began_s
        assert result.metrics[f"fragments_{way}"] == 1, result.metrics
        size_bytes = next(path.stat().st_size for path in server.objects.rglob("data/leman-*.lance"))
        parts = sum(
            method == "PUT" and "partNumber" in path and "/data/leman-" in path and size < 4096
            for method, path, size in proxy.traffic
        )
        amplification = float(result.metrics["write_amplification"])
        return size_bytes, proxy.bytes_of_assembly(), int(result.metrics["checkpoints"]), parts, took_s, amplification
    finally:
        proxy.close()
        server.kill()


def report(what: str, function: leman.UDF, rows: int, checkpoint_size: int | None, way: str) -> None:
    os.environ["LEMAN_S3_WRITE_ONCE"] = "1" if way == "placed" else "0"
    with tempfile.TemporaryDirectory() as folder:
        size_bytes, moved_bytes, checkpoints, parts, took_s, amplification = measure(
            function, rows, checkpoint_size, pathlib.Path(folder), way
        )
    print(
        f"{what}: data file {size_bytes / 1e6:.1f} MB from {checkpoints} checkpoints, {parts} parts copied by the store"
    )
    what = "all requests for data files" if way == "placed" else "assembly"
    print(f"  {what} moved {moved_bytes / 1e6:.2f} MB through the client: {100 * moved_bytes / size_bytes:.2f} %")
    print(f"  written to the store: {amplification:.3f} x the data file")
    print(f"  whole job {took_s:.1f} s (a proxy in Python lies between)")


def main() -> None:
    checkpoints = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    report("1 MB values, written once", payload, checkpoints * ROWS_PER_CHECKPOINT, ROWS_PER_CHECKPOINT, "placed")
    report("1 MB values, copied", payload, checkpoints * ROWS_PER_CHECKPOINT, ROWS_PER_CHECKPOINT, "stitched")
    slow_rows = 10 * checkpoints
    report("slow function, checkpoints as Leman cuts them", slow_payload, slow_rows, None, "stitched")


if __name__ == "__main__":
    main()
