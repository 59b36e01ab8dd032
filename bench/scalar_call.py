"""Calling scalar Python functions from the engine, against the plain comprehension ``[f(v) for v in values]``.

Usage: ``LEMAN_SCALAR_TEST_DIR=build-scalar python bench/scalar_call.py [rounds]``. Each line: median nanoseconds a
row of both, taken in turns in this one process, and the median of the rounds' ratios. With the engine installed the
variable is not needed.
"""

from __future__ import annotations

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

ROWS = 200_000


def load() -> Callable[..., Any]:
    directory = os.environ.get("LEMAN_SCALAR_TEST_DIR")
    if not directory:
        return importlib.import_module("leman._engine").call_scalar
    sys.path.insert(0, directory)
    return importlib.import_module("_scalar_test").call_scalar


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(
    name: str, target: float, rounds: int, ours: Callable[[], Any], plain: Callable[[], Any], rows: int
) -> None:
    ours(), plain()
    pairs = [(seconds(ours), seconds(plain)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    mine, other = (statistics.median(column) / rows * 1e9 for column in zip(*pairs, strict=True))
    print(f"{name:28} {mine:8.1f} ns {other:8.1f} ns  ratio {ratio:5.2f}  (target {target})")


def throughput(name: str, rounds: int, work: Callable[[], Any], bytes_made: int) -> None:
    work()
    took = [seconds(work) for _ in range(rounds)]
    print(f"{name:28} {bytes_made / statistics.median(took) / 1e9:8.2f} GB/s (best {bytes_made / min(took) / 1e9:.2f})")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    call = load()
    ints = list(range(1_000, 1_000 + ROWS))
    floats = [v / 7 for v in ints]
    texts = [f"{v:050d}" for v in ints]
    options = [None if v % 5 == 0 else v for v in ints]

    def plus_one(x: int) -> int:
        return x + 1

    def shout(x: str) -> str:
        return x + "!"

    def half(x: float) -> float:
        return x * 0.5

    def optional(x: int | None) -> int | None:
        return None if x is None else x + 1

    def add(x: int, y: float) -> float:
        return x + y

    def size(x: str) -> int:
        return len(x)

    def one(name: str, target: float, function: Any, values: list[Any], out: pa.DataType) -> None:
        batch, field = pa.record_batch({"x": values}), pa.field("o", out)
        compare(name, target, rounds, lambda: call(function, batch, field), lambda: [function(v) for v in values], ROWS)

    one("x + 1, int64", 1.15, plus_one, ints, pa.int64())
    one("x * 0.5, float64", 1.3, half, floats, pa.float64())
    one("50-byte str -> str", 1.3, shout, texts, pa.string())
    one("50-byte str -> int64", 1.3, size, texts, pa.int64())
    one("Optional[int64]", 1.3, optional, options, pa.int64())
    batch, field = pa.record_batch({"x": ints, "y": floats}), pa.field("o", pa.float64())
    compare(
        "two arguments", 1.3, rounds, lambda: call(add, batch, field),
        lambda: [add(x, y) for x, y in zip(ints, floats, strict=True)], ROWS,
    )  # fmt: skip
    one("builtin abs, int64", 2, abs, ints, pa.int64())

    vectors = np.random.default_rng(0).random((20_000, 384), dtype=np.float32)
    rows = list(vectors)
    lists = vectors[:2_000].tolist()
    index = pa.record_batch({"i": pa.array(range(20_000), pa.int64())})
    few = index.slice(0, 2_000)
    for name, kind in {"list": pa.list_(pa.float32()), "fixed": pa.list_(pa.float32(), 384)}.items():
        made = pa.field("o", kind)
        throughput(
            f"ndarray[384] -> {name}", rounds, lambda made=made: call(rows.__getitem__, index, made), vectors.nbytes
        )
        throughput(
            f"list[384] -> {name}", rounds, lambda made=made: call(lists.__getitem__, few, made), 2_000 * 384 * 4
        )
    source = pa.record_batch({"v": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 384)})
    whole = pa.field("o", pa.list_(pa.float32(), 384))
    throughput(
        "ndarray in, ndarray out", rounds, lambda: call(lambda v: v, source, whole, ndarray=[1]), 2 * vectors.nbytes
    )


if __name__ == "__main__":
    main()
