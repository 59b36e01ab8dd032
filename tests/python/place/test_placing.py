"""Large values are written once, where they stay; what pylance reads back is what the function returned."""

from __future__ import annotations

import base64
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest

import leman

VECTOR = pa.list_(pa.float32(), 384)
KINDS = {
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "float_list": VECTOR,
    "int8_list": pa.list_(pa.int8(), 1000),
    "double_list": pa.list_(pa.float64(), 40),
}


def noise(seed: int, size: int = 60_000) -> bytes:
    return np.random.SFC64(seed).random_raw(size // 8).tobytes()


def value_of(type: pa.DataType, x: int) -> Any:
    if pa.types.is_fixed_size_list(type):
        return np.frombuffer(noise(x, 4000), np.int8)[: type.list_size].tolist()
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return noise(x, 44_000).hex()[:80_000]
    return noise(x)


def backfilled(
    db: leman.Connection, type: pa.DataType, function: Any, rows: int, version: str = "2.2", **options: Any
) -> tuple[lance.LanceDataset, Any]:
    path = pathlib.Path(db.uri) / "t.lance"
    lance.write_dataset(pa.table({"x": range(rows)}), path, data_storage_version=version)
    table = db.open_table("t")
    table.add_columns({"y": (leman.udf(data_type=type)(function), ["x"])})
    result = table.backfill("y", **{"concurrency": 2, "progress": False, **options})
    dataset = lance.dataset(path)
    dataset.validate()
    return dataset, result


def expect(dataset: lance.LanceDataset, type: pa.DataType, expected: list[Any]) -> None:
    wanted = pa.array(expected, type)
    assert dataset.to_table(columns=["y"]).column("y").combine_chunks().equals(wanted)
    picks = list(range(0, len(expected), 7))
    assert dataset.take(picks, columns=["y"]).column("y").combine_chunks().equals(wanted.take(picks))
    part = dataset.scanner(columns=["y"], offset=len(expected) // 3, limit=5).to_table().column("y")
    assert part.combine_chunks().equals(wanted.slice(len(expected) // 3, 5))


def leftovers(db: leman.Connection) -> list[pathlib.Path]:
    folder = pathlib.Path(db.uri) / "t.lance/_leman/checkpoints"
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def db(tmp_path: pathlib.Path) -> leman.Connection:
    return leman.connect(str(tmp_path / "db"))


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_equal(db: leman.Connection, kind: str, version: str) -> None:
    type = KINDS[kind]
    rows = 9_500_000 // (type.list_size * type.value_type.bit_width // 8) if "list" in kind else 80
    values = [value_of(type, x) for x in range(64)]

    def make(x: pa.Array) -> pa.Array:
        return pa.array([values[i % 64] for i in x.to_pylist()], type)

    dataset, result = backfilled(db, type, make, rows, version, concurrency=1)
    assert result.metrics["fragments_placed"] == 1
    assert result.metrics["write_amplification"] <= 1.05
    assert result.metrics["bytes_placed"] == result.metrics["bytes_assembled"]
    expect(dataset, type, [values[x % 64] for x in range(rows)])
    assert leftovers(db) == []


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
@pytest.mark.parametrize("kind", ["binary", "large_binary"])
def test_nulls_and_empty_values_in_every_checkpoint(db: leman.Connection, kind: str, version: str) -> None:
    type = KINDS[kind]
    special = {3: None, 11: b"", 40: None, 41: None, 79: None}
    values = [special.get(x, noise(x, 120_000)) for x in range(80)]

    def make(x: int) -> Any:
        return values[x]

    dataset, result = backfilled(db, type, make, 80, version, checkpoint_size=20)
    assert result.metrics["fragments_placed"] == 1
    assert result.metrics["checkpoints"] == 4
    expect(dataset, type, values)


@pytest.mark.parametrize(("version", "placed"), [("2.0", 1), ("2.1", 0), ("2.2", 0)])
def test_what_lance_would_compress_is_left_to_it(db: leman.Connection, version: str, placed: int) -> None:
    def make(x: int) -> str:
        return f"line {x} of a text that says the same again and again\n" * 2_000

    dataset, result = backfilled(db, pa.string(), make, 60, version)
    assert result.metrics["fragments_placed"] == placed
    expect(dataset, pa.string(), [make(x) for x in range(60)])


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
def test_vectors_with_nulls_are_left_to_lance(db: leman.Connection, version: str) -> None:
    values = [None if x % 50 == 1 else np.full(384, x, np.float32) for x in range(300)]

    def make(x: pa.Array) -> pa.Array:
        return pa.array([values[i] for i in x.to_pylist()], VECTOR)

    dataset, result = backfilled(db, VECTOR, make, 300, version)
    assert result.metrics["fragments_placed"] == 0
    expect(dataset, VECTOR, [None if value is None else value.tolist() for value in values])


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
def test_what_lance_encodes_is_copied_to_its_place_by_the_workers(db: leman.Connection, version: str) -> None:
    def make(x: pa.Array) -> pa.Array:
        return pa.array([base64.b64encode(noise(i, 1_600)).decode() for i in x.to_pylist()])

    rows = 21_000
    dataset, result = backfilled(db, pa.string(), make, rows, version, checkpoint_size=rows // 3, concurrency=1)
    metrics = result.metrics
    assert metrics["fragments_placed"] == 1
    # By the driver nothing; by the workers into a file, and from there to where it stays.
    assert metrics["bytes_copied"] == metrics["bytes_reencoded"] == 0
    assert 1.9 < metrics["write_amplification"] <= 2.1
    expect(dataset, pa.string(), make(pa.array(range(rows))).to_pylist())
    assert leftovers(db) == []


def test_one_checkpoint_of_a_whole_fragment_is_not_copied(db: leman.Connection) -> None:
    def make(x: pa.Array) -> pa.Array:
        return pa.array([noise(i, 400).hex() for i in x.to_pylist()])

    dataset, result = backfilled(db, pa.string(), make, 20_000, concurrency=1)
    assert result.metrics["checkpoint_bytes"] > 8 << 20
    assert result.metrics["fragments_linked"] == 1 and result.metrics["write_amplification"] <= 1.01
    expect(dataset, pa.string(), make(pa.array(range(20_000))).to_pylist())


def test_values_that_change_their_kind_midway(db: leman.Connection) -> None:
    # Large, small, large again, compressible: each kind in checkpoints of its own, joined in one file.
    def make(x: int) -> bytes:
        return noise(x, 200_000) if x % 100 < 50 else bytes(10) if x < 100 else bytes(100_000)

    dataset, _ = backfilled(db, pa.binary(), make, 300, batch_size=25)
    expect(dataset, pa.binary(), [make(x) for x in range(300)])


def test_a_function_may_write_over_the_array_it_returned(db: leman.Connection) -> None:
    class Reusing:
        def __init__(self) -> None:
            self.buffer = np.zeros((512, 384), np.float32)

        def __call__(self, x: pa.Array) -> pa.Array:
            self.buffer[: len(x)] = x.to_numpy()[:, None]
            return pa.FixedSizeListArray.from_arrays(pa.array(self.buffer[: len(x)].reshape(-1)), 384)

    path = pathlib.Path(db.uri) / "t.lance"
    lance.write_dataset(pa.table({"x": range(20_000)}), path)
    table = db.open_table("t")
    table.add_columns({"y": (leman.udf(data_type=VECTOR, batch_size=512)(Reusing), ["x"])})
    table.backfill("y", concurrency=2, progress=False, checkpoint_size=10_000)
    first = np.stack(lance.dataset(path).to_table(columns=["y"]).column("y").combine_chunks().to_numpy(False))
    assert np.array_equal(first[:, 0], np.arange(20_000))
    assert np.array_equal(first[:, 383], np.arange(20_000))


DRIVER = """
import sys, time
import leman, pyarrow as pa
sys.path.insert(0, sys.argv[3])
from test_placing import noise

calls, sleep_s = sys.argv[1], float(sys.argv[4])

@leman.udf(version="1", data_type=pa.binary())
def counted(x: int) -> bytes:
    with open(calls, "ab", buffering=0) as file:
        file.write(b".")
    time.sleep(sleep_s)
    return noise(x, 200_000)

table = leman.connect(sys.argv[2]).open_table("t")
if "y" not in table.schema.names:
    table.add_columns({"y": counted})
if sys.argv[5:] == ["die-before-commit"]:
    from leman.lance_table import LanceTable
    import os
    LanceTable.commit = lambda *arguments: os._exit(9)
print(table.backfill("y", udf=counted, concurrency=2, batch_size=10, progress=False).metrics)
"""


class Driver:
    """The same backfill again and again, in processes of their own."""

    def __init__(self, tmp_path: pathlib.Path, rows: int) -> None:
        self.tmp_path, self.rows = tmp_path, rows
        self.script, self.calls = tmp_path / "driver.py", tmp_path / "calls"
        self.table = tmp_path / "db/t.lance"
        self.script.write_text(DRIVER)
        self.calls.write_bytes(b"")
        lance.write_dataset(pa.table({"x": range(rows)}), self.table)

    def start(self, sleep_s: float = 0.0, *how: str) -> subprocess.Popen[str]:
        here = str(pathlib.Path(__file__).parent)
        words = [sys.executable, str(self.script), str(self.calls), str(self.tmp_path / "db"), here, str(sleep_s), *how]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *how: str) -> dict[str, Any]:
        process = self.start(0.0, *how)
        out, err = process.communicate(timeout=60)
        if how:
            assert process.returncode == 9, err
            return {}
        assert process.returncode == 0, err
        return eval(out.splitlines()[-1])  # Of our own driver.

    def called(self) -> int:
        return self.calls.stat().st_size

    def records(self) -> list[pathlib.Path]:
        return sorted((self.table / "_leman/checkpoints").rglob("*.region"))

    def rows_of(self, records: list[pathlib.Path]) -> int:
        names = [record.stem.split("-") for record in records]
        return sum(int(name[3]) - int(name[2]) for name in names)

    def expect_all(self) -> None:
        column = lance.dataset(self.table).to_table(columns=["y"]).column("y")
        assert column.to_pylist() == [noise(x, 200_000) for x in range(self.rows)]
        assert list((self.table / "_leman/checkpoints").rglob("*.*")) == []


def test_after_kill_9_placed_checkpoints_are_found_again(tmp_path: pathlib.Path) -> None:
    driver = Driver(tmp_path, 200)
    process = driver.start(0.005)
    deadline = time.monotonic() + 30
    while len(driver.records()) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(0.3)  # Its workers end by themselves.
    saved, called = driver.rows_of(driver.records()), driver.called()
    assert saved > 0
    metrics = driver.run()
    assert driver.called() - called == 200 - saved
    assert metrics["fragments_placed"] + metrics["fragments_stitched"] == 1
    driver.expect_all()


def test_killed_between_assembly_and_commit_the_same_file_is_used(tmp_path: pathlib.Path) -> None:
    driver = Driver(tmp_path, 100)
    driver.run("die-before-commit")
    assert driver.rows_of(driver.records()) == 100
    orphans = {path.stat().st_ino for path in (driver.table / "data").glob("leman-*")}
    assert len(orphans) == 1
    metrics = driver.run()
    assert driver.called() == 100
    assert metrics["fragments_placed"] == 1
    assert metrics["bytes_written"] == 0
    (name,) = [file.path for f in lance.dataset(driver.table).get_fragments() for file in f.metadata.files][1:]
    assert (driver.table / "data" / name).stat().st_ino in orphans
    driver.expect_all()


def test_a_damaged_region_is_computed_again(tmp_path: pathlib.Path) -> None:
    driver = Driver(tmp_path, 100)
    driver.run("die-before-commit")
    record = driver.records()[3]
    (pages,) = (driver.table / "_leman/checkpoints").rglob("*.pages")
    end = int(record.stem.split("-")[5])
    with open(pages, "r+b") as file:
        file.seek(end - 100_000)
        byte = file.read(1)
        file.seek(end - 100_000)
        file.write(bytes([byte[0] ^ 1]))
    driver.run()
    assert driver.called() == 100 + driver.rows_of([record])
    driver.expect_all()


def test_records_without_their_pages_file_are_nothing(tmp_path: pathlib.Path) -> None:
    driver = Driver(tmp_path, 100)
    driver.run("die-before-commit")
    (pages,) = (driver.table / "_leman/checkpoints").rglob("*.pages")
    os.rename(pages, tmp_path / "moved")
    driver.run()
    assert driver.called() == 200
    column = lance.dataset(driver.table).to_table(columns=["y"]).column("y")
    assert column.to_pylist() == [noise(x, 200_000) for x in range(100)]
