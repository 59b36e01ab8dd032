"""Blob columns as outputs: filled where Lance keeps them in the data file, refused where not."""

from __future__ import annotations

import lance
import pyarrow as pa
import pytest
from lance.blob import BlobType

import leman

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ROWS = 400
BLOB = {"lance-encoding:blob": "true"}


def value(x: int) -> bytes | None:
    return None if x % 17 == 3 else b"" if x % 17 == 5 else bytes([x % 251]) * (x * 37)


@leman.udf(data_type=pa.large_binary(), field_metadata=BLOB)
def blob(x: int) -> bytes | None:
    return value(x)


def table_of(db: leman.Connection, version: str) -> leman.Table:
    rows = pa.table({"x": pa.array(range(ROWS), pa.int64())})
    return db.create_table("t", rows, max_rows_per_file=ROWS, data_storage_version=version)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_blobs_of_several_checkpoints_are_those_that_the_function_made(db: leman.Connection, version: str) -> None:
    table = table_of(db, version)
    table.add_columns({"y": blob})
    result = table.backfill("y", concurrency=2, checkpoint_size=ROWS // 8, progress=False)
    assert result.metrics["checkpoints"] >= 8 and result.metrics["fragments_reencoded"] == 1
    found = lance.dataset(table.uri).take_blobs("y", indices=list(range(ROWS)))
    assert [None if file is None else file.readall() for file in found] == [value(x) for x in range(ROWS)]


@pytest.mark.parametrize("data_type", [pa.large_binary(), BlobType(), pa.struct([("b", BlobType())])], ids=str)
def test_blobs_of_version_2_are_refused_before_anything_is_added(db: leman.Connection, data_type: pa.DataType) -> None:
    table = table_of(db, "2.2")
    metadata = BLOB if data_type == pa.large_binary() else None
    with pytest.raises(ValueError, match=r"column 'y': Leman cannot fill Lance blobs of version 2 .*write data_type="):
        table.add_columns({"y": leman.udf(data_type=data_type, field_metadata=metadata)(blob.__wrapped__)})
    assert table.schema.names == ["x"]


def test_a_column_that_has_blobs_of_version_2_is_not_filled(db: leman.Connection) -> None:
    table = table_of(db, "2.2")
    table.add_columns([lance.blob_field("y")])
    table.alter_columns({"path": "y", "udf": leman.udf(data_type=BlobType())(blob.__wrapped__)})
    with pytest.raises(ValueError, match="cannot fill Lance blobs of version 2"):
        table.backfill("y", concurrency=1)


def test_a_condition_is_refused_at_the_call(db: leman.Connection) -> None:
    table = table_of(db, "2.1")
    table.add_columns({"y": blob})
    with pytest.raises(ValueError, match="where='x < 30': column 'y' holds Lance blobs"):
        table.backfill("y", where="x < 30", concurrency=1)
