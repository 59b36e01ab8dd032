"""Columns that one function fills together: how they know of each other, and what they are called as one.

The key is that of ``docs/formats/column_metadata.md``.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from .column_metadata import PREFIX

if TYPE_CHECKING:
    import pyarrow as pa

KEY = PREFIX + "part"


def new_parts(field_names: list[str]) -> list[dict[str, str]]:
    """Return the field metadata that makes a new group of columns, one dict a field of the function's result."""
    group = secrets.token_hex(8)
    return [{KEY: json.dumps({"group": group, "fields": field_names, "field": i})} for i in range(len(field_names))]


def group_of(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Return the columns that ``column`` is filled together with and itself, in the order of the function's fields.

    Raises
    ------
    ValueError
        Where one of them is no longer there.
    """
    part = _part(schema.field(column))
    if part is None:
        return (column,)
    found: dict[int, str] = {}
    for field in schema:
        other = _part(field)
        if other is not None and other["group"] == part["group"]:
            found[other["field"]] = field.name
    missing = [name for i, name in enumerate(part["fields"]) if i not in found]
    if missing:
        raise ValueError(
            f"column {column!r} is filled together with columns for {missing!r} of its function, which another program "
            f"dropped; drop {sorted(found.values())!r} too and add the columns again"
        )
    return tuple(found[i] for i in sorted(found))


def siblings(schema: pa.Schema, column: str) -> set[str]:
    """Return the columns of the group of ``column`` that are there, itself included."""
    part = _part(schema.field(column))
    if part is None:
        return {column}
    return {field.name for field in schema if (other := _part(field)) is not None and other["group"] == part["group"]}


def group_name(columns: tuple[str, ...]) -> str:
    """Return how columns that are filled together are called as one: in records, messages and identities."""
    return ", ".join(columns)


def group_type(schema: pa.Schema, columns: tuple[str, ...]) -> pa.DataType:
    """Return the type of one result of the function that fills ``columns``: a struct, or that of the one column."""
    import pyarrow as pa

    first = schema.field(columns[0])
    part = _part(first)
    if part is None:
        return first.type
    return pa.struct(
        [pa.field(name, schema.field(column).type) for name, column in zip(part["fields"], columns, strict=True)]
    )


def type_identity(output_type: pa.DataType, unpacked: bool) -> str:
    """Return the type as it enters identities: a struct that becomes columns is not a struct column."""
    text = str(output_type)
    return f"columns{text.removeprefix('struct')}" if unpacked else text


def is_group(schema: pa.Schema, column: str) -> bool:
    """Say whether the column holds a field of its function's results."""
    return _part(schema.field(column)) is not None


def _part(field: pa.Field) -> dict[str, Any] | None:
    value = (field.metadata or {}).get(KEY.encode())
    if value is None:
        return None
    try:
        part = json.loads(value)
        fields, index, group = part["fields"], part["field"], part["group"]
        well_formed = isinstance(group, str) and isinstance(fields, list) and all(isinstance(f, str) for f in fields)
        if well_formed and isinstance(index, int) and 0 <= index < len(fields):
            return {"group": group, "fields": fields, "field": index}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise ValueError(f"column {field.name!r}: metadata key {KEY} is not what docs/formats/column_metadata.md says")
