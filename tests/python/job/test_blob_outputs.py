"""Blob columns as outputs, in both forms that Lance has."""

from __future__ import annotations

import datetime
import pathlib
import subprocess
import sys
import time
import tracemalloc

import lance
import pyarrow as pa
import pytest
from lance.blob import BlobType

import leman

from .conftest import CallLog

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

BLOB = {"lance-encoding:blob": "true"}
#: Inside the data file, in a shared file, in a file of its own; empty; and none.
SIZES = [5, 100_000, 5_000_000, 0, None]


def content(x: int) -> bytes | None:
    size = SIZES[x % 5]
    return None if size is None else bytes([65 + x % 26]) * size


@pytest.fixture(params=["2.1", "2.2"])
def table(db: leman.Connection, request: pytest.FixtureRequest) -> leman.Table:
    data = pa.table({"x": pa.array(range(40), pa.int64())})
    return db.create_table("t", data, max_rows_per_file=15, data_storage_version=request.param)


def blobs(table: leman.Table, column: str = "b") -> dict[int, bytes | None]:
    """The column as a fresh reader finds it."""
    dataset = lance.dataset(table.uri)
    dataset.validate()
    rows = dataset.to_table(columns=["x"], with_row_address=True)
    addresses = rows.column("_rowaddr").to_pylist()
    files = dataset.take_blobs(column, addresses=addresses)
    return {x: None if f is None else f.read() for x, f in zip(rows.column("x").to_pylist(), files, strict=True)}


def made(calls: CallLog | None = None, version: str = "1", fail_at: int | None = None, mark: bytes = b""):
    path = None if calls is None else calls.path

    @leman.udf(data_type=pa.large_binary(), field_metadata=BLOB, version=version)
    def make(x: int) -> bytes | None:
        if path is not None:
            with open(path, "ab") as log:
                log.write(b".")
        if x == fail_at:
            raise ValueError("not this one")
        value = content(x)
        return value if value is None else mark + value

    return make


EXPECTED = {x: content(x) for x in range(40)}


def test_blobs_of_all_sizes(table: leman.Table, calls: CallLog) -> None:
    table.add_columns({"b": made(calls)})
    result = table.backfill("b", concurrency=2, checkpoint_size=7)
    assert blobs(table) == EXPECTED
    assert calls.count == 40
    # Values stay where their worker wrote them; for blobs beside the data file Lance's writer says where they are.
    payload = sum(len(value) for value in EXPECTED.values() if value)
    assert result.metrics["bytes_placed"] >= payload
    assert result.metrics["bytes_copied"] + result.metrics["bytes_reencoded"] < payload / 100
    assert table.backfill("b").rows_computed == 0
    is_type = str(table.schema.field("b").type).startswith("extension<lance.blob")
    assert is_type == (table.to_lance().data_storage_version == "2.2")


def test_one_checkpoint_a_fragment(table: leman.Table) -> None:
    table.add_columns({"b": made()})
    table.backfill("b", concurrency=1)
    assert blobs(table) == EXPECTED


def test_where_keeps_what_it_does_not_select(table: leman.Table) -> None:
    table.add_columns({"b": made()})
    table.backfill("b", where="x < 20", concurrency=2)
    assert blobs(table) == {x: content(x) if x < 20 else None for x in range(40)}
    table.delete("x % 7 = 3")
    table.alter_columns({"path": "b", "udf": made(version="2", mark=b"2")})
    table.backfill("b", where="x >= 10", concurrency=1, batch_size=4)
    changed = {x: value if x < 10 or value is None else b"2" + value for x, value in EXPECTED.items()}
    assert blobs(table) == {x: value for x, value in changed.items() if x % 7 != 3}


def test_a_failed_job_is_resumed(table: leman.Table, calls: CallLog) -> None:
    table.add_columns({"b": made(calls, fail_at=33)})
    with pytest.raises(leman.UserFunctionError, match="not this one"):
        table.backfill("b", concurrency=1, checkpoint_size=3, commit_granularity=None)
    done = calls.count
    assert done >= 33
    calls.clear()
    table.backfill("b", udf=made(calls), concurrency=1)
    assert blobs(table) == EXPECTED
    assert calls.count < 40 - 27


