"""What is measured: the tables, made once under .bench/data, and the names by which peers know the work."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".bench" / "data"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the benchmark: its name, rows, fragments and the kind of its one column."""

    name: str
    rows: int
    fragments: int
    kind: str  # "int64", column x; or "text", column text

    @property
    def path(self) -> Path:
        return DATA / f"{self.name}.lance"


@dataclasses.dataclass(frozen=True)
class Workload:
    """One thing to compute: a table and which function fills the new column."""

    name: str
    table: Table
    function: str  # "scalar", "array" or "embed"
    title: str

    @property
    def input_column(self) -> str:
        return "text" if self.function == "embed" else "x"


HELLO = Table("hello", 1_000, 1, "int64")
INTS = Table("ints", 10_000_000, 10, "int64")
TEXTS = Table("texts", 1_000_000, 10, "text")
MANY = Table("many", 1_000_000, 10_000, "int64")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("hello", HELLO, "scalar", "Hello: 1,000 rows, x + 1"),
        Workload("ints-scalar", INTS, "scalar", "10 M int64 in 10 fragments, x + 1, scalar"),
        Workload("ints-array", INTS, "array", "10 M int64 in 10 fragments, x + 1, pa.Array"),
        Workload("texts", TEXTS, "embed", "1 M texts of ~200 bytes in 10 fragments -> 384 float32"),
        Workload("many", MANY, "array", "10,000 fragments of 100 rows, x + 1, pa.Array"),
    )
}


def _text_batches(rows: int):
    """Texts of 20 to 45 words, about 200 bytes; the same on every machine."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(11)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    words = [bytes(random.choice(letters, random.integers(2, 10))).decode() for _ in range(5_000)]
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        lengths = random.integers(20, 45, count)
        picks = random.integers(0, len(words), int(lengths.sum()))
        texts, at = [], 0
        for length in lengths:
            texts.append(" ".join([words[i] for i in picks[at : at + length]]))
            at += length
        yield pa.record_batch({"text": pa.array(texts)})


def _int_batches(rows: int):
    import numpy as np
    import pyarrow as pa

    for start in range(0, rows, 100_000):
        yield pa.record_batch({"x": pa.array(np.arange(start, min(start + 100_000, rows)))})


def make_table(table: Table) -> Path:
    """The table's path; the table is written first where it does not exist."""
    import lance
    import pyarrow as pa

    if table.path.exists():
        return table.path
    DATA.mkdir(parents=True, exist_ok=True)
    batches = _text_batches(table.rows) if table.kind == "text" else _int_batches(table.rows)
    first = next(batches)

    def all_batches():
        yield first
        yield from batches

    unfinished = table.path.with_suffix(".unfinished.lance")
    shutil.rmtree(unfinished, ignore_errors=True)
    reader = pa.RecordBatchReader.from_batches(first.schema, all_batches())
    rows_per_file = table.rows // table.fragments
    dataset = lance.write_dataset(
        reader, unfinished, max_rows_per_file=rows_per_file, max_rows_per_group=min(rows_per_file, 1024)
    )
    assert len(dataset.get_fragments()) == table.fragments, (table, len(dataset.get_fragments()))
    unfinished.rename(table.path)
    return table.path


def fresh_copy(table: Table, folder: Path) -> Path:
    """A copy of the table in `folder`, by hard links: Lance never changes a file that it has written."""
    target = folder / f"{table.name}.lance"
    shutil.rmtree(target, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(make_table(table), target, copy_function=os.link)
    return target
