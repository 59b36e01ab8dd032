"""Structs with lists inside, some of them null, on S3: no file is committed that Lance cannot read."""

from __future__ import annotations

import lance
import numpy as np
import pyarrow as pa
import pytest

import leman

TYPE = pa.struct([("a", pa.list_(pa.int64())), ("b", pa.int32())])
ROWS = 24_000
ITEMS = 100


def nested(x: pa.Array) -> pa.Array:
    """16 KB in 20 rows that no encoder makes small; many pages without a null struct, then some with."""
    numbers = x.to_numpy()
    items = (ITEMS * np.repeat(numbers, ITEMS) + np.tile(np.arange(ITEMS), len(numbers))).astype(np.uint64)
    items = (items * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, ITEMS * len(numbers) + 1, ITEMS, dtype=np.int32)), items)
    null = (numbers % 7 == 0) & (numbers > ROWS * 3 // 4)
    return pa.StructArray.from_arrays([lists, pa.array(numbers.astype(np.int32))], ["a", "b"], mask=pa.array(null))


@pytest.mark.parametrize(
    "checkpoint_size", [ROWS // 2, *(pytest.param(rows, marks=pytest.mark.long) for rows in (ROWS, ROWS // 4))]
)
def test_null_structs_with_lists_in_some_pages_can_be_read(
    db: leman.Connection, options: dict[str, str], checkpoint_size: int
) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(ROWS), pa.int64())}), max_rows_per_file=ROWS)
    table.add_columns({"y": (leman.udf(data_type=TYPE)(nested), ["x"])})
    result = table.backfill("y", concurrency=1, progress=False, checkpoint_size=checkpoint_size)
    assert result.metrics["fragments_stitched"] == 0
    dataset = lance.dataset(table.uri, storage_options=options)
    rows = np.random.default_rng(7).integers(0, ROWS, 300)
    expected = nested(pa.array(range(ROWS)))
    assert dataset.take(rows.tolist(), columns=["y"]).column("y").to_pylist() == expected.take(rows).to_pylist()
    batches = dataset.to_batches(columns=["y"], batch_size=ROWS // 3)
    start = 0
    for batch in batches:
        assert batch.column("y").to_pylist() == expected.slice(start, batch.num_rows).to_pylist()
        start += batch.num_rows
    assert start == ROWS
