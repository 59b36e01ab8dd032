"""What Geneva's public documentation of UDFs shows works with ``import leman as geneva``; examples of our own."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from lance.blob import BlobFile

import leman as geneva
from leman import Columns, Fail, Retry, Skip, UnpackedUDF, fail_fast, retry_all, retry_transient, skip_on_error, udf

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def tbl(tmp_path: pathlib.Path) -> geneva.Table:
    db = geneva.connect(str(tmp_path / "db"))
    info = pa.array([{"vals": [float(i), 2.0], "tag": f"t{i}"} for i in range(8)])
    rows = {
        "width": pa.array(range(8), pa.int64()),
        "height": pa.array([3] * 8, pa.int64()),
        "filename": [f"{'x' * i}.png" for i in range(8)],
        "info": info,
    }
    return db.create_table("images", pa.table(rows), max_rows_per_file=4)


def filled(tbl: geneva.Table, function: typing.Any, name: str = "made", **backfill: typing.Any) -> list[typing.Any]:
    tbl.add_columns({name: function})
    job_id = tbl.backfill(name, concurrency=1, **backfill)
    assert isinstance(job_id, str)
    return tbl.to_lance().to_table(columns=[name]).column(name).to_pylist()


# Scalar functions.


@udf
def area(width: int, height: int) -> int:
    return width * height


@udf
def content(filename: str) -> bytes:
    return filename.encode()


def test_scalar(tbl: geneva.Table) -> None:
    assert filled(tbl, area) == [3 * i for i in range(8)]
    assert filled(tbl, content, "raw")[2] == b"xx.png"
    assert area(2, 5) == 10


# Functions of batches need data_type.


@udf(data_type=pa.int32())
def lengths(filename: pa.Array) -> pa.Array:
    return pa.array([len(str(f)) for f in filename], type=pa.int32())


@udf(data_type=pa.int32())
def lengths_of_rows(batch: pa.RecordBatch) -> pa.Array:
    return pa.array([len(str(f)) for f in batch["filename"]], type=pa.int32())


def test_batches(tbl: geneva.Table) -> None:
    assert filled(tbl, lengths) == filled(tbl, lengths_of_rows, "again") == [i + 4 for i in range(8)]
    with pytest.raises(TypeError, match="data_type"):

        @udf
        def untyped(filename: pa.Array) -> pa.Array:
            return filename


# Struct fields and lists as inputs.


def test_nested_inputs(tbl: geneva.Table) -> None:
    @udf(data_type=pa.float32(), input_columns=["info.vals"])
    def total(vals: np.ndarray | None) -> float | None:
        return None if vals is None else float(np.sum(vals))

    @udf(data_type=pa.list_(pa.float32(), 2))
    def doubled(info: dict) -> list[float]:
        return [2 * v for v in info["vals"]]

    assert filled(tbl, total) == [i + 2.0 for i in range(8)]
    assert filled(tbl, doubled, "twice")[3] == [6.0, 4.0]


# Struct outputs, one column or several.


class Dims(typing.NamedTuple):
    w: int
    h: int


def test_struct_outputs(tbl: geneva.Table) -> None:
    @udf(data_type=pa.struct([("w", pa.int32()), ("h", pa.int32())]))
    def dims(width: int, height: int) -> dict:
        return {"w": width, "h": height}

    @udf(data_type=pa.struct([("w", pa.int32()), ("h", pa.int32())]))
    def dims_of_batches(width: pa.Array, height: pa.Array) -> pa.Array:
        return pa.StructArray.from_arrays([width.cast(pa.int32()), height.cast(pa.int32())], names=["w", "h"])

    assert filled(tbl, dims)[2] == {"w": 2, "h": 3}
    assert filled(tbl, dims_of_batches, "of_batches")[2] == {"w": 2, "h": 3}


def test_sibling_columns(tbl: geneva.Table) -> None:
    @udf
    def dims(width: int, height: int) -> Columns[Dims]:
        return Dims(width, height)

    tbl.add_columns(dims)
    tbl.add_columns(UnpackedUDF(dims, prefix="image_"))
    tbl.backfill("w", concurrency=1)
    tbl.backfill("image_h", concurrency=1)
    assert {"w", "h", "image_w", "image_h"} <= set(tbl.schema.names)
    assert tbl.to_lance().to_table(columns=["w", "image_h"]).to_pylist()[5] == {"w": 5, "image_h": 3}


# Stateful functions: a class, which may say that it is a Callable.


@udf(data_type=pa.list_(pa.float32(), 4))
class Embedding(Callable):
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.model: typing.Any = None

    def __call__(self, filename: str) -> pa.Array:
        if self.model is None:
            self.model = lambda text: [len(text) * self.scale] * 4
        return pa.array(self.model(filename), pa.float32())


def test_stateful(tbl: geneva.Table) -> None:
    assert filled(tbl, Embedding(scale=0.5))[2] == [3.0] * 4
    assert filled(tbl, Embedding, "plain")[2] == [6.0] * 4


def test_stateful_of_batches_with_columns_as_parameters(tbl: geneva.Table) -> None:
    @udf(data_type=pa.int64())
    class Summed:
        def __init__(self, columns: list[str]) -> None:
            self.columns = columns

        def __call__(self, batch: pa.RecordBatch) -> pa.Array:
            first, second = (batch[name] for name in self.columns)
            return pc.add(first, second)

    assert filled(tbl, Summed(["width", "height"])) == [i + 3 for i in range(8)]


# Options of the decorator.


def test_options(tbl: geneva.Table) -> None:
    @udf(
        data_type=pa.int64(),
        version="42",
        num_cpus=1,
        num_gpus=0,
        memory=1 << 20,
        batch_size=2,
        checkpoint_size=4,
        min_checkpoint_size=1,
        max_checkpoint_size=8,
        task_size=4,
        field_metadata={"unit": "pixel"},
        timeout=30.0,
    )
    def of_all_options(width: int) -> int:
        return width

    assert filled(tbl, of_all_options) == list(range(8))
    assert of_all_options.version == "42"
    assert tbl.schema.field("made").metadata[b"unit"] == b"pixel"
    assert udf(cuda=True)(area.__wrapped__).num_gpus == 1
    assert udf(cuda=False)(area.__wrapped__).num_gpus is None
    with pytest.raises(ValueError, match="cuda=True and num_gpus=0"):
        udf(cuda=True, num_gpus=0)
    for option in ("manifest", "auto_backfill", "error_handling"):
        with pytest.raises(TypeError, match=f"'{option}'"):
            udf(**{option: True})


# Registering, changing and filling.


def test_registering_and_filling(tbl: geneva.Table) -> None:
    tbl.add_columns({"area": area, "swapped": (area, ["height", "width"]), "nothing": "cast(null as string)"})
    tbl.backfill("area", where="width > 3", concurrency=1, batch_size=2, commit_granularity=1)
    assert tbl.to_lance().to_table(columns=["area"]).column(0).to_pylist() == [None] * 4 + [12, 15, 18, 21]

    @udf
    def larger(width: int, height: int) -> int:
        return width * height * 100

    tbl.alter_columns({"path": "area", "udf": larger})
    tbl.alter_columns(*[{"path": "swapped", "udf": larger, "input_columns": ["height", "width"]}])
    tbl.backfill(
        "area", concurrency=2, intra_applier_concurrency=2, task_shuffle_diversity=None, refresh_status_secs=1.0
    )
    assert tbl.to_lance().to_table(columns=["area"]).column(0).to_pylist() == [300 * i for i in range(8)]
    tbl.backfill("swapped", udf=area, input_columns=["width", "width"], concurrency=1, read_version=tbl.version)
    assert tbl.to_lance().to_table(columns=["swapped"]).column(0).to_pylist() == [i * i for i in range(8)]
    future = tbl.backfill_async("area", where="width = 1")
    assert future.result().status == "DONE"
    with pytest.raises(ValueError, match=r"pa\.RecordBatch"):
        tbl.backfill("area", udf=lengths_of_rows, input_columns=["filename"])


# Blobs.


def test_blobs(tbl: geneva.Table) -> None:
    @udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
    def repeated(filename: str, width: int) -> bytes:
        return (filename * width).encode()

    @udf(data_type=pa.large_binary(), field_metadata={"lance-encoding:blob": "true"})
    def of_rows(batch: pa.RecordBatch) -> pa.Array:
        return pa.array([str(row).encode() for row in batch.select(["width"]).to_pylist()], type=pa.large_binary())

    @udf
    def size(repeated: BlobFile) -> int:
        assert isinstance(repeated, BlobFile)
        return len(repeated.read())

    tbl.add_columns({"repeated": repeated, "of_rows": of_rows})
    tbl.add_columns({"size": size})
    tbl.backfill("repeated", concurrency=1)
    tbl.backfill("of_rows", concurrency=1)
    assert filled(tbl, size, "bytes") == [i * (i + 4) for i in range(8)]
    (blob,) = tbl.to_lance().take_blobs("of_rows", indices=[3])
    assert blob.read() == b"{'width': 3}"


# Errors.


@pytest.mark.parametrize(
    "on_error",
    [
        retry_transient(),
        retry_transient(max_attempts=5),
        retry_all(max_attempts=2, backoff="fixed"),
        skip_on_error(),
        fail_fast(),
        [Retry(ConnectionError, TimeoutError, max_attempts=3), Skip(ValueError, match="odd"), Fail()],
        [Retry(ValueError, match=r"rate.limit", max_attempts=3, backoff="linear")],
    ],
    ids=str,
)
def test_policies_are_taken(on_error: typing.Any) -> None:
    assert udf(on_error=on_error)(area.__wrapped__).on_error


def test_skipping(tbl: geneva.Table) -> None:
    @udf(on_error=[Skip(ValueError, match="odd")])
    def even(width: int) -> int:
        if width % 2:
            raise ValueError("odd one out")
        return width

    assert filled(tbl, even) == [0, None, 2, None, 4, None, 6, None]


def test_what_has_other_rows_is_not_a_udf() -> None:
    with pytest.raises(TypeError, match="chunk"):

        @udf
        def clips(filename: str) -> Iterator[Dims]:
            yield Dims(1, 2)
