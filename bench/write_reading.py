"""Whether what Leman wrote reads as fast as what pylance wrote in one go, and is as small: `make bench-write`."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

POINT = pa.struct([("x", pa.float64()), ("y", pa.int64()), ("name", pa.string())])
TAKES = 1_000
TAKES_A_ROUND = 5


def _ints(x: pa.Array) -> pa.Array:
    return pa.array(np.random.default_rng(int(x[0].as_py())).integers(0, 1 << 40, len(x)))


def _structs(x: pa.Array) -> pa.Array:
    random = np.random.default_rng(int(x[0].as_py()))
    names = pa.array([f"point {value}" for value in random.integers(0, 100_000, len(x))])
    numbers = pa.array(random.integers(0, 1 << 40, len(x)))
    return pa.StructArray.from_arrays([pa.array(random.random(len(x))), numbers, names], fields=list(POINT))


@dataclasses.dataclass(frozen=True)
class Column:
    """A kind of column, and how it is filled."""

    name: str
    rows: int
    type: pa.DataType
    function: Callable[[Any], Any]
    scalar: bool = False
    checkpoint_rows: int | None = None  # So that the result is made of several checkpoints.


def columns() -> list[Column]:
    from write_functions import VECTOR_TYPE, make_blob, make_texts, make_vectors

    return [
        Column("int64", 10_000_000, pa.int64(), _ints, checkpoint_rows=2_500_000),
        Column("text of 200 bytes", 1_000_000, pa.string(), make_texts, checkpoint_rows=250_000),
        Column("384 float32", 300_000, VECTOR_TYPE, make_vectors),
        Column("1 MB values", 500, pa.binary(), make_blob, scalar=True),
        Column("struct of float, int, text", 2_000_000, POINT, _structs, checkpoint_rows=500_000),
    ]


def _fill(column: Column, table: Path) -> None:
    import lance

    import leman

    lance.write_dataset(pa.table({"x": range(column.rows)}), table, max_rows_per_file=column.rows)
    opened = leman.connect(str(table.parent)).open_table(table.stem)
    opened.add_columns({"y": (leman.udf(data_type=column.type)(column.function), ["x"])})
    options = {"checkpoint_size": column.checkpoint_rows} if column.checkpoint_rows else {}
    opened.backfill("y", concurrency=2, progress=False, **options)


def _write_in_one_go(table: Path, source: Path) -> None:
    import lance

    reader = lance.dataset(source).scanner(columns=["y"], batch_size=10_240, batch_size_bytes=32 << 20).to_reader()
    rows = lance.dataset(source).count_rows()
    written = lance.write_dataset(reader, table, max_rows_per_file=rows, max_bytes_per_file=1 << 40)
    assert len(written.get_fragments()) == 1


def _files_of_column(dataset: Any) -> list[Any]:
    field = dataset.lance_schema.field("y")
    wanted = set()
    waiting = [field]
    while waiting:
        wanted.add(waiting[-1].id())
        waiting += waiting.pop().children()
    files = (file for fragment in dataset.get_fragments() for file in fragment.metadata.files)
    return [file for file in files if wanted & set(file.fields)]


def _pages(file: Path) -> int:
    from lance.file import LanceFileReader

    return sum(len(column.pages) for column in LanceFileReader(str(file)).metadata().columns)


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _scan(path: Path, scalar: bool) -> None:
    import lance

    batch_size = 32 if scalar else None
    for _ in lance.dataset(path).scanner(columns=["y"], batch_size=batch_size).to_batches():
        pass


def _takes(path: Path, rows: int) -> None:
    import lance

    picks = np.random.default_rng(3).choice(rows, _number_of_takes(rows), replace=False)
    lance.dataset(path).take(np.sort(picks).tolist(), columns=["y"])


def _number_of_takes(rows: int) -> int:
    return min(TAKES, rows // 2)


def _measure_column(column: Column, folder: Path, rounds: int) -> dict[str, Any]:
    import lance

    ours, theirs = folder / "leman.lance", folder / "pylance.lance"
    _fill(column, ours)
    _write_in_one_go(theirs, ours)
    result: dict[str, Any] = {"column": column.name, "rows": column.rows, "takes": _number_of_takes(column.rows)}
    both = {"leman": ours, "pylance": theirs}
    for who, path in both.items():
        files = _files_of_column(lance.dataset(path))
        result[f"{who}_bytes"] = sum(file.file_size_bytes for file in files)
        result[f"{who}_pages"] = sum(_pages(path / "data" / file.path) for file in files)
        result[f"{who}_scan"], result[f"{who}_take"] = [], []
    for number in range(rounds + 1):
        # What comes second meets warmer caches: they change places.
        for who, path in list(both.items())[:: 1 if number % 2 else -1]:
            scan = _seconds(_scan, path, column.scalar)
            # Some 10 ms each, of which one or two are the machine's whim.
            takes = [_seconds(_takes, path, column.rows) for _ in range(TAKES_A_ROUND)]
            if number:  # The first reads the disk.
                result[f"{who}_scan"].append(scan)
                result[f"{who}_take"] += takes
    return result


def measure_reading(folder: Path, rounds: int, scale: float = 1.0) -> list[dict[str, Any]]:
    """One row a kind of column: sizes, and the times of both in seconds, `rounds` scans and 5 times as many takes."""
    results = []
    for column in columns():
        if scale != 1.0:
            fewer = column.checkpoint_rows and max(1, int(column.checkpoint_rows * scale))
            column = dataclasses.replace(column, rows=max(16, int(column.rows * scale)), checkpoint_rows=fewer)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        result = _measure_column(column, folder, rounds)
        results.append(result)
        print(
            f"  {column.name:28} scan {min(result['leman_scan']):.3f} s, of {min(result['pylance_scan']):.3f} s; "
            f"takes {min(result['leman_take']):.3f} s, {min(result['pylance_take']):.3f} s; "
            f"size x{result['leman_bytes'] / result['pylance_bytes']:.3f}",
            flush=True,
        )
    shutil.rmtree(folder, ignore_errors=True)
    return results
