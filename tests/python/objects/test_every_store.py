"""The same jobs on every kind of object store: s3://, az:// and gs://, each with a server of its own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import lance
import pyarrow as pa
import pytest

import leman
from leman.checkpoint_place import existing_root
from leman.jobs import request_cancel
from leman.lance_cleanup import clean_table
from leman.lance_errors import HostError
from leman.object_door import open_door, open_remote

from .conftest import Store

ROWS = 400
# What test_backfill.py, test_clean.py and test_faults.py show on S3.
_OTHERS = pytest.mark.parametrize("store", ["az", "gs"], indirect=True)
_DRIVER = pathlib.Path(__file__).with_name("driver.py")


@leman.udf(data_type=pa.int64())
def plus_one(x: int) -> int:
    return x + 1


@leman.udf(data_type=pa.binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(512 << 10)


@leman.udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
def blob(x: int) -> bytes:
    return random.Random(x).randbytes(1000 * x)


class Driver:
    """A run of driver.py."""

    def __init__(self, store: Store, calls: pathlib.Path, what: str = "fill") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_DRIVER), store.uri, str(calls), what],
            env={**os.environ, **store.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outcome(self) -> dict[str, object]:
        out, err = self._process.communicate(timeout=120)
        told = [line for line in out.splitlines() if line.startswith("OUTCOME ")]
        assert told, err
        return json.loads(told[-1].partition(" ")[2])

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def _wait_until(condition: Callable[[], bool], *drivers: Driver, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        assert any(driver.runs for driver in drivers), drivers[0].outcome()
        time.sleep(0.02)


def _calls(path: pathlib.Path) -> Counter[int]:
    with contextlib.suppress(FileNotFoundError):
        return Counter(int(line) for line in path.read_text().split())
    return Counter()


def _numbers(store: Store) -> leman.Table:
    data = pa.table({"x": pa.array(range(ROWS), pa.int64())})
    return store.connect().create_table("numbers", data, max_rows_per_file=100)


def _read(store: Store) -> dict[str, list[object]]:
    return lance.dataset(f"{store.uri}/numbers.lance", storage_options=store.options).to_table().to_pydict()


def _door(store: Store):
    return open_door(f"{store.uri}/numbers.lance", store.options)


@pytest.fixture
def calls(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "calls"


@pytest.fixture
def gate(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "calls.gate"
    path.touch()
    return path


@_OTHERS
def test_a_column_is_filled_told_of_and_cleaned_up_after(store: Store) -> None:
    table = _numbers(store)
    db = store.connect()
    assert db.table_names() == ["numbers"]
    table.add_columns({"y": plus_one})
    result = table.backfill("y", concurrency=2)
    assert result.rows_computed == ROWS
    read = _read(store)
    assert read["y"] == [x + 1 for x in read["x"]]
    assert table.backfill("y", concurrency=2).rows_computed == 0
    assert [job.status for job in db.list_jobs("numbers")] == ["DONE", "DONE"]
    assert db.get_job(result.job_id).metrics["rows_computed"] == ROWS
    db.drop_table("numbers")
    assert db.table_names() == []


@_OTHERS
@pytest.mark.parametrize("places", ["folder to store", "store to folder", "store to store"])
def test_checkpoints_may_lie_elsewhere(store: Store, tmp_path: pathlib.Path, places: str) -> None:
    kept, _, filled = places.partition(" to ")
    uri = f"{store.uri}/db" if filled == "store" else str(tmp_path / "db")
    place = f"{store.uri}/checkpoints" if kept == "store" else str(tmp_path / "checkpoints")
    db = leman.connect(uri, store.options, checkpoint_uri=place)
    table = db.create_table("numbers", pa.table({"x": pa.array(range(40), pa.int64())}), data_storage_version="2.2")
    for function in (payload, blob):
        table.add_columns({function.name: function})
        assert table.backfill(function.name, concurrency=2, checkpoint_size=20).rows_computed == 40
    dataset = lance.dataset(table.uri, storage_options=store.options)
    assert dataset.to_table(columns=["payload"])["payload"].to_pylist() == [payload(x) for x in range(40)]
    addresses = dataset.to_table(columns=[], with_row_address=True)["_rowaddr"].to_pylist()
    assert [taken.read() for taken in dataset.take_blobs("blob", addresses=addresses)] == [blob(x) for x in range(40)]
    root = existing_root(db, "numbers")
    assert root is not None
    door = open_remote(root, store.options)
    kept_files = door.all_keys() if door is not None else [p.name for p in pathlib.Path(root).rglob("*.*")]
    assert [name.rpartition("/")[2] for name in kept_files] == ["table.json"]
    db.drop_table("numbers")
    assert door is None or door.all_keys() == []
    assert not pathlib.Path(root).exists()


@pytest.mark.long
@_OTHERS
def test_what_a_failed_job_left_is_cleaned(store: Store) -> None:
    @leman.udf(data_type=pa.int64())
    def fragile(x: int) -> int:
        if x == ROWS - 1:
            raise ValueError("broken")
        return x

    table = _numbers(store)
    table.add_columns({"y": fragile})
    with pytest.raises(leman.UserFunctionError, match="broken"):
        table.backfill("y", concurrency=1, checkpoint_size=25)
    door = _door(store)
    assert door.folders("_leman/checkpoints")
    cleaned = clean_table(table.uri, store.options, grace_s=-2.0)
    assert cleaned["files"] > 0
    assert door.folders("_leman/checkpoints") == []
    assert _read(store)["x"] == list(range(ROWS))


@_OTHERS
def test_large_values_go_in_several_parts(store: Store) -> None:
    rows = 80
    table = store.connect().create_table("numbers", pa.table({"x": pa.array(range(rows), pa.int64())}))
    table.add_columns({"y": payload})
    result = table.backfill("y", concurrency=2, checkpoint_size=20)
    assert result.metrics["fragments_stitched"] == 1
    for x, y in zip(*_read(store).values(), strict=True):
        assert y == payload(x)


def test_after_kill_9_the_next_run_goes_on(store: Store, calls: pathlib.Path, gate: pathlib.Path) -> None:
    _numbers(store)
    first = Driver(store, calls)
    door = _door(store)

    def saved() -> int:
        folders = door.folders("_leman/checkpoints")
        names = [name for folder in folders for name, _, _ in door.entries(f"_leman/checkpoints/{folder}")]
        return sum(not name.startswith("tmp-") for name in names)

    _wait_until(lambda: saved() >= 4, first)
    first.kill()
    read = _read(store)
    assert all(y in (None, x * 10) for x, y in zip(read["x"], read["y"], strict=True))
    (job,) = store.connect().list_jobs("numbers")
    assert (job.status, job.error_type) == ("FAILED", "DriverDied")
    gate.unlink()
    outcome = Driver(store, calls).outcome()
    assert outcome["status"] == "DONE"
    assert _read(store)["y"] == [x * 10 for x in range(ROWS)]
    # Each of two workers had one checkpoint in hand, and may have been about to write another.
    again = [x for x, times in _calls(calls).items() if times > 1]
    assert len(again) <= 2 * 2 * 25
    assert int(str(outcome["rows_computed"])) <= ROWS - 4 * 25


@pytest.mark.long
def test_a_job_that_computes_is_cancelled_and_resumed(store: Store, calls: pathlib.Path, gate: pathlib.Path) -> None:
    _numbers(store)
    driver = Driver(store, calls)
    _wait_until(lambda: bool(_calls(calls)), driver)
    (job,) = store.connect().list_jobs("numbers")
    assert job.status == "RUNNING"
    assert request_cancel(job, store.options)
    outcome = driver.outcome()
    assert outcome["error_type"] == "JobCancelledError"
    assert "resume" in str(outcome["error"])
    assert store.connect().get_job(job.job_id).status == "CANCELLED"
    assert not _door(store).entries("_leman/leases")
    gate.unlink()
    assert Driver(store, calls).outcome()["status"] == "DONE"
    assert _read(store)["y"] == [x * 10 for x in range(ROWS)]


@pytest.mark.long
def test_of_two_drivers_one_runs_and_the_other_is_told(store: Store, calls: pathlib.Path, gate: pathlib.Path) -> None:
    _numbers(store)
    Driver(store, calls, "add").outcome()
    drivers = [Driver(store, calls), Driver(store, calls)]
    _wait_until(lambda: bool(_calls(calls)), *drivers)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ends = [pool.submit(driver.outcome) for driver in drivers]
        concurrent.futures.wait(ends, return_when=concurrent.futures.FIRST_COMPLETED)
        gate.unlink()
        outcomes = sorted((end.result() for end in ends), key=lambda outcome: str(outcome["status"]))
    assert [outcome["status"] for outcome in outcomes] == ["DONE", "FAILED"]
    assert outcomes[1]["error_type"] == "ColumnBusyError"
    assert str(outcomes[0]["job_id"]) in str(outcomes[1]["error"])
    assert set(_calls(calls).values()) == {1}
    assert _read(store)["y"] == [x * 10 for x in range(ROWS)]


def test_of_many_who_want_a_lease_one_gets_it(store: Store) -> None:
    doors = [_door(store) for _ in range(8)]

    def winners(attempt: Callable[[int], None]) -> list[int]:
        def won(number: int) -> bool:
            try:
                attempt(number)
            except HostError as error:
                assert error.leman_kind in ("already exists", "conflict"), error
                return False
            return True

        with concurrent.futures.ThreadPoolExecutor(len(doors)) as pool:
            return [number for number, has in enumerate(pool.map(won, range(len(doors)))) if has]

    for turn in range(5):
        key = f"_leman/leases/{turn}.json"
        (first,) = winners(lambda n, key=key: doors[n].put_if_absent(key, b"%d" % n))
        held = doors[0].get(key)
        assert held == b"%d" % first
        (second,) = winners(lambda n, key=key, held=held: doors[n].put_if_match(key, b"next %d" % n, held))
        assert doors[0].get(key) == b"next %d" % second


@_OTHERS
def test_a_storm_of_503_is_waited_out(store: Store) -> None:
    table = _numbers(store)
    table.add_columns({"y": plus_one})
    turn = itertools.count()
    store.proxy.fault = lambda method, path: 503 if next(turn) % 3 == 0 else None
    assert table.backfill("y", concurrency=2).rows_computed == ROWS
    assert store.proxy.faults > 10
    store.proxy.fault = lambda method, path: None
    assert _read(store)["y"] == [x + 1 for x in range(ROWS)]


@_OTHERS
def test_refused_credentials_are_told_without_showing_them(store: Store) -> None:
    table = _numbers(store)
    table.add_columns({"y": plus_one})
    store.proxy.fault = lambda method, path: 403 if "/_leman/" in path or "%2F_leman" in path else None
    with pytest.raises(leman.LemanError, match="credentials") as refused:
        table.backfill("y", concurrency=2)
    assert store.secret not in str(refused.value)
    store.proxy.fault = lambda method, path: None
    assert table.backfill("y", concurrency=2).rows_computed == ROWS
