"""`make bench-s3`: what making a fragment's data file on S3 moves through the client, and what the store writes.

64 checkpoints of 16 MiB, one fragment of 1 GiB: values that are written once, the same copied inside the store, and
structs, which Lance encodes; then a slow function, whose checkpoints are cut by time.

Runs against versitygw (tools/bootstrap test builds it) behind a proxy that counts bytes. Figures go to
bench/results/s3.md; with a number of checkpoints as argument nothing is written.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import random
import re
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa

import leman
import report

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "python"))
from objects.conftest import options_for
from objects.s3_server import BUCKET, Proxy, S3Server, find_server

RESULT = pathlib.Path(__file__).with_name("results") / "s3.md"
CHECKPOINTS = 64
MOST_MOVED = 0.01  # Of the data file, through the client, to put it together.
VALUE_BYTES = 1 << 20
STRUCT_TEXT_BYTES = 384
STRUCTS_PER_CHECKPOINT = 1 << 16
SLOW_VALUE_BYTES = 64 << 10
SLOW_VALUE_S = 0.08
# Of docs/formats/upload_parts.md: the numbers below are of workers' parts.
_FIRST_PART_OF_ASSEMBLY = 9001


@leman.udf(data_type=pa.large_binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(VALUE_BYTES)


@leman.udf(data_type=pa.struct([("text", pa.string()), ("number", pa.int64())]))
def described(x: pa.Array) -> pa.Array:
    letters = np.random.default_rng(x[0].as_py()).integers(97, 123, len(x) * STRUCT_TEXT_BYTES, dtype=np.uint8)
    ends = np.arange(0, len(letters) + 1, STRUCT_TEXT_BYTES, dtype=np.int32)
    text = pa.StringArray.from_buffers(len(x), pa.py_buffer(ends), pa.py_buffer(letters))
    return pa.StructArray.from_arrays([text, x], ["text", "number"], mask=pa.array(np.arange(len(x)) % 5 == 0))


@leman.udf(data_type=pa.large_binary())
def slow_payload(x: int) -> bytes:
    time.sleep(SLOW_VALUE_S)
    return random.Random(x).randbytes(SLOW_VALUE_BYTES)


@dataclasses.dataclass
class Case:
    """One job on a fresh table of one fragment."""

    name: str
    function: leman.UDF
    rows: int
    checkpoint_size: int | None
    write_once: bool
    way: str
    figure: bool = True


@dataclasses.dataclass
class Measured:
    """What one job did, in bytes but for the counts and the seconds."""

    data_file: int
    up: int
    assembly: int
    checkpoints: int
    parts_copied: int
    amplification: float
    took_s: float

    @property
    def moved(self) -> float:
        """Bytes of assembly through the client, of those of the data file."""
        return self.assembly / self.data_file


def _of_worker(method: str, path: str) -> bool:
    number = re.search("partNumber=([0-9]+)", path)
    return method == "PUT" and number is not None and int(number[1]) < _FIRST_PART_OF_ASSEMBLY


def bytes_of_assembly(proxy: Proxy, write_once: bool) -> int:
    """Bytes of the requests that make data files or read checkpoints, without the parts of workers."""
    of_workers = sum(
        size
        for method, path, size in proxy.traffic
        if write_once and "/data/leman-" in path and _of_worker(method, path)
    )
    return proxy.bytes_of_assembly() - of_workers


def measure(case: Case, folder: pathlib.Path) -> Measured:
    """Run the job against a server of its own."""
    binary = find_server()
    if binary is None:
        raise SystemExit("no versitygw: tools/bootstrap test builds it where Go is installed")
    os.environ["LEMAN_S3_WRITE_ONCE"] = "1" if case.write_once else "0"
    server = S3Server(binary, folder)
    server.start()
    proxy = Proxy(server.port)
    try:
        db = leman.connect(f"s3://{BUCKET}/bench", storage_options=options_for(proxy.port))
        rows = pa.table({"x": pa.array(range(case.rows), pa.int64())})
        table = db.create_table("blobs", rows, max_rows_per_file=case.rows)
        table.add_columns({"y": case.function})
        proxy.reset()
        began_s = time.monotonic()
        result = table.backfill("y", concurrency=2, checkpoint_size=case.checkpoint_size, progress=False)
        took_s = time.monotonic() - began_s
        assert result.metrics[f"fragments_{case.way}"] == 1, result.metrics
        copied = sum(
            method == "PUT" and "partNumber" in path and "/data/leman-" in path and size < 4096
            for method, path, size in proxy.traffic
        )
        return Measured(
            next(path.stat().st_size for path in server.objects.rglob("data/leman-*.lance")),
            proxy.bytes_up,
            bytes_of_assembly(proxy, case.write_once),
            int(result.metrics["checkpoints"]),
            copied,
            float(result.metrics["write_amplification"]),
            took_s,
        )
    finally:
        proxy.close()
        server.kill()


def _cases(checkpoints: int) -> list[Case]:
    per_checkpoint = (16 << 20) // VALUE_BYTES
    blobs = (payload, checkpoints * per_checkpoint, per_checkpoint)
    structs = (described, checkpoints * STRUCTS_PER_CHECKPOINT, STRUCTS_PER_CHECKPOINT)
    return [
        Case("1 MB values", *blobs, True, "placed"),
        Case("1 MB values, `LEMAN_S3_WRITE_ONCE=0`", *blobs, False, "stitched"),
        Case("structs of text and number, encoded by Lance", *structs, True, "stitched"),
        Case("structs, `LEMAN_S3_WRITE_ONCE=0`", *structs, False, "stitched"),
        Case(
            "slow function, cut by time, `LEMAN_S3_WRITE_ONCE=0`",
            slow_payload,
            10 * checkpoints,
            None,
            False,
            "stitched",
            figure=False,
        ),
    ]


def _line(case: Case, measured: Measured) -> str:
    reached = "reached" if measured.moved <= MOST_MOVED else "not reached"
    return (
        f"| {case.name} | {measured.data_file / 1e6:.0f} MB | {measured.checkpoints} | {measured.parts_copied} | "
        f"{measured.up / measured.data_file:.3f} × | {measured.assembly / 1e6:.2f} MB | {100 * measured.moved:.2f} % | "
        f"{reached if case.figure else ''} | {measured.amplification:.3f} × | {measured.took_s:.0f} s |"
    )


def main() -> None:
    """Measure, print, and keep the table."""
    checkpoints = int(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINTS
    lines = [
        "| values | data file | checkpoints | parts copied | sent / data file | assembly, through the client "
        "| of the data file | ≤ 1 % | written / data file | job |",
        "|---|---:|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    print("\n".join(lines))
    for case in _cases(checkpoints):
        with tempfile.TemporaryDirectory() as folder:
            lines.append(_line(case, measure(case, pathlib.Path(folder))))
        print(lines[-1], flush=True)
    if checkpoints != CHECKPOINTS:
        return
    machine = "\n".join(f"- {name}: {value}" for name, value in report.machine(RESULT.parent).items())
    text = f"""# S3: figures

Made by `make bench-s3` on {datetime.date.today()}: one fragment, two workers, versitygw behind a proxy that counts the
bytes of all requests and answers. *Assembly* is every request for the data file and every reading of checkpoints, the
verification among them, but not the parts that workers upload. *Written* counts what the store copies into the data
file, too, but not that a checkpoint that is an object is copied inside the store once more when it gets its name: S3
cannot rename. The seconds are with server and proxy, which is in Python, on the same machine.

{machine}

"""
    RESULT.write_text(text + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
