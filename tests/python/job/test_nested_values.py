"""Structs with lists inside, some of them null: Lance cannot read just any file of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import leman

TYPE = pa.struct([("a", pa.list_(pa.int64())), ("b", pa.int32())])
ROWS = 400_000


def nested(x: pa.Array) -> pa.Array:
    numbers = x.to_numpy()
    offsets = pa.array(np.arange(0, 5 * len(numbers) + 1, 5, dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.repeat(numbers, 5) * 7919))
    # Many pages without a null, then some with.
    null = (numbers % 7 == 0) & (numbers > 100_000) & (numbers < 300_000)
    return pa.StructArray.from_arrays([lists, pa.array(numbers.astype(np.int32))], ["a", "b"], mask=pa.array(null))


@pytest.mark.parametrize("checkpoint_size", [None, 100_000])
def test_null_structs_with_lists_in_many_pages_can_be_read(db: leman.Connection, checkpoint_size: int | None) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(ROWS), pa.int64())}), max_rows_per_file=ROWS)
    table.add_columns({"y": (leman.udf(data_type=TYPE)(nested), ["x"])})
    table.backfill("y", concurrency=2, progress=False, checkpoint_size=checkpoint_size)
    found = table.to_arrow().column("y").combine_chunks()
    expected = nested(pa.array(range(ROWS)))
    assert found.equals(expected) or found.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2"])
@pytest.mark.parametrize("rows_per_checkpoint", [50, 200])
def test_a_packed_struct_is_one_column_of_its_file(
    db: leman.Connection, version: str, rows_per_checkpoint: int
) -> None:
    type = pa.struct([("a", pa.int32()), ("b", pa.float64())])

    def pair(x: pa.Array) -> pa.Array:
        return pa.array([{"a": value, "b": value / 2} for value in x.to_pylist()], type)

    rows = pa.table({"x": pa.array(range(200), pa.int64())})
    table = db.create_table("t", rows, data_storage_version=version)
    table.add_columns({"y": (leman.udf(data_type=type, field_metadata={"lance-encoding:packed": "true"})(pair), ["x"])})
    table.backfill("y", concurrency=1, progress=False, checkpoint_size=rows_per_checkpoint)
    assert table.to_arrow().column("y").to_pylist() == [{"a": x, "b": x / 2} for x in range(200)]
