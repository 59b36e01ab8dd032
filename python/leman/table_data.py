"""Turns what a user calls data into what Lance writes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_EXPECTED = (
    "expected an Arrow table, batch or reader, a pandas or polars DataFrame, a list of dicts, or a dict of lists"
)


def to_arrow_data(data: Any, schema: pa.Schema | None) -> pa.Table | pa.RecordBatchReader:
    """Return data as an Arrow table or reader, with the schema given.

    Parameters
    ----------
    data : object
        A pyarrow Table, RecordBatch or RecordBatchReader, anything with ``__arrow_c_stream__``, a pandas DataFrame, a
        list of dicts, a dict of lists, an iterable of RecordBatches (with ``schema``), or None for an empty table.
    schema : pyarrow.Schema, optional
        Data is cast to it.

    Raises
    ------
    TypeError, ValueError
        Where data is none of these, or does not fit the schema.
    """
    import pyarrow as pa

    if schema is not None and not isinstance(schema, pa.Schema):
        raise TypeError(f"schema={schema!r}: expected a pyarrow.Schema, got {type(schema).__name__}")
    if data is None:
        if schema is None:
            raise ValueError("create_table() needs data= or schema= (a pyarrow.Schema, for an empty table)")
        return schema.empty_table()
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return data if schema is None else data.cast(schema)
    if isinstance(data, pa.RecordBatchReader):
        return data if schema is None or schema == data.schema else data.cast(schema)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return pa.Table.from_pandas(data, schema=schema, preserve_index=False)
    if hasattr(data, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(data)
        return reader if schema is None or schema == reader.schema else reader.cast(schema)
    if isinstance(data, Mapping):
        return pa.table(dict(data), schema=schema)
    return _from_rows(data, schema)


def _from_rows(data: Any, schema: pa.Schema | None) -> pa.Table | pa.RecordBatchReader:
    import pyarrow as pa

    if isinstance(data, (str, bytes)) or not isinstance(data, Iterable):
        raise TypeError(f"data={data!r}: {_EXPECTED}; got {type(data).__name__}")
    if not isinstance(data, list) and schema is not None:
        return pa.RecordBatchReader.from_batches(schema, data)
    rows = list(data)
    if not rows and schema is None:
        raise ValueError("data is an empty list, which tells no columns; pass schema= as well")
    if all(isinstance(row, Mapping) for row in rows):
        # from_pylist takes the columns of the first row only, and would drop the others silently.
        names = list(dict.fromkeys(name for row in rows for name in row)) if schema is None else schema.names
        if schema is None:
            return pa.table({name: [row.get(name) for row in rows] for name in names})
        return pa.Table.from_pylist(rows, schema=schema)
    if all(isinstance(row, pa.RecordBatch) for row in rows):
        return pa.Table.from_batches(rows, schema=schema)
    raise TypeError(f"data is a list with {type(rows[0]).__name__} in it: {_EXPECTED}")
