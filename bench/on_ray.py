"""Figures of jobs on Ray: ``make bench-ray``.

Needs Ray in the interpreter that runs it, and ``--engine``: the folder of ``schedule_bench`` and ``coordinator_bench``.
"""

from __future__ import annotations

import argparse
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

sys.path.insert(0, str(Path(__file__).parent))

import ray_functions

_ROWS = 40_000
_RESULTS = Path(__file__).parent / "results"


def make_table(db: leman.Connection, name: str, rows: int) -> leman.Table:
    """Make a table of eight fragments."""
    return db.create_table(name, pa.table({"x": pa.array(range(rows), pa.int64())}), max_rows_per_file=rows // 8)


def time_starts(
    db: leman.Connection, cluster: leman.RayCluster | None, notes: Path, runs: int, *, again: bool = False
) -> dict[str, Any]:
    """Time from the call of backfill to the first call of the function, and to the end of a trivial job.

    With ``again`` it is always the same function, whose workers wait for it; else a new one, with new workers.
    """
    first, whole, resident, cpu = [], [], [], []
    for run in range(runs + 1):
        table = make_table(db, f"start_{'ray' if cluster else 'local'}_{again}_{run}", 800)
        table.add_columns({"y": ray_functions.noted("again" if again else str(run))})
        notes.unlink(missing_ok=True)
        called_s = time.time()
        table.backfill("y", concurrency=2, progress=False, executor=cluster or "local")
        ended_s = time.time()
        told = [line.split() for line in notes.read_text().splitlines()]
        if run > 0:  # the first one warms up
            first.append(min(float(at) for at, _, _ in told) - called_s)
            whole.append(ended_s - called_s)
            resident += [int(size) / 2**20 for _, size, _ in told]
            cpu += [float(seconds) for _, _, seconds in told]
    return {
        "first_call_s": round(statistics.median(first), 3),
        "first_call_max_s": round(max(first), 3),
        "trivial_job_s": round(statistics.median(whole), 3),
        "worker_mib": round(statistics.median(resident)),
        "worker_start_cpu_s": round(statistics.median(cpu), 2),
    }


def time_work(db: leman.Connection, cluster: leman.RayCluster, notes: Path, runs: int) -> dict[str, Any]:
    """Time the same work here and there, in turns."""
    times: dict[str, list[float]] = {"local": [], "ray": []}
    running: dict[str, list[float]] = {"local": [], "ray": []}
    for run in range(runs):
        for name, executor in (("local", "local"), ("ray", cluster)):
            table = make_table(db, f"work_{name}_{run}", _ROWS)
            table.add_columns({"y": ray_functions.one_ms(str(run))})
            notes.unlink(missing_ok=True)
            called_s = time.time()
            table.backfill("y", concurrency=2, progress=False, executor=executor)
            ended_s = time.time()
            times[name].append(ended_s - called_s)
            # From when the last of the workers was there.
            running[name].append(ended_s - max(float(line.split()[0]) for line in notes.read_text().splitlines()))
    local, remote = min(times["local"]), min(times["ray"])
    return {
        "rows": _ROWS,
        "local_s": round(local, 2),
        "ray_s": round(remote, 2),
        "overhead_percent": round(100 * (remote / local - 1), 1),
        "overhead_s": round(remote - local, 2),
        "running_local_s": round(min(running["local"]), 2),
        "running_ray_s": round(min(running["ray"]), 2),
    }


def run_engine(folder: Path, *command: str) -> dict[str, Any]:
    """Run a benchmark of the engine, which prints JSON."""
    done = subprocess.run([str(folder / command[0]), *command[1:]], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def report(figures: dict[str, Any]) -> str:
    """Write the figures for people."""
    start, local, work, again = (figures[name] for name in ("start_ray", "start_local", "work", "start_again"))
    many, plan = figures["coordinator"], figures["schedule"]
    rows = [
        (
            "job start on a warm cluster, to the first call",
            "≤ 2 s",
            f"{start['first_call_s']} s (max {start['first_call_max_s']} s)",
        ),
        (
            "the same function once more, in the same `with`",
            "",
            f"{again['first_call_s']} s (max {again['first_call_max_s']} s)",
        ),
        ("the same on local processes", "", f"{local['first_call_s']} s"),
        ("a job of 800 trivial rows, whole", "", f"{start['trivial_job_s']} s (local {local['trivial_job_s']} s)"),
        (
            f"{work['rows']:,} rows of 1 ms, 2 workers",
            "≤ 10 % over local",
            f"{work['ray_s']} s, local {work['local_s']} s: {work['overhead_percent']} %",
        ),
        (
            "of these, from the first call of the last worker on",
            "",
            f"{work['running_ray_s']} s, local {work['running_local_s']} s",
        ),
        ("memory of a worker process", "", f"{start['worker_mib']} MiB (local {local['worker_mib']} MiB)"),
        (
            "processor time of a worker until its first call",
            "",
            f"{start['worker_start_cpu_s']} s (local {local['worker_start_cpu_s']} s)",
        ),
        (
            f"coordinator over TCP, {many['workers']} workers in the same process",
            "≥ 50,000 messages/s",
            f"{many['messages_per_s']:,}/s; {many['messages_per_cpu_s']:,} for each of its CPU seconds",
        ),
        (
            f"simulated job: {plan['workers']:,} workers, {plan['tasks']:,} tasks",
            "≤ 30 s CPU, ≤ 1 GiB",
            f"{plan['cpu_s']} s, {plan['peak_mib']} MiB",
        ),
    ]
    lines = ["| what | wanted | measured |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    head = f"# Jobs on Ray\n\n`make bench-ray` on {os.cpu_count()} cores; Ray on the same machine, 2 CPUs.\n\n"
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write ``results/ray.md`` and ``results/ray.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        "coordinator": run_engine(arguments.engine, "coordinator_bench", "8", "200000"),
        "schedule": run_engine(arguments.engine, "schedule_bench", "1000", "1000000"),
    }
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        ray_functions.notes_path = str(notes)
        db = leman.connect(Path(folder) / "db")
        with leman.ray_cluster("local") as cluster:
            figures["start_ray"] = time_starts(db, cluster, notes, arguments.runs)
            figures["start_again"] = time_starts(db, cluster, notes, arguments.runs, again=True)
            figures["start_local"] = time_starts(db, None, notes, arguments.runs)
            figures["work"] = time_work(db, cluster, notes, arguments.runs)
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / "ray.json").write_text(json.dumps(figures, indent=2) + "\n")
    (_RESULTS / "ray.md").write_text(report(figures))
    print(report(figures))


if __name__ == "__main__":
    main()
