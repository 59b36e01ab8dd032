"""Random types, values and cuts: what the engine joins, pylance reads back equal. LEMAN_RANDOM_CASES sets how many."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pyarrow as pa
import pytest
from columns import read_file, write_file
from conftest import AssembleError, Engine

CASES = int(os.environ.get("LEMAN_RANDOM_CASES", "300"))
SEED = int(os.environ.get("LEMAN_RANDOM_SEED", "1"))
_LEAVES = [
    pa.int8(),
    pa.int16(),
    pa.int64(),
    pa.uint32(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.binary(3),
    pa.date32(),
    pa.timestamp("us"),
    pa.decimal128(18, 3),
]


def _random_type(rng: random.Random, depth: int) -> pa.DataType:
    shape = rng.choice(["leaf", "leaf", "list", "large_list", "struct", "fixed"]) if depth else "leaf"
    if shape == "leaf":
        return rng.choice(_LEAVES)
    if shape == "struct":
        names = string.ascii_lowercase[: rng.randint(1, 3)]
        return pa.struct([pa.field(name, _random_type(rng, depth - 1), rng.random() < 0.8) for name in names])
    item = rng.choice(_LEAVES[:6]) if shape == "fixed" else _random_type(rng, depth - 1)
    if shape == "fixed":
        return pa.list_(item, rng.choice([1, 2, 8, 33]))
    return pa.large_list(item) if shape == "large_list" else pa.list_(item)


def _random_leaf(rng: random.Random, type: pa.DataType, few: bool) -> object:
    number = rng.randrange(3 if few else 100)
    if pa.types.is_boolean(type):
        return number % 2 == 0
    if pa.types.is_floating(type):
        return number / 4
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return "ab" * (number % 7) + str(number)
    if pa.types.is_fixed_size_binary(type) and not pa.types.is_decimal(type):
        return bytes([number, 0, 255])
    if pa.types.is_binary(type):
        return bytes(number % 11)
    return number


def _random_value(rng: random.Random, type: pa.DataType, nullable: bool, few: bool) -> object:
    if nullable and rng.random() < 0.15:
        return None
    if pa.types.is_struct(type):
        return {field.name: _random_value(rng, field.type, field.nullable, few) for field in type}
    if pa.types.is_fixed_size_list(type):
        return [_random_leaf(rng, type.value_type, few) for _ in range(type.list_size)]
    if pa.types.is_list(type) or pa.types.is_large_list(type):
        return [_random_value(rng, type.value_type, nullable, few) for _ in range(rng.choice([0, 0, 1, 1, 2, 7]))]
    return _random_leaf(rng, type, few)


def _random_part(rng: random.Random, type: pa.DataType, nullable: bool) -> pa.Array:
    rows = rng.choice([1, 1, 2, 5, 40, 300])
    style = rng.random()
    if nullable and style < 0.1:
        return pa.nulls(rows, type)
    if style < 0.2:
        return pa.array([_random_value(rng, type, nullable, True)] * rows, type)
    return pa.array([_random_value(rng, type, nullable, style < 0.5) for _ in range(rows)], type)


def _readable(path: Path, batches: list[pa.Array]) -> bool:
    return read_file(path).to_pylist() == [value for batch in batches for value in batch.to_pylist()]


def _one_case(folder: Path, engine: Engine, rng: random.Random) -> str:
    type, nullable, version = _random_type(rng, 3), rng.random() < 0.7, rng.choice(["2.0", "2.1", "2.2"])
    schema = pa.schema([pa.field("c", type, nullable)])
    written, expected = [], []
    for index in range(rng.randint(2, 6)):
        path = folder / f"{index}.lance"
        batches = [_random_part(rng, type, nullable) for _ in range(rng.choice([1, 1, 1, 2]))]
        try:
            write_file(path, schema, batches, version)
            if not _readable(path, batches):
                return "pylance"
        except (OSError, ValueError, NotImplementedError, pa.ArrowException):
            return "pylance"
        except BaseException as error:  # A panic of pylance is no Exception.
            if "Panic" in error.__class__.__name__:
                return "pylance"
            raise
        written.append((path, sum(len(batch) for batch in batches)))
        expected += batches
    output = folder / "out.lance"
    output.unlink(missing_ok=True)
    try:
        engine.stitch(output, written, threads=rng.choice([1, 2]), verify=rng.random() < 0.5)
    except AssembleError as error:
        assert error.kind == "unsupported", error
        return "refused"
    assert _readable(output, expected), (type, nullable, version)
    return "same"


def test_random_columns(tmp_path: Path, engine: Engine) -> None:
    outcomes: dict[str, int] = {}
    for case in range(CASES):
        try:
            outcome = _one_case(tmp_path, engine, random.Random(f"{SEED}-{case}"))
        except Exception as error:
            pytest.fail(f"case {SEED}-{case}: {error!r}")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    assert outcomes.get("same", 0) > CASES / 2, outcomes
