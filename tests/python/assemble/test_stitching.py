"""Checkpoints of every kind of column, written by pylance, joined by the engine, read back by pylance."""

from __future__ import annotations

import itertools
import random
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from assemble_tool import AssembleError, Engine
from columns import KINDS, Kind, read_file, replace_column, schema_of, values_of, write_file

VERSIONS = ("2.0", "2.1", "2.2")
SIZES = (1, 7, 1000)
# Where the engine must refuse; everywhere else it must not.
REFUSED = {
    "blob": "blob",
    "fsl_struct": "fixed-size list of structs",
    "struct_mixed": "null in some checkpoints only",
    "struct_struct_list": "null in some checkpoints only",
}


def _same(found: pa.ChunkedArray, expected: list[pa.Array]) -> bool:
    try:
        if found.combine_chunks().equals(pa.chunked_array(expected).cast(found.type).combine_chunks()):
            return True
    except pa.ArrowException:
        pass  # For instance dictionaries with nulls, which pyarrow cannot combine.
    return found.to_pylist() == [value for part in expected for value in part.to_pylist()]


def _write_parts(
    folder: Path, kind: Kind, schema: pa.Schema, parts: list[pa.Array], version: str
) -> list[tuple[Path, int]] | None:
    """None where pylance itself cannot write such a column, or not read what it wrote."""
    written = []
    for index, values in enumerate(parts):
        path = folder / f"part{index}.lance"
        try:
            write_file(path, schema, [values], version, str(index))
            if kind.name != "blob" and not _same(read_file(path), [values]):
                return None
        except (OSError, ValueError, NotImplementedError, pa.ArrowException):
            return None
        except BaseException as error:  # A panic of pylance is no Exception.
            if "Panic" in type(error).__name__:
                return None
            raise
        written.append((path, len(values)))
    return written


def _check(
    folder: Path, engine: Engine, kind: Kind, nullable: bool, version: str, sizes: list[int], nulls: list[float]
) -> str:
    rng = random.Random(zlib.crc32(repr((kind.name, nullable, version, sizes)).encode()))
    schema = schema_of(kind, nullable)
    parts = [values_of(kind, rng, rows, share) for rows, share in zip(sizes, nulls, strict=True)]
    written = _write_parts(folder, kind, schema, parts, version)
    if written is None:
        return "pylance"
    for path, _ in written:
        engine.compare_tail(path)
    output = folder / "out.lance"
    try:
        made = engine.stitch(output, written)
    except AssembleError as error:
        assert not output.exists()
        assert error.kind == "unsupported", error
        assert len(parts) > 1
        assert kind.name in REFUSED and REFUSED[kind.name] in str(error), error
        return "refused"
    assert made.way == ("linked" if len(parts) == 1 else "stitched")
    assert (made.rows, made.size_bytes, made.version) == (sum(sizes), output.stat().st_size, version)
    if kind.name != "blob":
        assert _same(read_file(output), parts)
        assert _same(read_file(output, batch_size=37 if sum(sizes) < 10_000 else 4096), parts)
        if nullable:  # A column that is added to a table always is.
            shown = replace_column(folder / "table", output, schema, sum(sizes), version, made.columns)
            assert _same(shown, parts)
    return "same"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_values_survive(tmp_path: Path, engine: Engine, kind: Kind, version: str) -> None:
    outcomes = []
    cases = [(nullable, count, size) for nullable in (False, True) for count in (1, 2, 5) for size in SIZES]
    for index, (nullable, count, size) in enumerate(cases):
        folder = tmp_path / str(index)
        folder.mkdir()
        sizes = [max(1, size - part) for part in range(count)]
        # No nulls, some, and only nulls: all three kinds of page meet in one file.
        nulls = [(0.3, 0.0, 1.0, 0.3, 0.0)[part] if nullable else 0.0 for part in range(count)]
        if kind.name == "null" and not nullable:
            continue
        outcomes.append(_check(folder, engine, kind, nullable, version, sizes, nulls))
    if all(outcome == "pylance" for outcome in outcomes):
        pytest.skip(f"pylance cannot write {kind.name} in {version}")
    if kind.name not in ("blob", "fsl_struct"):
        assert "same" in outcomes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["int64_wide", "string", "fsl_float_384", "list_float", "struct_mixed", "dictionary"])