def test_appended_rows_and_rows_skipped(table: leman.Table) -> None:
    function = made(fail_at=6)
    function.on_error = (leman.Skip(ValueError),)
    table.add_columns({"b": function})
    assert table.backfill("b").rows_skipped == 1
    assert blobs(table) == {**EXPECTED, 6: None}
    table.add(pa.table({"x": pa.array([40, 41], pa.int64())}))
    assert table.backfill("b", udf=made()).rows_computed == 2
    table.backfill("b", udf=made(), retry_failed=True)
    assert blobs(table) == {**EXPECTED, 40: content(40), 41: content(41)}


def test_paths_are_read_before_the_next_call(table: leman.Table, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "download"

    @leman.udf(data_type=pa.large_binary(), field_metadata=BLOB)
    def download(x: int) -> pathlib.Path | None:
        value = content(x)
        if value is None:
            return None
        file.write_bytes(value)  # The same file for every row.
        return file

    assert [row.output for row in download.preview(table, 5).rows] == [content(x) for x in range(5)]
    table.add_columns({"b": download})
    table.backfill("b", concurrency=1)
    assert blobs(table) == EXPECTED


def test_batch_async_and_class_functions(table: leman.Table) -> None:
    @leman.udf(data_type=pa.binary(), field_metadata=BLOB)
    def of_batches(x: pa.Array) -> pa.Array:
        return pa.array([content(v) for v in x.to_pylist()], pa.binary())

    @leman.udf(field_metadata=BLOB)
    async def waiting(x: int) -> bytes:
        return content(x)

    @leman.udf(data_type=pa.large_binary(), field_metadata=BLOB)
    class Stateful:
        def setup(self) -> None:
            self.ready = True

        def __call__(self, x: int):
            assert self.ready
            value = content(x)
            return None if value is None else bytearray(value)

    table.add_columns({"p": of_batches, "q": waiting, "r": Stateful()})
    for name in "pqr":
        table.backfill(name, concurrency=1, where=None)
        assert blobs(table, name) == EXPECTED
    table.backfill("p", where="x > 30", concurrency=1)


def test_a_blob_column_is_read_by_the_next_function(table: leman.Table) -> None:
    @leman.udf
    def size(b: bytes) -> int:
        return len(b)

    table.add_columns({"b": made()})
    table.add_columns({"n": size})
    table.backfill(["n", "b"], concurrency=1)
    read = table.to_lance().to_table(columns=["x", "n"]).to_pylist()
    assert {row["x"]: row["n"] for row in read} == {x: SIZES[x % 5] for x in range(40)}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "returned int for a blob column: expected bytes"),
        ("/tmp/x", "write pathlib.Path"),
        (pathlib.Path("/nowhere/at/all"), "No such file"),
    ],
)
def test_wrong_results_name_the_row(table: leman.Table, value: object, message: str) -> None:
    @leman.udf(data_type=pa.large_binary(), field_metadata=BLOB)
    def wrong(x: int):
        return value if x == 17 else b"x"

    table.add_columns({"b": wrong})
    with pytest.raises(leman.UserFunctionError, match=message) as caught:
        table.backfill("b", concurrency=1)
    assert "row 2 of fragment 1" in str(caught.value)
    preview = wrong.preview(table, 3, where="x >= 16")
    assert [row.error is None for row in preview.rows] == [True, False, True]


def test_what_cannot_be_a_blob_column_is_refused(db: leman.Connection, table: leman.Table) -> None:
    with pytest.raises(TypeError, match="keeps blobs, but function 'text' makes string"):
        table.add_columns({"b": leman.udf(data_type=pa.string(), field_metadata=BLOB, name="text")(lambda x: "")})
    inside = pa.struct([("b", BlobType())])
    with pytest.raises(TypeError, match="only a column of its own can keep blobs: make 'b' a column"):
        table.add_columns({"b": leman.udf(data_type=inside, name="inside")(lambda x: None)})
    assert table.schema.names == ["x"]


def test_the_type_of_blobs_and_tables_of_version_2_0(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(40), pa.int64())}), data_storage_version="2.0")
    table.add_columns({"b": leman.udf(data_type=BlobType())(made().__wrapped__)})
    table.backfill("b", concurrency=1, checkpoint_size=16)
    assert blobs(table) == EXPECTED
    with pytest.raises(ValueError, match=r"where='x < 3': column 'b' keeps blobs, and in tables of file version 2\.0"):
        table.backfill("b", where="x < 3")


