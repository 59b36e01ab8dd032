"""Random types, values and cuts: what the engine joins, pylance reads back equal, or the engine says why not.

LEMAN_RANDOM_CASES sets how many cases, LEMAN_RANDOM_SEED which: `.ci/run` takes 10,000 new ones each time. A case is
one file joined of random checkpoints of one random type; several cases share the checkpoints, which pylance takes long
to write. Two processes share the work.
"""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
import random
import string
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
from assemble_tool import AssembleError, Engine, find_tool
from columns import read_file, write_file
from lance.file import LanceFileReader

CASES = int(os.environ.get("LEMAN_RANDOM_CASES", "1000"))
CASES_A_TYPE = 25
PROCESSES = 2
SEED = os.environ.get("LEMAN_RANDOM_SEED", "1")
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


def _equal(found: pa.ChunkedArray, expected: list[pa.Array]) -> bool:
    if found.combine_chunks().equals(pa.concat_arrays(expected).cast(found.type)):
        return True
    # Arrow counts what lies under a null; what people see decides.
    return found.to_pylist() == [value for batch in expected for value in batch.to_pylist()]


def _write_parts(
    folder: Path, rng: random.Random, type: pa.DataType, nullable: bool, version: str
) -> list[tuple[Path, list[pa.Array]]] | None:
    """Some checkpoints of a type; None where pylance itself cannot write or read one."""
    schema = pa.schema([pa.field("c", type, nullable)])
    parts = []
    for index in range(6):
        path = folder / f"{index}.lance"
        batches = [_random_part(rng, type, nullable) for _ in range(rng.choice([1, 1, 1, 2]))]
        try:
            write_file(path, schema, batches, version)
            if not _equal(read_file(path), batches):
                return None
        except (OSError, ValueError, NotImplementedError, pa.ArrowException):
            return None
        except BaseException as error:  # A panic of pylance is no Exception.
            if "Panic" in error.__class__.__name__:
                return None
            raise
        parts.append((path, batches))
    return parts


def _check_reads(output: Path, rng: random.Random, expected: list[pa.Array]) -> bool:
    """Whole, in odd batches, and a range that may cross any page's end."""
    whole = pa.concat_arrays(expected)
    if not _equal(read_file(output, rng.choice([3, 64, 1024])), expected):
        return False
    start = rng.randrange(len(whole))
    count = rng.randint(1, min(50, len(whole) - start))
    part = LanceFileReader(str(output)).read_range(start, count, batch_size=rng.choice([7, 64])).to_table().column("c")
    return _equal(part, [whole.slice(start, count)])


def _cases_of_one_type(folder: Path, engine: Engine, rng: random.Random, cases: int) -> collections.Counter[str]:
    type, nullable, version = _random_type(rng, 3), rng.random() < 0.7, rng.choice(["2.0", "2.1", "2.2"])
    outcomes: collections.Counter[str] = collections.Counter()
    parts = _write_parts(folder, rng, type, nullable, version)
    if parts is None:
        outcomes["pylance"] += cases
        return outcomes
    output = folder / "out.lance"
    for _ in range(cases):
        chosen = [rng.choice(parts) for _ in range(rng.randint(2, 7))]
        files = [(path, sum(map(len, batches))) for path, batches in chosen]
        output.unlink(missing_ok=True)
        try:
            engine.stitch(output, files, threads=rng.choice([1, 2]), verify=rng.random() < 0.5)
        except AssembleError as error:
            assert error.kind == "unsupported", error
            outcomes["refused"] += 1
            continue
        expected = [batch for _, batches in chosen for batch in batches]
        assert _check_reads(output, rng, expected), (type, nullable, version, [path.name for path, _ in chosen])
        outcomes["same"] += 1
    return outcomes


def _run(first: int, step: int, types: int) -> collections.Counter[str]:
    tool = find_tool()
    assert tool is not None
    outcomes: collections.Counter[str] = collections.Counter()
    process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    engine = Engine(process)
    with process, tempfile.TemporaryDirectory() as folder:
        for number in range(first, types, step):
            try:
                outcomes += _cases_of_one_type(Path(folder), engine, random.Random(f"{SEED}-{number}"), CASES_A_TYPE)
            except Exception as error:
                raise AssertionError(f"type {SEED}-{number}: {error!r}") from error
        assert process.stdin
        process.stdin.close()
    return outcomes


def test_random_columns(engine: Engine) -> None:
    types = -(-CASES // CASES_A_TYPE)
    outcomes: collections.Counter[str] = collections.Counter()
    # Lance does not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        for part in pool.map(_run, range(PROCESSES), [PROCESSES] * PROCESSES, [types] * PROCESSES):
            outcomes += part
    print(dict(outcomes))
    assert sum(outcomes.values()) >= CASES
    assert outcomes["same"] > CASES / 2, outcomes
