"""Blob columns as inputs: files that are read where the function reads."""

from __future__ import annotations

import io
import typing

import lance
import pyarrow as pa
import pytest

import leman

from .test_backfill import column

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

BLOBS = [bytes([65 + i]) * (1000 * i + 4) if i % 5 != 3 else None for i in range(40)]


@pytest.fixture(params=["lance-encoding:blob", "lance.blob.v2"])
def images(db: leman.Connection, request: pytest.FixtureRequest) -> leman.Table:
    if request.param == "lance.blob.v2":
        field, values = lance.blob_field("image"), lance.blob_array(BLOBS)
        version = "2.2"
    else:
        field = pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"})
        values, version = pa.array(BLOBS, pa.large_binary()), "2.1"
    data = pa.table([pa.array(range(40), pa.int64()), values], schema=pa.schema([pa.field("x", pa.int64()), field]))
    return db.create_table("images", data, max_rows_per_file=15, data_storage_version=version)


@leman.udf
def middle(image: io.IOBase, x: int) -> str:
    assert image.seekable()
    image.seek(2)
    return f"{x}{image.read(1).decode()}"


MIDDLE = [None if blob is None else f"{x}{chr(65 + x)}" for x, blob in enumerate(BLOBS)]


def test_a_function_gets_a_file_to_seek_in_and_is_not_called_for_null(images: leman.Table) -> None:
    images.add_columns({"y": middle})
    images.backfill("y", concurrency=2, batch_size=7)
    assert column(images, "y") == MIDDLE
    images.delete("x % 4 = 1")
    images.alter_columns({"path": "y", "udf": leman.udf(version="2")(middle.__wrapped__)})
    images.backfill("y", where="x > 20", concurrency=1)
    assert column(images, "y") == [value for x, value in enumerate(MIDDLE) if x % 4 != 1]


def test_bytes_are_the_whole_content_and_none_is_null(images: leman.Table) -> None:
    @leman.udf
    def size(image: bytes | None) -> int:
        return -1 if image is None else len(image)

    @leman.udf
    async def first(image: typing.BinaryIO) -> bytes:
        return image.read(1)

    images.add_columns({"size": size, "first": first})
    images.backfill("size", concurrency=1)
    images.backfill("first", concurrency=1, intra_applier_concurrency=2)
    assert column(images, "size") == [-1 if blob is None else len(blob) for blob in BLOBS]
    assert column(images, "first") == [None if blob is None else blob[:1] for blob in BLOBS]


def test_a_preview_opens_them_too(images: leman.Table) -> None:
    preview = middle.preview(images, 5)
    assert [row.output for row in preview.rows] == MIDDLE[:5] and preview.errors == ()
    assert "BlobFile size=1004" in str(preview)


def test_what_cannot_take_a_file_is_refused(images: leman.Table) -> None:
    @leman.udf(data_type=pa.int64())
    def batch(image: pa.Array) -> pa.Array:
        return image

    @leman.udf
    def text(image: str) -> str:
        return image

    @leman.udf(data_type=pa.int64())
    def row(rows: pa.RecordBatch) -> pa.Array:
        assert rows.schema.names == ["x"]
        return rows["x"]

    with pytest.raises(TypeError, match="column 'image' keeps blobs, which would have to be in memory"):
        images.add_columns({"y": batch})
    with pytest.raises(TypeError, match=r"annotated 'str'; annotate it io\.IOBase"):
        images.add_columns({"y": text})
    images.add_columns({"y": row})
    images.backfill("y", concurrency=1)
    assert column(images, "y") == list(range(40))


def test_a_traceback_holds_the_functions_frames_only(images: leman.Table) -> None:
    @leman.udf
    def fails(image: io.IOBase) -> int:
        return len(image.read()) // 0

    images.add_columns({"y": fails})
    with pytest.raises(leman.UserFunctionError, match="in fails") as caught:
        images.backfill("y", concurrency=1)
    assert str(caught.value).count('  File "') == 1
