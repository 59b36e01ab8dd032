"""Workers stay within their memory: calls get fewer rows, and a worker whose function leaks is replaced."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

import leman

MIB = 1 << 20


class PeakLog:
    """The most that each worker process held, as it says itself after every call."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.folder = str(folder)

    def peaks(self) -> dict[int, int]:
        return {
            int(path.name): max(int(line) for line in path.read_text().split())
            for path in pathlib.Path(self.folder).iterdir()
        }


@pytest.fixture
def peaks(tmp_path: pathlib.Path) -> Iterator[PeakLog]:
    yield PeakLog(tmp_path / "peaks")


def test_a_worker_whose_function_leaks_is_replaced_and_nothing_is_lost(db: leman.Connection, peaks: PeakLog) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(600), pa.int64())}))
    leaked: list[bytearray] = []
    folder = peaks.folder

    @leman.udf(data_type=pa.int64(), input_columns=["x"], memory=400 * MIB, batch_size=20)
    def leak(x: pa.Array) -> pa.Array:
        leaked.append(bytearray(os.urandom(1024)) * (50 << 10))
        held = int(pathlib.Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) << 10
        with open(f"{folder}/{os.getpid()}", "a") as file:
            file.write(f"{held}\n")
        return pa.array([v * 3 for v in x.to_pylist()], pa.int64())

    table.add_columns({"y": leak})
    result = table.backfill("y", concurrency=1)
    assert table.to_arrow()["y"].to_pylist() == [x * 3 for x in range(600)]
    recycled = result.metrics["workers_recycled"]
    assert recycled >= 30 * 50 // 400
    assert result.metrics["worker_deaths"] == result.metrics["tasks_retried"] == 0
    assert result.rows_computed == 600
    assert recycled <= len(peaks.peaks()) <= recycled + 1  # The last one may be worn out when all is done.
    assert max(peaks.peaks().values()) <= 400 * MIB
    job = db.list_jobs()[0]
    assert job.metrics["workers_recycled"] == recycled
    assert any("and is replaced" in event["message"] for event in job.events)


def test_calls_get_fewer_rows_where_rows_take_memory(db: leman.Connection, peaks: PeakLog) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(3000), pa.int64())}))
    folder = peaks.folder

    @leman.udf(data_type=pa.float64(), input_columns=["x"], memory=400 * MIB)
    def heavy(x: pa.Array) -> pa.Array:
        values = np.ones((len(x), MIB // 8))
        values[:, 0] = x.to_numpy()
        held = int(pathlib.Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) << 10
        with open(f"{folder}/{os.getpid()}", "a") as file:
            file.write(f"{held}\n")
        return pa.array(values[:, 0] + values[:, -1])

    table.add_columns({"y": heavy})
    result = table.backfill("y", concurrency=1)
    assert table.to_arrow()["y"].to_pylist() == [x + 1.0 for x in range(3000)]
    assert max(peaks.peaks().values()) <= 400 * MIB
    assert result.metrics["batches_shrunk"] > 0
    assert result.metrics["worker_deaths"] == 0
    job = db.list_jobs()[0]
    assert any("fewer rows" in event["message"] for event in job.events)


def test_values_of_a_megabyte_go_through_a_small_worker(db: leman.Connection, peaks: PeakLog) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(600), pa.int64())}))
    folder = peaks.folder

    @leman.udf(data_type=pa.large_binary(), input_columns=["x"], memory=400 * MIB)
    def big(x: pa.Array) -> pa.Array:
        values = pa.array([v.to_bytes(4, "little") * (MIB // 4) for v in x.to_pylist()], pa.large_binary())
        held = int(pathlib.Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) << 10
        with open(f"{folder}/{os.getpid()}", "a") as file:
            file.write(f"{held}\n")
        return values

    table.add_columns({"y": big})
    result = table.backfill("y", concurrency=1)
    assert result.rows_computed == 600
    assert result.metrics["worker_deaths"] == 0
    assert max(peaks.peaks().values()) <= 400 * MIB
    seen = 0
    for batch in table.to_lance().to_batches(columns=["x", "y"], batch_size=32):
        for x, y in zip(batch["x"].to_pylist(), batch["y"], strict=True):
            assert y.as_py() == x.to_bytes(4, "little") * (MIB // 4)
            seen += 1
    assert seen == 600


def test_a_function_that_needs_little_is_left_alone(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(20000), pa.int64())}))

    @leman.udf(data_type=pa.int64(), memory=400 * MIB)
    def add(x: int) -> int:
        return x + 1

    table.add_columns({"y": add})
    result = table.backfill("y", concurrency=2)
    assert result.metrics["batches_shrunk"] == result.metrics["workers_recycled"] == 0
