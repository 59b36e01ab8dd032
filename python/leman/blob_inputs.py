"""Blob columns as inputs: a function of one row gets a file that reads from storage what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .user_function import UserFunction

#: What is read of a blob column instead of its values: where the row lies.
ADDRESS = "_rowaddr"


def is_blob(field: pa.Field) -> bool:
    """Say whether Lance keeps a column's values as blobs: ``lance-encoding:blob``, or the type ``lance.blob.v2``."""
    if (field.metadata or {}).get(b"lance-encoding:blob", b"").lower() == b"true":
        return True
    return str(getattr(field.type, "extension_name", "")).startswith("lance.blob")


def is_blob_path(schema: pa.Schema, path: str) -> bool:
    """Say whether a column is a blob column; struct fields are none."""
    return path in schema.names and is_blob(schema.field(path))


def blob_inputs(schema: pa.Schema, inputs: Sequence[str]) -> dict[int, str]:
    """Return index and name of each input that is a blob column."""
    return {index: path for index, path in enumerate(inputs) if is_blob_path(schema, path)}


def instance(function: UserFunction, dataset: lance.LanceDataset, inputs: Sequence[str]) -> Callable[..., Any]:
    """Return what is called for a row; where inputs are blob columns, with row addresses in their place.

    Parameters
    ----------
    function : UserFunction
        Of one row, where there are blob columns.
    dataset : lance.LanceDataset
        The table version that is read.
    inputs : sequence of str
        Columns in argument order.
    """
    plain = function.instantiate()
    blobs = blob_inputs(dataset.schema, inputs)
    if not blobs:
        return plain
    arguments = [argument for _, argument in function.bind(tuple(inputs))]
    as_bytes = {index for index in blobs if arguments[index].wants("binary")}
    skip_null = {index for index in blobs if not arguments[index].takes_none}

    def opened(addresses: tuple[Any, ...]) -> list[Any] | None:
        values = list(addresses)
        for index, column in blobs.items():
            blob = dataset.take_blobs(column, addresses=[values[index]])[0]
            if blob is None and index in skip_null:
                return None
            if blob is not None and index in as_bytes:
                with blob:
                    values[index] = blob.read()
            else:
                values[index] = blob
        return values

    def call(*addresses: Any) -> Any:
        values = opened(addresses)
        return None if values is None else plain(*values)

    async def call_async(*addresses: Any) -> Any:
        values = opened(addresses)
        return None if values is None else await plain(*values)

    made: Any = call_async if function.is_async else call
    made.__name__ = function.name
    if hasattr(plain, "setup"):
        made.setup = plain.setup
    return made
