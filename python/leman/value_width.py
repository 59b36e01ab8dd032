"""How many bytes a value has, where its type alone says so."""

from __future__ import annotations

import pyarrow as pa


def value_bytes(type: pa.DataType) -> int:
    """Return the bytes of a value of a type; 0 where only the value tells."""
    if pa.types.is_fixed_size_list(type):
        return int(type.list_size) * value_bytes(type.value_type)
    if pa.types.is_struct(type):
        sizes = [value_bytes(field.type) for field in type]
        return sum(sizes) if all(sizes) else 0
    try:
        return -(-int(type.bit_width) // 8)
    except ValueError:
        return 0
