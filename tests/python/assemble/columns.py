"""Columns of every kind, and files of them: the material of the stitching tests."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from lance.file import LanceFileReader, LanceFileWriter

Maker = Callable[[random.Random, int], list[Any]]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A type and how to make values of it."""

    name: str
    type: pa.DataType
    make: Maker
    metadata: dict[str, str] | None = None


def _words(rng: random.Random, rows: int) -> list[Any]:
    return ["".join(rng.choices("abcdefgh", k=rng.randrange(12))) for _ in range(rows)]


def _few_words(rng: random.Random, rows: int) -> list[Any]:
    return [rng.choice(["red", "green", "blue"]) for _ in range(rows)]


def _ints(rng: random.Random, rows: int) -> list[Any]:
    return [rng.randrange(100) for _ in range(rows)]


def _floats(rng: random.Random, rows: int) -> list[Any]:
    return [rng.random() for _ in range(rows)]


def _bytes(rng: random.Random, rows: int) -> list[Any]:
    return [rng.randbytes(rng.randrange(20)) for _ in range(rows)]


def _lists(items: Maker) -> Maker:
    def make(rng: random.Random, rows: int) -> list[Any]:
        return [items(rng, rng.choice([0, 0, 1, 2, 5])) for _ in range(rows)]

    return make


def _fixed_lists(items: Maker, size: int) -> Maker:
    return lambda rng, rows: [items(rng, size) for _ in range(rows)]


def _structs(**fields: Maker) -> Maker:
    def make(rng: random.Random, rows: int) -> list[Any]:
        columns = {name: maker(rng, rows) for name, maker in fields.items()}
        return [{name: columns[name][i] for name in columns} for i in range(rows)]

    return make


def _times(rng: random.Random, rows: int) -> list[Any]:
    return [datetime.datetime(2026, 1, 1) + datetime.timedelta(microseconds=rng.randrange(10**12)) for _ in range(rows)]


def _decimals(rng: random.Random, rows: int) -> list[Any]:
    return [decimal.Decimal(rng.randrange(10**9)).scaleb(-2) for _ in range(rows)]


def _maps(rng: random.Random, rows: int) -> list[Any]:
    return [[(f"k{i}", rng.randrange(9)) for i in range(rng.randrange(3))] for _ in range(rows)]


_POINT = pa.struct([("x", pa.int32()), ("y", pa.float64())])
_POINTS = _structs(x=_ints, y=_floats)

_INTEGERS = (
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
)

KINDS = [
    *[Kind(str(t), t, _ints) for t in _INTEGERS],
    Kind("int64_constant", pa.int64(), lambda _, rows: [7] * rows),
    Kind("int64_wide", pa.int64(), lambda rng, rows: [rng.randrange(-(2**62), 2**62) for _ in range(rows)]),
    Kind("float16", pa.float16(), lambda rng, rows: [np.float16(rng.random()) for _ in range(rows)]),
    Kind("float", pa.float32(), lambda rng, rows: [float(np.float32(rng.random())) for _ in range(rows)]),
    Kind("double", pa.float64(), _floats),
    Kind("bool", pa.bool_(), lambda rng, rows: [rng.random() < 0.5 for _ in range(rows)]),
    Kind("string", pa.string(), _words),
    Kind("string_few", pa.string(), _few_words),
    Kind("string_long", pa.string(), lambda rng, rows: [rng.choice("xyz") * rng.randrange(600) for _ in range(rows)]),
    Kind("large_string", pa.large_string(), _words),
    Kind("binary", pa.binary(), _bytes),
    Kind("large_binary", pa.large_binary(), _bytes),
    Kind("fixed_binary", pa.binary(5), lambda rng, rows: [rng.randbytes(5) for _ in range(rows)]),
    Kind("list_float", pa.list_(pa.float32()), _lists(lambda r, n: [float(np.float32(r.random())) for _ in range(n)])),
    Kind("list_dictionary", pa.list_(pa.dictionary(pa.int8(), pa.string())), _lists(_few_words)),
    Kind("list_binary", pa.list_(pa.large_binary()), _lists(_bytes)),
    Kind("large_list_int", pa.large_list(pa.int64()), _lists(_ints)),
    Kind("list_string", pa.list_(pa.string()), _lists(_words)),
    Kind("list_list", pa.list_(pa.list_(pa.int32())), _lists(_lists(_ints))),
    Kind("list_struct", pa.list_(_POINT), _lists(_POINTS)),
    Kind("list_list_struct", pa.list_(pa.list_(_POINT)), _lists(_lists(_POINTS))),
    Kind(
        "fsl_float_384",
        pa.list_(pa.float32(), 384),
        lambda r, n: [np.float32(r.random() + np.arange(384)) for _ in range(n)],
    ),
    Kind("fsl_int", pa.list_(pa.int16(), 3), _fixed_lists(_ints, 3)),
    Kind("fsl_bool", pa.list_(pa.bool_(), 9), _fixed_lists(lambda r, n: [r.random() < 0.5 for _ in range(n)], 9)),
    Kind("fsl_fsl", pa.list_(pa.list_(pa.float32(), 3), 2), _fixed_lists(_fixed_lists(_ints, 3), 2)),
    Kind("list_fsl", pa.list_(pa.list_(pa.float32(), 4)), _lists(_fixed_lists(_ints, 4))),
    Kind("fsl_struct", pa.list_(_POINT, 2), _fixed_lists(_POINTS, 2)),
    Kind("struct", _POINT, _POINTS),
    Kind(
        "struct_mixed", pa.struct([("a", pa.string()), ("b", pa.list_(pa.int8()))]), _structs(a=_words, b=_lists(_ints))
    ),
    Kind("struct_struct", pa.struct([("p", _POINT), ("t", pa.string())]), _structs(p=_POINTS, t=_words)),
    Kind(
        "struct_struct_list",
        pa.struct([("p", pa.struct([("b", pa.list_(pa.int8()))]))]),
        _structs(p=_structs(b=_lists(_ints))),
    ),
    Kind(
        "struct_fsl",
        pa.struct([("v", pa.list_(pa.float32(), 4)), ("n", pa.int64())]),
        _structs(v=_fixed_lists(_ints, 4), n=_ints),
    ),
    Kind("struct_packed", _POINT, _POINTS, {"lance-encoding:packed": "true"}),
    Kind("timestamp", pa.timestamp("us"), _times),
    Kind("timestamp_tz", pa.timestamp("ns", "UTC"), _times),
    Kind(
        "timestamp_s",
        pa.timestamp("s"),
        lambda rng, rows: [value.replace(microsecond=0) for value in _times(rng, rows)],
    ),
    Kind("date64", pa.date64(), lambda rng, rows: [value.date() for value in _times(rng, rows)]),
    Kind(
        "time32", pa.time32("s"), lambda rng, rows: [value.time().replace(microsecond=0) for value in _times(rng, rows)]
    ),
    Kind("date", pa.date32(), lambda rng, rows: [value.date() for value in _times(rng, rows)]),
    Kind(
        "duration",
        pa.duration("ms"),
        lambda r, n: [datetime.timedelta(milliseconds=r.randrange(10**6)) for _ in range(n)],
    ),
    Kind("time", pa.time64("us"), lambda rng, rows: [value.time() for value in _times(rng, rows)]),
    Kind("decimal128", pa.decimal128(20, 2), _decimals),
    Kind("decimal256", pa.decimal256(50, 2), _decimals),
    Kind("dictionary", pa.dictionary(pa.int32(), pa.string()), _few_words),
    Kind("dictionary_wide", pa.dictionary(pa.int64(), pa.int64()), _ints),
    Kind("uuid", pa.uuid(), lambda rng, rows: [rng.randbytes(16) for _ in range(rows)]),
    Kind("tensor", pa.fixed_shape_tensor(pa.float32(), (2, 2)), _fixed_lists(_ints, 4)),
    Kind("null", pa.null(), lambda _, rows: [None] * rows),
    Kind("list_map", pa.list_(pa.map_(pa.string(), pa.int32())), _lists(_maps)),
    Kind("map", pa.map_(pa.string(), pa.int32()), _maps),
    Kind("blob", pa.large_binary(), _bytes, {"lance-encoding:blob": "true"}),
    Kind("double_stream_split", pa.float64(), _floats, {"lance-encoding:bss": "on"}),
    Kind("int64_runs", pa.int64(), lambda rng, rows: sorted(_ints(rng, rows)), {"lance-encoding:rle-threshold": "0.9"}),
    Kind("string_zstd", pa.string(), _words, {"lance-encoding:compression": "zstd"}),
]


