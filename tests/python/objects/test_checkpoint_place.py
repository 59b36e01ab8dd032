"""Checkpoints that lie elsewhere than in their table, where one of both is in an object store."""

from __future__ import annotations

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
from leman.checkpoint_place import VARIABLE, existing_root
from leman.lance_cleanup import clean_table
from leman.object_door import open_remote

from .conftest import _s3_store
from .s3_server import BUCKET, SECRET_KEY, Proxy, S3Server

OTHER_BUCKET = "other-bucket"
_DRIVER = pathlib.Path(__file__).with_name("driver.py")


_ALL = ("folder to S3", "S3 to folder", "S3 to another bucket")


@pytest.fixture(params=_ALL)
def places(request: pytest.FixtureRequest, server: S3Server, tmp_path: pathlib.Path) -> tuple[str, str]:
    """Where the checkpoints lie, and where the database."""
    server.objects.with_name(OTHER_BUCKET).mkdir(exist_ok=True)
    database, folder = f"s3://{BUCKET}/{tmp_path.name}/db", str(tmp_path / "place")
    return {
        "folder to S3": (folder, database),
        "S3 to folder": (f"s3://{OTHER_BUCKET}/{tmp_path.name}", folder),
        "S3 to another bucket": (f"s3://{OTHER_BUCKET}/{tmp_path.name}", database),
    }[request.param]


@pytest.fixture
def db(places: tuple[str, str], options: dict[str, str]) -> leman.Connection:
    return leman.connect(places[1], options, checkpoint_uri=places[0])


@leman.udf(data_type=pa.binary())
def payload(x: int) -> bytes:
    return random.Random(x).randbytes(300 << 10)


@leman.udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
def inside(x: int) -> bytes | None:
    return None if x % 5 == 0 else random.Random(x).randbytes(50_000 * (x % 7))


@leman.udf(data_type=lance.blob_field("b").type)
def beside(x: int) -> bytes | None:
    return inside(x)


@leman.udf(data_type=pa.int64())
def plus_one(x: int) -> int:
    return x + 1


def _checkpoints(uri: str, options: dict[str, str]) -> list[str]:
    door = open_remote(uri, options)
    if door is not None:
        return [key for key in door.all_keys() if "/checkpoints/" in key]
    return [str(path) for path in pathlib.Path(uri).rglob("*") if path.is_file() and "/checkpoints/" in str(path)]


def _published(uri: str, options: dict[str, str]) -> list[str]:
    return [key for key in _checkpoints(uri, options) if "/tmp-" not in key]


@pytest.mark.long
@pytest.mark.parametrize(
    ("places", "version", "checkpoint_size"),
    [*((place, "2.2", 20) for place in _ALL), (_ALL[1], "2.0", 100)],
    indirect=["places"],
)
def test_values_are_those_of_checkpoints_in_the_table(
    db: leman.Connection, places: tuple[str, str], options: dict[str, str], version: str, checkpoint_size: int
) -> None:
    numbers = pa.table({"x": pa.array(range(40), pa.int64())})
    table = db.create_table("numbers", numbers, data_storage_version=version)
    for function in (payload, inside, plus_one, *((beside,) if version == "2.2" else ())):
        table.add_columns({function.name: function})
        assert table.backfill(function.name, concurrency=2, checkpoint_size=checkpoint_size).rows_computed == 40
        dataset = lance.dataset(table.uri, storage_options=options)
        if function in (inside, beside):
            addresses = dataset.to_table(columns=[], with_row_address=True)["_rowaddr"].to_pylist()
            taken = dataset.take_blobs(function.name, addresses=addresses)
            found = [blob if blob is None else blob.read() for blob in taken]
        else:
            found = dataset.to_table(columns=[function.name])[function.name].to_pylist()
        assert found == [function(x) for x in range(40)]
        assert _checkpoints(places[0], options) == _checkpoints(places[1], options) == []


@pytest.mark.long
def test_parts_are_copied_from_bucket_to_bucket_unless_that_is_refused(
    server: S3Server, proxy: Proxy, options: dict[str, str], tmp_path: pathlib.Path
) -> None:
    server.objects.with_name(OTHER_BUCKET).mkdir(exist_ok=True)
    elsewhere = f"s3://{OTHER_BUCKET}/{tmp_path.name}"
    db = leman.connect(f"s3://{BUCKET}/{tmp_path.name}", options, checkpoint_uri=elsewhere)
    for name, refused in (("copied", False), ("streamed", True)):
        table = db.create_table(name, pa.table({"x": pa.array(range(40), pa.int64())}))
        table.add_columns({"y": payload})
        proxy.refuses_copies = refused
        proxy.reset()
        result = table.backfill("y", concurrency=2, checkpoint_size=20)
        assert result.metrics["fragments_stitched"] == 1
        through_client = proxy.bytes_of_assembly() / result.metrics["bytes_assembled"]
        assert through_client > 1.9 if refused else through_client < 0.02
        values = lance.dataset(table.uri, storage_options=options).to_table()["y"].to_pylist()
        assert values == [payload(x) for x in range(40)]