def test_a_column_that_somebody_declared(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(40), pa.int64())}), data_storage_version="2.2")
    table.add_columns([lance.blob_field("b", inline_size_threshold=10)])
    table.backfill("b", udf=made(), concurrency=1)
    assert blobs(table) == EXPECTED


def test_blobs_of_a_job_that_died_are_cleaned_and_others_stay(db: leman.Connection) -> None:
    from leman.lance_cleanup import clean_table

    table = db.create_table("t", pa.table({"x": pa.array(range(40), pa.int64())}), data_storage_version="2.2")
    table.add_columns({"b": made()})
    table.backfill("b", concurrency=1)
    data = pathlib.Path(table.uri) / "data"
    (kept,) = data.glob("leman-*/")
    left = data / f"leman-f{'1' * 24}-0-0123456789ab"
    left.mkdir()
    (left / "10000000000000000000000000000000.blob").write_bytes(b"x" * 1000)
    clean_table(table.uri)
    assert left.exists()  # Too young: another machine's job may be about to commit it.
    assert clean_table(table.uri, grace_s=0.0)["bytes"] >= 1000
    assert list(data.glob("leman-*/")) == [kept]
    assert blobs(table) == EXPECTED


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
def test_lance_rewrites_what_was_placed(db: leman.Connection, version: str) -> None:
    data = pa.table({"x": pa.array(range(40), pa.int64())})
    table = db.create_table("t", data, max_rows_per_file=15, data_storage_version=version)
    table.add_columns({"b": made()})
    table.backfill("b", concurrency=2, checkpoint_size=4)
    dataset = table.to_lance()
    before = {path.name for path in (pathlib.Path(table.uri) / "data").glob("leman-*.lance")}
    dataset.delete("x = 7")
    dataset.optimize.compact_files()
    assert blobs(table) == {x: value for x, value in EXPECTED.items() if x != 7}
    dataset.cleanup_old_versions(older_than=datetime.timedelta(0), delete_unverified=True)
    assert blobs(table) == {x: value for x, value in EXPECTED.items() if x != 7}
    left = [path for path in (pathlib.Path(table.uri) / "data").rglob("leman-*") if path.is_file()]
    assert before and not left
    assert not list((pathlib.Path(table.uri) / "data").glob("leman-*/*.blob"))


