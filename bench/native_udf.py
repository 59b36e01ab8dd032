"""`make bench-native`: built-in native functions beside straightforward Python ones; see bench/results/native.md.

Both fill a column of the same table, in jobs of one worker with one thread, turn by turn. Times are the worker's own
(`udf_s` of the job's metrics): from an Arrow batch to an Arrow array in the applier, without storage.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import leman
import native_functions as plain
import report

ROOT = Path(__file__).resolve().parent.parent
TARGET_RATIO = 5.0
TARGET_M_ROWS = 150.0


@dataclasses.dataclass
class Case:
    """One function: native, plain, and the column that both read."""

    name: str
    column: str
    plain: Callable[[Any], Any]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)


CASES = [
    Case("byte_count", "texts", plain.byte_count),
    Case("char_count", "texts", plain.char_count),
    Case("word_count", "texts", plain.word_count),
    Case("token_count", "texts", plain.token_count),
    Case("lower_ascii", "texts", plain.lower),
    Case("lower", "texts", plain.lower),
    Case("normalize_space", "texts", plain.normalize_space),
    Case("normalize_unicode", "accents", plain.normalize_unicode),
    Case("regex_extract", "texts", plain.regex_extract, {"pattern": plain.PATTERN}),
    Case("regex_count", "texts", plain.regex_count, {"pattern": plain.PATTERN}),
    Case("minhash", "texts", plain.minhash, {"permutations": 32}),
    Case("simhash", "texts", plain.simhash),
    Case("xxh3_64", "texts", plain.blake2),
    Case("sha256", "texts", plain.sha256),
    Case("sha256", "images", plain.sha256_of_bytes),
    Case("l2_norm", "vectors", plain.l2_norm),
    Case("l2_normalize", "vectors", plain.l2_normalize),
    Case("quantize_int8", "vectors", plain.quantize_int8),
    Case("dot", "vectors", plain.dot, {"vector_b": plain.CONSTANT}),
    Case("mime_type", "images", plain.mime_type),
    Case("image_size", "images", plain.image_size),
    Case("perceptual_hash", "images", plain.perceptual_hash),
    Case("resized_pixels", "images", plain.resized_pixels, {"width": 64, "height": 64}),
]


class Jobs:
    """Tables, one a kind of input, and jobs on them."""

    def __init__(self, folder: str) -> None:
        db = leman.connect(folder)
        self._tables = {name: db.create_table(name, pa.table({"value": rows})) for name, rows in plain.inputs().items()}

    def seconds_a_row(self, function: Any, column: str) -> float:
        """What a row costs the applier, in a job that fills a new column."""
        table = self._tables[column]
        table.add_columns({"made": function})
        result = table.backfill("made", input_columns=["value"], concurrency=1, progress=False)
        assert result.rows_computed == table.count_rows() and table.count_rows("made IS NOT NULL") > 0, "no values"
        table.drop_columns(["made"])
        return float(result.metrics["udf_s"]) / result.rows_computed


def measure(jobs: Jobs, case: Case, runs: int) -> dict[str, Any]:
    """Seconds a row of both, turn by turn."""
    native_udf = leman.builtin_udf(case.name, params=case.params, input_columns=["value"])
    python_udf = leman.udf(version="1", input_columns=["value"])(case.plain)
    native, python = [], []
    for _ in range(runs):
        native.append(jobs.seconds_a_row(native_udf, case.column))
        python.append(jobs.seconds_a_row(python_udf, case.column))
    measured = {
        "name": case.name,
        "column": case.column,
        "native_s": native,
        "python_s": python,
        "ratio_of_mins": min(python) / min(native),
        "ratio_of_medians": statistics.median(python) / statistics.median(native),
    }
    print(
        f"{case.name} on {case.column}: {min(native) * 1e6:.3f} µs a row, Python {min(python) * 1e6:.3f} µs, "
        f"{measured['ratio_of_mins']:.1f} ×",
        file=sys.stderr,
        flush=True,
    )
    return measured


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
        f"`x + 1` on int64 in batches of 10,240 rows, as the applier calls it, one core, no storage: best "
        f"{max(rates):.0f}, median {statistics.median(rates):.0f} M rows/s; target {TARGET_M_ROWS:.0f}: {reached}.",
        "",
        "Built-in functions beside straightforward Python ones as scalar UDFs (`bench/native_functions.py`), each in a "
        "job of one worker with one thread; what a row costs the applier, without storage. Texts have 20 to 45 words, "
        "vectors 384 float32, images are JPEGs of 640 × 480.",
        "",
        "| function | on | native, µs a row (min) | Python, µs a row (min) | ratio of mins | of medians | "
        f"target {TARGET_RATIO:g} × |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for entry in results["functions"]:
        native, python = (min(entry[key]) * 1e6 for key in ("native_s", "python_s"))
        verdict = "reached" if entry["ratio_of_mins"] >= TARGET_RATIO else "missed"
        lines.append(
            f"| {entry['name']} | {entry['column']} | {native:.3f} | {python:.3f} | {entry['ratio_of_mins']:.1f} | "
            f"{entry['ratio_of_medians']:.1f} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures native functions beside plain Python.")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default 5)")
    parser.add_argument("--only", nargs="*", help="names of functions to measure; nothing is written then")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="folder of the results")
    arguments = parser.parse_args()
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    machine = report.machine(ROOT)
    with tempfile.TemporaryDirectory(prefix="leman-bench-") as folder:
        jobs = Jobs(folder)
        results: dict[str, Any] = {
            "date": datetime.date.today().isoformat(),
            "machine": ", ".join(f"{key}: {value}" for key, value in machine.items()),
            "applier_m_rows_s": applier_rate(arguments.build),
            "functions": [measure(jobs, case, arguments.runs) for case in cases],
        }
    text = markdown(results)
    if not arguments.only:
        (arguments.results / "native.md").write_text(text)
        (arguments.results / "native.json").write_text(json.dumps(results, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