def values_of(kind: Kind, rng: random.Random, rows: int, nulls: float) -> pa.Array:
    """`rows` values, a share `nulls` of them null (one run of nulls when it is 1)."""
    values = kind.make(rng, rows)
    if nulls:
        values = [None if rng.random() < nulls else value for value in values]
    return pa.array(values, kind.type)


def schema_of(kind: Kind, nullable: bool) -> pa.Schema:
    return pa.schema([pa.field("c", kind.type, nullable, metadata=kind.metadata)])


def write_file(path: Path, schema: pa.Schema, batches: list[pa.Array], version: str, key: str = "0") -> None:
    """A checkpoint, as the workers write them."""
    with LanceFileWriter(str(path), schema, version=version) as writer:
        for values in batches:
            writer.write_batch(pa.RecordBatch.from_arrays([values], schema=schema))
        writer.add_schema_metadata("leman.checkpoint", key)


def read_file(path: Path, batch_size: int = 1024) -> pa.ChunkedArray:
    return LanceFileReader(str(path)).read_all(batch_size=batch_size).to_table().column("c")


def leaf_ids(field: Any, version: str, packed: bool) -> list[int]:
    """The field ids of a data file that holds `field`: leaves in pre-order; every node in version 2.0."""
    children = [] if packed else field.children()
    own = [] if children and version != "2.0" else [field.id()]
    return own + [leaf for child in children for leaf in leaf_ids(child, version, False)]


def replace_column(
    folder: Path, file: Path, schema: pa.Schema, rows: int, version: str, columns: int
) -> pa.ChunkedArray:
    """The column as a table shows it whose one fragment got `file` by DataReplacement."""
    dataset = lance.write_dataset(pa.table({"i": range(rows)}), folder, data_storage_version=version)  # type: ignore[arg-type]
    dataset.add_columns(schema)
    field = dataset.lance_schema.field("c")
    packed = (schema.field("c").metadata or {}).get(b"lance-encoding:packed") == b"true"
    ids = leaf_ids(field, version, packed)
    assert len(ids) == columns, (ids, columns)
    target = folder / "data" / "stitched.lance"
    target.hardlink_to(file)
    major, minor = map(int, version.split("."))
    data_file = lance.fragment.DataFile("stitched.lance", ids, list(range(columns)), major, minor, file.stat().st_size)
    replacement = lance.LanceOperation.DataReplacement([lance.LanceOperation.DataReplacementGroup(0, data_file)])
    dataset = lance.LanceDataset.commit(dataset.uri, replacement, read_version=dataset.version)
    return dataset.to_table(columns=["c"]).column("c")
