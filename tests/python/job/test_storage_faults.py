"""Storage that is full, read-only or damaged: a clear end, nothing lost, and the same call goes on afterwards."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

import leman

from .conftest import CallLog
from .test_backfill import column, counting


@leman.udf(data_type=pa.list_(pa.float32(), 1024))
def wide(x: pa.Array) -> np.ndarray:
    return np.random.default_rng(7).random((len(x), 1024), dtype=np.float32)


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 4 MB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_job_and_space_lets_it_go_on(small_disk: pathlib.Path) -> None:
    table = leman.connect(str(small_disk)).create_table(
        "t", pa.table({"x": pa.array(range(2000), pa.int64())}), max_rows_per_file=100
    )
    table.add_columns({"y": wide})
    with pytest.raises(leman.JobFailedError, match=r"(?s)No space left on device.*run the same backfill again"):
        table.backfill("y", concurrency=2, commit_granularity=1)
    assert table.count_rows() == 2000
    done = table.count_rows("y is not null")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = table.backfill("y", concurrency=2)
    assert (result.status, result.rows_total) == ("DONE", 2000 - done)
    assert table.count_rows("y is null") == 0


def test_storage_that_became_read_only_ends_the_job_with_the_reason(small_disk: pathlib.Path) -> None:
    table = leman.connect(str(small_disk)).create_table("t", pa.table({"x": pa.array(range(100), pa.int64())}))
    table.add_columns({"y": counting(str(small_disk.parent / "calls"))})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(leman.JobFailedError, match="Read-only file system"):
        table.backfill("y", concurrency=1)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert table.backfill("y", concurrency=1).rows_computed == 100


def interrupted(table: leman.Table, calls: CallLog) -> list[pathlib.Path]:
    """Leave checkpoints of a job that failed at its last rows, and return them."""
    path = calls.path

    @leman.udf(version="1")
    def fails_at_the_end(x: int) -> int:
        if x == 999:
            raise ValueError("not yet")
        return x * 10

    table.add_columns({"y": fails_at_the_end})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=50, commit_granularity=None)
    assert not pathlib.Path(path).exists()
    found = sorted((pathlib.Path(table.uri) / "_leman" / "checkpoints").rglob("*-*.lance"))
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("damage", ["cut", "empty", "footer", "head"])
def test_a_damaged_checkpoint_is_found_and_its_rows_are_computed_again(
    numbers: leman.Table, calls: CallLog, damage: str
) -> None:
    victim = interrupted(numbers, calls)[3]
    content = bytearray(victim.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "footer":
        content[-20] ^= 0x40
    else:
        content[len(content) - 300] ^= 0x40
    victim.unlink()  # A data file may be the same file under another name.
    victim.write_bytes(content)
    result = numbers.backfill("y", udf=counting(calls.path), concurrency=1)
    assert result.status == "DONE"
    assert column(numbers, "y") == [x * 10 for x in range(1000)]
    assert calls.count < 1000
    events = [event["message"] for event in numbers.connection.get_job(result).events]
    # A file without a byte is told by its size, before anybody computes a checksum.
    found = "too short for a Lance file" if damage == "empty" else "is damaged: its checksum"
    assert any(found in event and victim.name in event for event in events), events


def test_many_checkpoints_of_another_version_do_not_matter_and_are_cleaned(numbers: leman.Table) -> None:
    folder = pathlib.Path(numbers.uri) / "_leman" / "checkpoints" / ("0" * 32)
    folder.mkdir(parents=True)
    for number in range(10_000):
        (folder / f"{number % 10}-{'0' * 16}-{number}-{number + 1}.lance").touch()
    numbers.add_columns({"y": counting(str(pathlib.Path(numbers.uri).parent / "calls"))})
    assert numbers.backfill("y", concurrency=1).rows_computed == 1000
    from leman import job_runner

    assert job_runner.clean(numbers.uri)["files"] >= 10_000
    assert not folder.exists() or not any(folder.iterdir())
    assert numbers.count_rows("y = x * 10") == 1000


def test_a_damaged_job_record_is_written_anew(numbers: leman.Table) -> None:
    numbers.add_columns({"y": counting(str(pathlib.Path(numbers.uri).parent / "calls"))})
    numbers.backfill("y", job_id="mine", concurrency=1, where="x < 10")
    record = pathlib.Path(numbers.uri) / "_leman" / "jobs" / "mine.json"
    record.write_bytes(record.read_bytes()[:100])
    assert numbers.connection.get_job("mine").error_type == "CorruptRecord"
    numbers.backfill("y", job_id="mine", concurrency=1)
    assert numbers.connection.get_job("mine").status == "DONE"