def test_large_parts(tmp_path: Path, engine: Engine, name: str, version: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    rows = 10_000 if name == "fsl_float_384" else 100_000
    rng = random.Random(5)
    values = values_of(kind, rng, rows, 0.0 if (name, version) == ("struct_mixed", "2.0") else 0.1)
    schema = schema_of(kind, True)
    written = []
    cuts = [0, rows // 7, rows // 2, rows]
    parts = [values.slice(begin, end - begin) for begin, end in itertools.pairwise(cuts)]
    for index, part in enumerate(parts):
        path = tmp_path / f"part{index}.lance"
        step = len(part) // 3 + 1
        batches = [pa.concat_arrays([part.slice(begin, step)]) for begin in range(0, len(part), step)]
        write_file(path, schema, batches, version)
        written.append((path, len(part)))
    for threads, verify in ((1, True), (3, True), (1, False)):
        output = tmp_path / f"out{threads}{verify}.lance"
        made = engine.stitch(output, written, threads=threads, verify=verify)
        assert made.way == "stitched"
        assert _same(read_file(output, 8192), parts)
    shown = replace_column(tmp_path / "table", output, schema, rows, version, made.columns)
    assert _same(shown, parts)


def test_small_parts_that_cannot_be_encoded_again_are_joined(tmp_path: Path, engine: Engine) -> None:
    schema = pa.schema([pa.field("c", pa.int64())])
    written, parts = [], []
    for index in range(3):
        path = tmp_path / f"{index}.lance"
        parts.append(pa.array(range(index * 100, index * 100 + 100)))
        write_file(path, schema, [parts[-1]], "2.2")
        written.append((path, 100))
    # The tool's encoder refuses; src/assemble/fragment_assembler_test.cc shows that it is asked first.
    assert engine.stitch(tmp_path / "joined.lance", written, coalesce_below=1 << 20).way == "stitched"
    assert _same(read_file(tmp_path / "joined.lance", 8192), parts)
    assert engine.stitch(tmp_path / "out.lance", written[:1], coalesce_below=1 << 20).way == "linked"


def test_what_does_not_belong_together_is_refused(tmp_path: Path, engine: Engine) -> None:
    values = pa.array([1, 2, 3])
    plain = pa.schema([pa.field("c", pa.int64())])
    others = {
        "file version": (plain, "2.1", values),
        "schema": (pa.schema([pa.field("c", pa.int64(), metadata={"a": "b"})]), "2.2", values),
        "its schema": (pa.schema([pa.field("c", pa.int32())]), "2.2", values.cast(pa.int32())),
    }
    first = tmp_path / "first.lance"
    write_file(first, plain, [values], "2.2")
    for index, (reason, (schema, version, other)) in enumerate(others.items()):
        path = tmp_path / f"{index}.lance"
        write_file(path, schema, [other], version)
        with pytest.raises(AssembleError, match=reason) as error:
            engine.stitch(tmp_path / "out.lance", [(first, 3), (path, 3)])
        assert error.value.kind == "unsupported"
    with pytest.raises(AssembleError, match="has 3 rows, expected 4") as error:
        engine.stitch(tmp_path / "out.lance", [(first, 4)])
    assert error.value.kind == "corrupt"
    unstable = tmp_path / "unstable.lance"
    write_file(unstable, plain, [values], "2.3")
    with pytest.raises(AssembleError, match=r"2\.3 is not one of") as error:
        engine.stitch(tmp_path / "out.lance", [(unstable, 3)])
    assert error.value.kind == "unsupported"
    assert not (tmp_path / "out.lance").exists()


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_structs_around_lists_are_joined_where_lance_can_read_them(
    tmp_path: Path, engine: Engine, version: str
) -> None:
    type = pa.struct([("a", pa.list_(pa.int32()))])
    schema = pa.schema([pa.field("c", type)])
    values: dict[str, list[Any]] = {
        "plain": [{"a": [1]}, {"a": [2, 3]}],
        "null list": [{"a": None}, {"a": []}, {"a": [None]}],
        "null struct": [None, {"a": [2]}],
        "only null": [None, None],
    }
    for (one, first), (other, second) in itertools.product(values.items(), repeat=2):
        parts = [pa.array(first, type), pa.array(second, type)]
        paths = [tmp_path / "0.lance", tmp_path / "1.lance"]
        for path, part in zip(paths, parts, strict=True):
            write_file(path, schema, [part], version)
        output = tmp_path / "out.lance"
        nulls = {"null struct", "only null"}
        if (one in nulls) != (other in nulls):
            with pytest.raises(AssembleError, match="null in some checkpoints only") as error:
                engine.stitch(output, [(paths[0], len(first)), (paths[1], len(second))])
            assert error.value.kind == "unsupported"
        else:
            engine.stitch(output, [(paths[0], len(first)), (paths[1], len(second))])
            assert _same(read_file(output), parts)
            output.unlink()
