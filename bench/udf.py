"""`make bench-udf`: what calling functions costs; see `--help`. Results go to bench/results/.

Times of functions are the worker's own (`udf_s` of the job's metrics): from an Arrow batch to an Arrow array, without
storage. The comprehension beside them calls the same function on a list, in this process, between the jobs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

import leman
import report
import udf_functions
from report import Target

HERE = Path(__file__).resolve().parent
ROWS = 2_000_000
LATENCY_S = 0.05


class Bench:
    """A database for this run, and what was measured."""

    def __init__(self, folder: str, runs: int) -> None:
        self.db = leman.connect(folder)
        self.runs = runs
        self.targets: list[Target] = []
        self.notes: list[dict[str, Any]] = []
        self._names = 0

    def job(self, data: pa.Table, function: Any, **options: Any) -> leman.BackfillResult:
        """Fill a column of a new table; return the result."""
        self._names += 1
        table = self.db.create_table(f"t{self._names}", data)
        table.add_columns({"made": function})
        arguments = {"concurrency": 1, "progress": False, **options}
        result = table.backfill("made", **arguments)
        assert table.count_rows("made IS NOT NULL") >= data.num_rows * 0.75, "rows are missing"
        self.db.drop_table(f"t{self._names}")
        return result

    def note(self, name: str, values: list[float], unit: str, limit: float) -> None:
        """Keep a series, of which small values are good; the smallest is the figure."""
        measured = min(values)
        self.notes.append({"name": name, "best": measured, "median": statistics.median(values), "unit": unit})
        print(f"{name}: {measured:.3g} {unit}, median {statistics.median(values):.3g}", flush=True)
        self.targets.append(Target(name, limit, unit, measured))


def scalar_calls(bench: Bench) -> None:
    """Figure 1: scalar functions against a comprehension."""
    ints = list(range(ROWS))
    floats = [v / 7 for v in ints]
    texts = [f"{v:050d}" for v in ints[: ROWS // 2]]
    some = [None if v % 5 == 0 else v for v in ints]
    cases: list[tuple[str, float, Any, list[list[Any]], pa.DataType]] = [
        ("x + 1, int64", 1.15, udf_functions.plus_one, [ints], pa.int64()),
        ("x * 0.5, float64", 1.3, udf_functions.half, [floats], pa.float64()),
        ("len, 50-byte str", 1.3, udf_functions.size, [texts], pa.int64()),
        ("str to str, 50 bytes", 1.3, udf_functions.shout, [texts], pa.string()),
        ("optional int64", 1.3, udf_functions.optional, [some], pa.int64()),
        ("two arguments", 1.3, udf_functions.add, [ints, floats], pa.float64()),
    ]
    for name, limit, function, columns, data_type in cases:
        data = pa.table(dict(zip(("x", "y"), columns, strict=False)))
        udf = leman.udf(data_type=data_type, version="1")(function)
        ratios = []
        for _ in range(bench.runs):
            took = bench.job(data, udf).metrics["udf_s"]
            start = time.perf_counter()
            if len(columns) == 1:
                [function(x) for x in columns[0]]
            else:
                [function(x, y) for x, y in zip(*columns, strict=True)]
            ratios.append(took / (time.perf_counter() - start))
        bench.note(f"{name}, against a comprehension", ratios, "×", limit)


def batches(bench: Bench) -> None:
    """Figure 2: what the engine adds to a call of a pa.Array function."""
    data = pa.table({"x": pa.array(range(ROWS), pa.int64())})
    udf = leman.udf(data_type=pa.int64(), version="1", batch_size=10240)(udf_functions.same)
    overheads = []
    for _ in range(bench.runs):
        metrics = bench.job(data, udf).metrics
        overheads.append(metrics["udf_s"] / metrics["udf_calls"] * 1e6)
    bench.note("pa.Array function that does nothing, a batch", overheads, "µs", 100)


def lists(bench: Bench) -> None:
    """Figure 3: results of 384 floats."""
    rows = 40_000
    data = pa.table({"x": pa.array(range(rows), pa.int64())})
    for name, function in (("np.ndarray", udf_functions.vector), ("list", udf_functions.floats)):
        for kind, data_type in (("list", pa.list_(pa.float32())), ("fixed size list", pa.list_(pa.float32(), 384))):
            udf = leman.udf(data_type=data_type, version="1")(function)
            rates = []
            for _ in range(bench.runs):
                rates.append(rows * 384 * 4 / bench.job(data, udf).metrics["udf_s"] / 1e9)
            # The limit of 2 GB/s as seconds a GB, so that small is good.
            bench.note(f"{name}[384] to a {kind} of float32", [1 / rate for rate in rates], "s/GB", 0.5)


def parallel(bench: Bench) -> None:
    """Figure 4: two threads of a function that releases the GIL, two workers of one that does not."""
    for name, function, rows, wide in (
        ("two threads, GIL released", udf_functions.compress, 160, {"intra_applier_concurrency": 2}),
        ("two workers, pure Python", udf_functions.count_up, 160, {"concurrency": 2}),
    ):
        data = pa.table({"x": pa.array(range(rows), pa.int64())})
        udf = leman.udf(version="1")(function)
        options = {"task_size": rows // 16, "batch_size": rows // 16}
        gains = []
        for _ in range(bench.runs):
            one = bench.job(data, udf, **options).duration_s
            two = bench.job(data, udf, **options, **wide).duration_s
            gains.append(two / one)
        bench.note(f"{name}: time of two / time of one", gains, "×", round(1 / 1.8, 3))


def downloads(bench: Bench) -> None:
    """Figure 5: an async function against a local server that answers after 50 ms."""
    rows = 20_000
    data = pa.table({"x": pa.array(range(rows), pa.int64())})
    command = [sys.executable, str(HERE / "udf_server.py"), str(LATENCY_S)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        made = leman.udf(data_type=pa.binary(), version="1", max_in_flight=1000)(udf_functions.Download)
        times = [bench.job(data, made(port)).metrics["udf_s"] / rows * 1e6 for _ in range(bench.runs)]
        bench.note("async download, 1,000 in flight, a row (3,000 rows/s: 333 µs)", times, "µs", 333)
    finally:
        server.terminate()
        server.wait()


FIGURES = {"scalar": scalar_calls, "batch": batches, "lists": lists, "parallel": parallel, "async": downloads}


def _markdown(date: str, machine: dict[str, str], bench: Bench) -> str:
    lines = [
        "# Calling functions: figures",
        "",
        f"Made by `make bench-udf` on {date}: the best of {bench.runs} runs. Seconds are the worker's own, from an",
        "Arrow batch to an Arrow array; the parallel jobs are measured whole.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "| figure | target | measured | median | |",
        "|---|---:|---:|---:|---|",
    ]
    medians = {note["name"]: note["median"] for note in bench.notes}
    for target in bench.targets:
        lines.append(
            f"| {target.text} | ≤ {target.limit:g} {target.unit} | {target.measured:.3g} {target.unit} "
            f"| {medians[target.text]:.3g} | {target.verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(FIGURES), help="figures, of: " + ", ".join(FIGURES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of udf.md and udf.json")
    arguments = parser.parse_args()
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    with tempfile.TemporaryDirectory(prefix="leman-bench-udf-") as folder:
        machine = report.machine(Path(folder))
        before = os.getloadavg()[0]
        bench = Bench(folder, arguments.runs)
        for name in arguments.only.split(","):
            FIGURES[name](bench)
    machine["load average"] = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
    date = datetime.date.today().isoformat()
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "udf.md").write_text(_markdown(date, machine, bench))
    found = {"date": date, "machine": machine, "figures": bench.notes}
    (arguments.results / "udf.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