def test_a_killed_driver_leaves_values_that_the_next_run_takes(
    db: leman.Connection, calls: CallLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data files are there and the pages file is sealed, but nothing was committed."""
    for version in ("2.1", "2.2"):
        data = pa.table({"x": pa.array(range(40), pa.int64())})
        table = db.create_table(f"t{version[-1]}", data, data_storage_version=version)
        table.add_columns({"b": made(calls)})
        from leman.lance_table import LanceTable

        with monkeypatch.context() as patch:
            patch.setattr(LanceTable, "commit", _no_commit)
            with pytest.raises(leman.LemanError):
                table.backfill("b", concurrency=2, checkpoint_size=7)
        calls.clear()
        result = leman.connect(db.uri).open_table(table.name).backfill("b", concurrency=2)
        assert calls.count == 0
        assert blobs(table) == EXPECTED
        assert result.metrics["bytes_copied"] + result.metrics["bytes_reencoded"] < 100_000


DRIVER = """
import os, sys, time
import leman, pyarrow as pa

@leman.udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"}, version="1")
def make(x: int) -> bytes:
    time.sleep(0.02 if x else 0)
    return bytes([65 + x % 26]) * 300_000

table = leman.connect(sys.argv[1]).open_table("t")
table.add_columns({"b": make})
table.backfill("b", concurrency=2, checkpoint_size=8, task_size=16, progress=False)
"""


def test_after_kill_9_what_was_checkpointed_is_taken_and_the_rest_cleaned(
    table: leman.Table, calls: CallLog, tmp_path: pathlib.Path
) -> None:
    from leman.lance_cleanup import clean_table

    driver = subprocess.Popen([sys.executable, "-c", DRIVER, table.connection.uri])
    checkpoints = pathlib.Path(table.uri) / "_leman" / "checkpoints"
    try:
        until = time.monotonic() + 60
        while len(list(checkpoints.glob("*/*.region"))) < 2 and driver.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        driver.kill()
        driver.wait()
    made_before = sum(1 for _ in checkpoints.glob("*/*.region"))
    assert made_before >= 2

    @leman.udf(data_type=pa.large_binary(), field_metadata=BLOB, version="1")
    def make(x: int) -> bytes:
        with open(calls.path, "ab") as log:
            log.write(b".")
        return bytes([65 + x % 26]) * 300_000

    table.checkout_latest()
    result = table.backfill("b", udf=make, concurrency=1)
    assert result.metrics["rows_resumed"] >= 14  # Checkpoints of 8 and 7 rows, at least.
    assert calls.count == 40 - result.metrics["rows_resumed"]
    expected = {x: bytes([65 + x % 26]) * 300_000 for x in range(40)}
    assert blobs(table) == expected
    clean_table(table.uri, grace_s=0.0)
    assert not list(checkpoints.glob("*/*"))
    assert blobs(table) == expected


def _no_commit(*_: object) -> None:
    raise OSError("the disk is full")


def test_memory_holds_some_values_not_the_fragment(tmp_path: pathlib.Path) -> None:
    from lance.file import LanceFileWriter

    from leman.blob_data_file import write_blob_data_file
    from leman.blob_outputs import LARGEST_KEY, value_field

    one = 1 << 20
    data = pa.table({"x": pa.array(range(200), pa.int64())})
    dataset = lance.write_dataset(data, str(tmp_path / "t.lance"), data_storage_version="2.2")
    dataset.add_columns(pa.schema([lance.blob_field("b")]))
    checkpoint = str(tmp_path / "c.lance")
    schema = pa.schema([value_field(dataset.schema.field("b"), "2.2")])
    with LanceFileWriter(checkpoint, schema, version="2.2") as writer:
        for x in range(200):
            writer.write_batch(pa.record_batch([pa.array([bytes([x]) * one], pa.large_binary())], schema=schema))
        writer.add_schema_metadata(LARGEST_KEY, str(one))
    parts: list[int] = []

    def told(size_bytes: int) -> bool:
        parts.append(size_bytes)
        return True

    tracemalloc.start()
    before = pa.total_allocated_bytes()
    write_blob_data_file([checkpoint], str(tmp_path / "t.lance" / "data"), "made.lance", dataset, "b", told)
    assert tracemalloc.get_traced_memory()[1] < 50 * one
    assert pa.total_allocated_bytes() - before < 50 * one
    tracemalloc.stop()
    (pack,) = (tmp_path / "t.lance" / "data" / "made").iterdir()
    assert pack.stat().st_size == 200 * one
    assert sum(parts) >= 200 * one and max(parts) < 50 * one


def test_a_data_file_that_is_long_to_make_shows_and_can_be_stopped(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(40), pa.int64())}), data_storage_version="2.2")
    table.add_columns({"b": made()})

    class Stop:
        def __init__(self) -> None:
            self.assembled = 0

        def start(self, info: dict) -> None: ...

        def update(self, info: dict) -> None:
            self.assembled = max(self.assembled, info["bytes_assembled"])

        def finish(self, info: dict) -> None: ...

    sink = Stop()
    result = table.backfill("b", concurrency=1, progress=sink)
    size = sum(len(value) for value in EXPECTED.values() if value)
    assert result.metrics["bytes_assembled"] >= size

    from leman.blob_data_file import write_blob_data_file
    from leman.lance_errors import HostError

    data = pathlib.Path(table.uri) / "data"
    before = sorted(data.rglob("*"))
    source = data.parent / "checkpoint"
    with pytest.raises(HostError, match="was stopped") as stopped:
        source.write_bytes(_checkpoint_of(table))
        write_blob_data_file([str(source)], str(data), "other.lance", table.to_lance(), "b", lambda _: False)
    assert stopped.value.leman_kind == "cancelled"
    assert sorted(data.rglob("*")) == before


def _checkpoint_of(table: leman.Table) -> bytes:
    from lance.file import LanceFileWriter

    from leman.blob_outputs import value_field

    path = pathlib.Path(table.uri) / "values"
    schema = pa.schema([value_field(table.schema.field("b"), "2.2")])
    with LanceFileWriter(str(path), schema, version="2.2") as writer:
        writer.write_batch(pa.record_batch([pa.array([b"x" * 100_000] * 3, pa.large_binary())], schema=schema))
    return path.read_bytes()
