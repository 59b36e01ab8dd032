"""Blob columns as outputs: what functions may return for them, and how the values travel to the data file.

Lance keeps a blob as a position, in its data file or in one beside it, so pages of blobs cannot be moved from file to
file. Checkpoints hold them as plain values (``docs/formats/checkpoint.md``), which stay where their worker wrote them:
the data file is made of where they lie. Where that cannot be, ``blob_data_file.py`` writes it from the values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .blob_column import is_blob_type

if TYPE_CHECKING:
    import lance

    from .user_function import UserFunction

#: What goes through the engine for a blob column: a value, or the row whose value stays.
RESULT_TYPE = pa.struct([pa.field("content", pa.large_binary()), pa.field("address", pa.uint64())])
#: Field metadata of a checkpoint: the column is a blob column, here are its values.
VALUE_KEY = b"leman.blob"
#: Schema metadata of a checkpoint: the size of its largest value.
LARGEST_KEY = "leman.largest_value_bytes"

_WRITTEN_BYTES = 8 << 20


def value_field(field: pa.Field, storage_version: str, *, by_lance: bool = False) -> pa.Field:
    """Return the field of a blob column's checkpoints.

    Parameters
    ----------
    field : pyarrow.Field
        The column.
    storage_version : str
        The table's file version.
    by_lance : bool, default False
        Lance's writer is to write them: it is asked to leave values as they are.
    """
    beside = is_blob_type(field.type)
    form = b"beside" if beside and storage_version == "2.2" else b"value" if beside else b"inside"
    metadata = {VALUE_KEY: form}
    if by_lance and storage_version != "2.0":
        metadata.update({b"lance-encoding:structural-encoding": b"fullzip", b"lance-encoding:compression": b"none"})
    return pa.field(field.name, pa.large_binary(), metadata=metadata)


def returning_results(plain: Callable[..., Any], function: UserFunction) -> Callable[..., Any]:
    """Return a function whose results are of :data:`RESULT_TYPE`; files are read while it runs."""

    def call(*arguments: Any) -> Any:
        return as_result(plain(*arguments))

    async def call_async(*arguments: Any) -> Any:
        return as_result(await plain(*arguments))

    made: Any = call_async if function.is_async else call
    made.__name__ = function.name
    if hasattr(plain, "setup"):
        made.setup = plain.setup
    return made


def as_result(value: Any) -> tuple[bytes, None] | None:
    """Return one value of :data:`RESULT_TYPE` for what a function returned.

    Raises
    ------
    TypeError
        Where it is neither bytes, nor the path of a file, nor None.
    OSError
        Where the file cannot be read.
    """
    if value is None:
        return None
    return content_of(value), None


def content_of(value: Any) -> bytes:
    """Return the bytes that a function's value for a blob stands for; see :func:`as_result`."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, os.PathLike):
        # Now: the function may write the next value to the same file.
        with open(value, "rb") as file:
            return file.read()
    hint = "; write pathlib.Path(…) around the path of a file" if isinstance(value, str) else ""
    raise TypeError(
        f"returned {type(value).__name__} for a blob column: expected bytes, a path (pathlib.Path) of a file to read, "
        f"or None{hint}"
    )


def results_of(values: pa.Array) -> pa.Array:
    """Return the results of a batch function as :data:`RESULT_TYPE`."""
    contents = values.cast(pa.large_binary())
    return pa.StructArray.from_arrays(
        [contents, pa.nulls(len(contents), pa.uint64())], fields=list(RESULT_TYPE), mask=contents.is_null()
    )


def with_addresses_as_results(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return a worker's stream in which the carried column, row addresses, is of :data:`RESULT_TYPE`.

    A deleted row, known by its null ``_rowid``, has no value to carry.
    """
    index = reader.schema.get_field_index("#carried")
    schema = reader.schema.set(index, pa.field("#carried", RESULT_TYPE))

    def converted() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            addresses = batch.column(index)
            live = batch.schema.get_field_index("_rowid")
            mask = None if live < 0 else batch.column(live).is_null()
            nulls = pa.nulls(batch.num_rows, pa.large_binary())
            carried = pa.StructArray.from_arrays([nulls, addresses], fields=list(RESULT_TYPE), mask=mask)
            columns = list(batch.columns)
            columns[index] = carried
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, converted())


def written_values(results: pa.Array, dataset: lance.LanceDataset, column: str) -> Iterator[tuple[pa.Array, int]]:
    """Yield the values of results, few bytes at a time, each with the size of its largest value.

    Parameters
    ----------
    results : pyarrow.StructArray
        Of :data:`RESULT_TYPE`.
    dataset : lance.LanceDataset
        Of which carried values are read.
    column : str
        The column that is filled.
    """
    addresses = results.field("address")
    if addresses.null_count == len(addresses):
        yield results.flatten()[0], _largest_bytes(results)
        return
    valid = results.is_valid().to_pylist()
    contents, addresses = results.field("content"), addresses.to_pylist()
    held: list[Any] = []
    held_bytes = largest = 0
    for row, is_valid in enumerate(valid):
        value: Any = None
        if is_valid and addresses[row] is not None:
            value = _carried(dataset, column, addresses[row])
        elif is_valid:
            value = memoryview(contents[row].as_buffer())
        size_bytes = 0 if value is None else len(value)
        held.append(value)
        held_bytes += size_bytes
        largest = max(largest, size_bytes)
        if held_bytes >= _WRITTEN_BYTES:
            yield pa.array(held, pa.large_binary()), largest
            held, held_bytes = [], 0
    if held:
        yield pa.array(held, pa.large_binary()), largest


def _largest_bytes(results: pa.StructArray) -> int:
    import pyarrow.compute as pc

    return pc.max(pc.binary_length(results.flatten()[0])).as_py() or 0


def _carried(dataset: lance.LanceDataset, column: str, address: int) -> bytes | None:
    blob = dataset.take_blobs(column, addresses=[address])[0]
    if blob is None:
        return None
    with blob:
        return bytes(blob.read())
