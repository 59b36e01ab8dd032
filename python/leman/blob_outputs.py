"""Blob columns as outputs: which of them Leman can fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blob_inputs import is_blob

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

# The file versions in which Lance keeps `lance-encoding:blob` columns in the data file itself.
_VERSIONS = ("2.0", "2.1")


def check_blob_outputs(fields: Iterable[pa.Field], storage_version: str, filters: str | None = None) -> None:
    """Raise ``ValueError`` where a function is to fill a blob column that Leman cannot write.

    Parameters
    ----------
    fields : iterable of pyarrow.Field
        What the function fills.
    storage_version : str
        The table's file version, e.g. ``"2.2"``.
    filters : str, optional
        The argument that selects some of the rows, as the user wrote it.
    """
    for field in fields:
        blob = _blob_in(field)
        if blob is None:
            continue
        if storage_version not in _VERSIONS or not is_blob(field) or not _is_large_binary(field.type):
            raise ValueError(
                f"column {field.name!r}: Leman cannot fill Lance blobs of version 2 (the type lance.blob.v2, which "
                f"Lance also makes of lance-encoding:blob in tables of file version 2.2), and the table has file "
                f"version {storage_version}; write data_type=pa.large_binary() without lance-encoding:blob, which has "
                "no limit on size either, or create the table with data_storage_version='2.1' and write "
                "field_metadata={'lance-encoding:blob': 'true'} with data_type=pa.large_binary()"
            )
        if filters is not None:
            raise ValueError(
                f"{filters}: column {field.name!r} holds Lance blobs, of which Leman cannot keep those of other rows; "
                "leave it out, or fill a pa.large_binary() column without lance-encoding:blob"
            )


def _is_large_binary(type: pa.DataType) -> bool:
    return str(type) == "large_binary"


def _blob_in(field: pa.Field) -> pa.Field | None:
    """Return the field or one inside it that is a blob."""
    if is_blob(field):
        return field
    inner = [field.type.field(index) for index in range(field.type.num_fields)]
    return next((found for found in map(_blob_in, inner) if found is not None), None)