class Driver:
    """A run of driver.py on a database, with its checkpoints elsewhere or not."""

    def __init__(self, database: str, place: str | None, port: int, calls: pathlib.Path) -> None:
        environment = {**os.environ, **_s3_store(port)[1], **({VARIABLE: place} if place else {})}
        self._process = subprocess.Popen(
            [sys.executable, str(_DRIVER), database, str(calls), "fill"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outcome(self) -> dict[str, object]:
        out, err = self._process.communicate(timeout=120)
        told = [line for line in out.splitlines() if line.startswith("OUTCOME ")]
        assert told, err
        return json.loads(told[-1].partition(" ")[2])

    def kill_when(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self._process.poll() is None, self.outcome()
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.05)
        self._process.kill()
        self._process.communicate()


@pytest.mark.parametrize("places", _ALL[:2], indirect=True)
def test_a_killed_job_is_resumed_there_and_nowhere_else_and_cleaned(
    db: leman.Connection, places: tuple[str, str], options: dict[str, str], proxy: Proxy, tmp_path: pathlib.Path
) -> None:
    place, database = places
    calls, gate = tmp_path / "calls", tmp_path / "calls.gate"
    gate.touch()
    data = pa.table({"x": pa.array(range(400), pa.int64())})
    table = db.create_table("numbers", data, max_rows_per_file=400)
    Driver(database, place, proxy.port, calls).kill_when(lambda: len(_published(place, options)) >= 8)
    gate.unlink()
    kept = _published(place, options)
    assert _checkpoints(database, options) == []
    calls.unlink()
    outcome = Driver(database, place, proxy.port, calls).outcome()
    assert outcome["status"] == "DONE", outcome
    assert outcome["rows_computed"] == len(calls.read_text().split()) <= 400 - 8 * 25
    assert outcome["metrics"]["rows_resumed"] + outcome["rows_computed"] == 400
    values = lance.dataset(table.uri, storage_options=options).to_table()
    assert values["y"].to_pylist() == [10 * x for x in values["x"].to_pylist()]
    assert [key for key in _checkpoints(place, options) if key in kept] == []
    # What the killed driver's workers left, and an upload that nobody completed.
    time.sleep(1.1)
    clean_table(table.uri, options, checkpoint_root=existing_root(db, "numbers"), grace_s=0.0)
    assert _checkpoints(place, options) == []


@pytest.mark.long
@pytest.mark.parametrize("places", _ALL[1:2], indirect=True)
def test_a_run_without_the_variable_computes_anew_and_clean_with_it_removes_the_rest(
    db: leman.Connection, places: tuple[str, str], options: dict[str, str], proxy: Proxy, tmp_path: pathlib.Path
) -> None:
    place, database = places
    calls, gate = tmp_path / "calls", tmp_path / "calls.gate"
    gate.touch()
    table = db.create_table("numbers", pa.table({"x": pa.array(range(400), pa.int64())}))
    Driver(database, place, proxy.port, calls).kill_when(lambda: len(_published(place, options)) >= 4)
    gate.unlink()
    calls.unlink()
    outcome = Driver(database, None, proxy.port, calls).outcome()
    assert outcome["rows_computed"] == 400, outcome
    assert set(Counter(calls.read_text().split()).values()) == {1}
    assert len(_published(place, options)) >= 4
    time.sleep(1.1)
    assert clean_table(table.uri, options, grace_s=0.0)["files"] == 0
    cleaned = clean_table(table.uri, options, checkpoint_root=existing_root(db, "numbers"), grace_s=0.0)
    assert cleaned["files"] >= 4
    assert _checkpoints(place, options) == []
    db.drop_table("numbers")
    root = existing_root(db, "numbers")
    assert root is None or _checkpoints(root, options) == []


@pytest.mark.long
@pytest.mark.parametrize("broken", ["no bucket", "wrong key"])
def test_a_store_that_cannot_be_written_is_told_before_any_work(
    server: S3Server, options: dict[str, str], tmp_path: pathlib.Path, broken: str
) -> None:
    place = f"s3://{'no-such-bucket' if broken == 'no bucket' else BUCKET}/x"
    if broken == "wrong key":
        options = {**options, "aws_access_key_id": "somebody-else"}
    table = leman.connect(tmp_path / "db").create_table("t", pa.table({"x": [1, 2]}))
    table.add_columns({"y": plus_one})
    table = leman.connect(tmp_path / "db", options, checkpoint_uri=place).open_table("t")
    with pytest.raises(OSError, match=rf"checkpoint_uri='{place}': checkpoints cannot be written there") as caught:
        table.backfill("y")
    assert SECRET_KEY not in str(caught.value)
    assert leman.connect(tmp_path / "db").list_jobs() == []
