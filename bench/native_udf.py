"""`make bench-native`: built-in native functions beside straightforward Python ones; see bench/results/native.md.

Both are called on the same Arrow batches of 10,240 rows in one process, turn by turn, without storage: the native
function through the engine, the Python one as the engine calls a scalar UDF (values from and to Arrow buffers in C++).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import hashlib
import importlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import leman
import report

ROOT = Path(__file__).resolve().parent.parent
ROWS = 10_240
TARGET_RATIO = 5.0
TARGET_M_ROWS = 150.0


def texts() -> list[str]:
    """Texts of 20 to 45 words; the same on every machine."""
    source = random.Random(7)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(2_000)]
    return [" ".join(source.choices(words, k=source.randint(20, 45))) for _ in range(ROWS)]


def vectors() -> list[list[float]]:
    """Vectors of 384 values."""
    return np.random.default_rng(7).normal(size=(ROWS, 384)).astype(np.float32).tolist()


def minhash_in_python(text: str) -> list[int]:
    """MinHash of 32 permutations over runs of 3 words, the straightforward way."""
    words = text.split()
    shingles = [hash(" ".join(words[i : i + 3])) & 0xFFFFFFFF for i in range(max(1, len(words) - 2))]
    return [min((shingle * (2 * seed + 1) + seed) & 0xFFFFFFFF for shingle in shingles) for seed in range(32)]


def normalize_in_python(vector: list[float]) -> list[float]:
    """A vector at length 1."""
    norm = sum(value * value for value in vector) ** 0.5
    return [value / norm for value in vector]


@dataclasses.dataclass
class Case:
    """One function: native, plain, and what it is called on."""

    name: str
    values: list[Any]
    kind: pa.DataType
    plain: Callable[[Any], Any]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)


def cases() -> list[Case]:
    """Everything that is measured."""
    some_texts, some_vectors = texts(), vectors()
    constant = some_vectors[0]
    floats = pa.list_(pa.float32())
    return [
        Case("char_count", some_texts, pa.string(), lambda text: len(text)),
        Case("word_count", some_texts, pa.string(), lambda text: len(text.split())),
        Case("normalize_space", some_texts, pa.string(), lambda text: " ".join(text.split())),
        Case("lower_ascii", some_texts, pa.string(), lambda text: text.lower()),
        Case("minhash", some_texts, pa.string(), minhash_in_python, {"permutations": 32}),
        Case("sha256", some_texts, pa.string(), lambda text: hashlib.sha256(text.encode()).hexdigest()),
        Case("l2_normalize", some_vectors, floats, normalize_in_python),
        Case("quantize_int8", some_vectors, floats, lambda v: [round(max(-1.0, min(1.0, x)) * 127) for x in v]),
        Case(
            "dot",
            some_vectors,
            floats,
            lambda v: sum(a * b for a, b in zip(v, constant, strict=True)),
            {"vector_b": constant},
        ),
    ]


def measure(case: Case, runs: int, call_scalar: Callable[..., Any]) -> dict[str, Any]:
    """Rows a second of both, turn by turn."""
    function = leman.builtin_udf(case.name, params=case.params)
    column = [pa.array(case.values, case.kind)]
    batch = pa.record_batch(column, names=["value"])
    output = pa.field("result", function.data_type)
    native: list[float] = []
    plain: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        function.call_batch(column)
        middle = time.perf_counter()
        call_scalar(case.plain, batch, output)
        plain.append(time.perf_counter() - middle)
        native.append(middle - start)
    return {
        "name": case.name,
        "native_s": native,
        "python_s": plain,
        "ratio_of_mins": min(plain) / min(native),
        "ratio_of_medians": statistics.median(plain) / statistics.median(native),
    }


def applier_rate(build: Path) -> list[float]:
    """Millions of rows a second of `x + 1` on int64 as the applier calls it; a number a run."""
    command = [build / "leman_native_bench", build / "native_tests" / "libsample_udfs.so", "0.5"]
    return [float(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def markdown(results: dict[str, Any]) -> str:
    """The results as a page."""
    rates = results["applier_m_rows_s"]
    reached = "reached" if max(rates) >= TARGET_M_ROWS else "missed"
    lines = [
        "# Native functions: figures",
        "",
        f"Made by `make bench-native` on {results['date']}; {results['machine']}.",
        "",
        f"`x + 1` on int64 in batches of {ROWS:,} rows, as the applier calls it, one core, no storage: best "
        f"{max(rates):.0f}, median {statistics.median(rates):.0f} M rows/s; target {TARGET_M_ROWS:.0f}: {reached}.",
        "",
        "Built-in functions beside straightforward Python ones as scalar UDFs, one core:",
        "",
        "| function | native, µs a row (min) | Python, µs a row (min) | ratio of mins | of medians | "
        f"target {TARGET_RATIO:g} × |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for entry in results["functions"]:
        native, plain = (min(entry[key]) / ROWS * 1e6 for key in ("native_s", "python_s"))
        verdict = "reached" if entry["ratio_of_mins"] >= TARGET_RATIO else "missed"
        lines.append(
            f"| {entry['name']} | {native:.3f} | {plain:.3f} | {entry['ratio_of_mins']:.1f} | "
            f"{entry['ratio_of_medians']:.1f} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures native functions beside plain Python.")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each (default 7)")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="folder of the results")
    arguments = parser.parse_args()
    machine = report.machine(ROOT)
    sys.path.insert(0, str(arguments.build / "scalar"))
    call_scalar = importlib.import_module("_scalar_test").call_scalar
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": ", ".join(f"{key}: {value}" for key, value in machine.items()),
        "applier_m_rows_s": applier_rate(arguments.build),
        "functions": [measure(case, arguments.runs, call_scalar) for case in cases()],
    }
    text = markdown(results)
    (arguments.results / "native.md").write_text(text)
    (arguments.results / "native.json").write_text(json.dumps(results, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
