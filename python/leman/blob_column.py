"""Declares columns of blobs that a function fills, in the form that the table's file version has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blob_inputs import is_blob

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .user_function import UserFunction

_BLOB_KEY = "lance-encoding:blob"
_VERSIONS_WITH_KEY = ("2.0", "2.1")


def makes_blobs(function: UserFunction) -> bool:
    """Say whether a function was declared to fill a blob column: by ``field_metadata``, or the type of blobs."""
    if function.field_metadata.get(_BLOB_KEY, "").lower() == "true":
        return True
    data_type = function.options.data_type
    return data_type is not None and (is_blob_type(data_type) or _blob_inside(data_type) is not None)


def blob_column(column: str, function: UserFunction, storage_version: str) -> pa.Field:
    """Return the field of a new blob column, in the form that the table's file version has.

    Parameters
    ----------
    column : str
        Its name.
    function : UserFunction
        For which :func:`makes_blobs` holds.
    storage_version : str
        The table's file version: from 2.2 on blobs are ``lance.blob.v2``, before ``lance-encoding:blob``.

    Raises
    ------
    TypeError
        Where the function cannot fill such a column.
    """
    import pyarrow as pa

    check_blob_function(column, function)
    metadata = {key: value for key, value in function.field_metadata.items() if key != _BLOB_KEY}
    if storage_version in _VERSIONS_WITH_KEY:
        return pa.field(column, pa.large_binary(), metadata={**metadata, _BLOB_KEY: "true"})
    from lance import blob_field

    field = blob_field(column)
    return field.with_metadata({**(field.metadata or {}), **metadata})


def check_blob_filter(field: pa.Field, storage_version: str, filters: str | None) -> None:
    """Refuse to fill some rows of a blob column where Lance does not find null blobs.

    Parameters
    ----------
    field : pyarrow.Field
        The column.
    storage_version : str
        The table's file version.
    filters : str or None
        The argument that selects rows, as the user wrote it.

    Raises
    ------
    ValueError
        In tables of version 2.0.
    """
    if filters is not None and storage_version == "2.0" and is_blob(field):
        raise ValueError(
            f"{filters}: column {field.name!r} keeps blobs, and in tables of file version 2.0 Lance does not find the "
            "null ones; leave it out, or create the table with data_storage_version='2.1' or later"
        )


def check_blob_function(column: str, function: UserFunction) -> None:
    """Refuse functions that cannot fill a blob column.

    Raises
    ------
    TypeError
        Saying why.
    """
    import pyarrow as pa

    if function.kind == "native":
        raise TypeError(f"column {column!r} keeps blobs, which native functions cannot fill; use a Python function")
    data_type = function.data_type
    if inner := _blob_inside(data_type):
        raise TypeError(
            f"column {column!r}: function {function.name!r} makes {data_type}, with blobs inside; only a column of its "
            f"own can keep blobs: make {inner!r} a column, or write pa.large_binary() for its type"
        )
    plain = pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type)
    if not plain and not is_blob_type(data_type):
        raise TypeError(
            f"column {column!r} keeps blobs, but function {function.name!r} makes {data_type}; write "
            "@leman.udf(data_type=pa.large_binary(), field_metadata={'lance-encoding:blob': 'true'})"
        )


def is_blob_type(data_type: pa.DataType) -> bool:
    """Say whether a type is that of blobs."""
    import pyarrow as pa

    return is_blob(pa.field("", data_type))


def _blob_inside(data_type: pa.DataType) -> str | None:
    """Return the path of a blob inside of a type that is not itself one of blobs."""
    if is_blob_type(data_type):
        return None
    for index in range(data_type.num_fields):
        field = data_type.field(index)
        inner = field.name if is_blob(field) else _blob_inside(field.type)
        if inner is not None:
            return inner
    return None


def fills_blobs(dataset: lance.LanceDataset, columns: tuple[str, ...]) -> bool:
    """Say whether a job on these columns fills a blob column."""
    return len(columns) == 1 and is_blob(dataset.schema.field(columns[0]))
