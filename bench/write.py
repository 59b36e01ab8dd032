"""`make bench-write`: large outputs and what becomes of them; see `--help`. Results go to bench/results/."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure
import report
import write_functions
import write_reading
from report import Target
from write_functions import WORKS, Work

HERE = Path(__file__).resolve().parent
WORK_FOLDER = HERE.parent / ".bench" / "write"
ONCE = ("bare-lance",)  # For comparison only: no target is measured against it.
READING_ROUNDS = 15
LARGE_VALUES = ("blobs", "blobs-inside", "blobs-beside", "vectors")
CONFIGURATIONS = {
    "leman-1": "Leman, 1 fragment, concurrency=2",
    "leman-8": "Leman, 8 fragments, concurrency=2",
    "bare-plain": "bare loop, 2 processes, plain files",
    "bare-lance": "bare loop, 2 processes, Lance files",
}


def _environment(clock: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        "PYTHONWARNINGS": "ignore",
        "RUST_LOG": "error",
        "LEMAN_BENCH_CLOCK": str(clock),
    }


def _fresh_folder() -> Path:
    shutil.rmtree(WORK_FOLDER, ignore_errors=True)
    WORK_FOLDER.mkdir(parents=True)
    (WORK_FOLDER / "clock").mkdir()
    os.sync()
    return WORK_FOLDER


def _make_table(folder: Path, rows: int, fragments: int, version: str | None) -> Path:
    import lance
    import pyarrow as pa

    path = folder / "t.lance"
    lance.write_dataset(
        pa.table({"x": range(rows)}), path, max_rows_per_file=-(-rows // fragments), data_storage_version=version
    )
    return path


def _output_files(table: Path) -> list[Path]:
    # Blobs may lie beside a data file, in a folder of its name.
    return [path for path in (table / "data").glob("leman-*") if path.is_file()] + list(
        (table / "data").glob("leman-*/*")
    )


def _copy_seconds(files: list[Path]) -> float:
    target = WORK_FOLDER / "copy"
    target.mkdir()
    start = time.perf_counter()
    subprocess.run(["cp", "--reflink=never", *map(str, files), str(target)], check=True)
    return time.perf_counter() - start


def _check(work: Work, table: Path) -> None:
    import lance

    dataset = lance.dataset(table)
    assert dataset.count_rows("y IS NULL") == 0, "some rows are null"
    assert dataset.count_rows() == work.rows
    if work.blob_version:
        rows = [0, work.rows // 3, work.rows - 1]
        for row, blob in zip(rows, dataset.take_blobs("y", indices=rows), strict=True):
            assert blob.read() == work.function(row), f"row {row} is wrong"
    elif work.scalar:
        for row in (0, work.rows // 3, work.rows - 1):
            assert dataset.take([row], columns=["y"]).column("y")[0].as_py() == work.function(row), (
                f"row {row} is wrong"
            )


def _scaled(work: Work, scale: float) -> Work:
    if scale == 1.0:
        return work
    rows = max(16, int(work.rows * scale))
    return dataclasses.replace(work, rows=rows, title=f"{work.title}, {scale:g} of the rows: {rows:,}")


def run_once(work: Work, who: str, check: bool = False) -> dict[str, Any]:
    """One whole process, and what it left."""
    folder = _fresh_folder()
    kind, _, how = who.partition("-")
    if kind == "bare":
        line = [sys.executable, str(HERE / "peers/write_bare.py"), work.name, str(work.rows), str(folder), how]
        run = measure.run(line, environment=_environment(folder / "clock"))
        if run.exit_code:
            raise RuntimeError(run.output[-2000:])
        return {"seconds": run.seconds, "cpu_seconds": run.cpu_seconds}
    table = _make_table(folder, work.rows, int(how), work.blob_version)
    line = [sys.executable, str(HERE / "peers/write_with_leman.py"), work.name, str(table)]
    run = measure.run(line, environment=_environment(folder / "clock"))
    if run.exit_code:
        raise RuntimeError(run.output[-2000:])
    said = json.loads(next(text for text in run.output.splitlines() if text.startswith("{")))
    committed_at = max(path.stat().st_mtime for path in (table / "_versions").iterdir())
    files = _output_files(table)
    result = {
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "tail_s": committed_at - write_functions.last_call(folder / "clock"),
        "cp_s": _copy_seconds(files) if _is_copied(said["metrics"]) else None,
        "output_bytes": sum(path.stat().st_size for path in files),
        "driver_bytes": said["driver_bytes"],
        "metrics": said["metrics"],
    }
    if check:
        _check(work, table)
    return result


def measure_work(work: Work, runs: int, who: list[str]) -> dict[str, Any]:
    """All configurations of one work, taking turns."""
    print(f"\n{work.title}", flush=True)
    started = time.monotonic()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for number in range(runs):
        for name in who:
            if number and name in ONCE:
                continue
            results[name].append(run_once(work, name, check=number == 0))
    for name in who:
        last = results[name][-1]
        more = ""
        if "tail_s" in last:
            amplification = last["metrics"]["write_amplification"]
            more = f"  tail {last['tail_s']:.2f} s, written {amplification:.2f} ×, "
            more += f"of it {last['driver_bytes'] / 1e6:.2f} MB by the driver"
        more += f", cp {last['cp_s']:.2f} s" if last.get("cp_s") else ""
        seconds, cpu = _best(results[name], "seconds"), _best(results[name], "cpu_seconds")
        print(f"  {CONFIGURATIONS[name]:38} {seconds:7.2f} s, CPU {cpu:6.2f} s{more}", flush=True)
    print(f"  measured in {time.monotonic() - started:.0f} s", flush=True)
    return {"work": work.name, "title": work.title, "runs": results}


def _best(runs: list[dict[str, Any]], name: str) -> float:
    return min(run[name] for run in runs)


def _is_copied(metrics: dict[str, Any]) -> bool:
    return metrics["write_amplification"] > 1.5


def targets_of(result: dict[str, Any]) -> list[Target]:
    """The figures of one work."""
    runs = result["runs"]
    ours = runs.get("leman-1", [])
    if not ours:
        return []
    name = result["work"]
    best = _best(ours, "seconds")
    targets = []
    if "leman-8" in runs:
        ratio = best / _best(runs["leman-8"], "seconds")
        targets.append(Target(f"{name}: 1 fragment against 8", 1.25, "×", ratio))
    if "bare-plain" in runs:
        ratio = best / _best(runs["bare-plain"], "seconds")
        targets.append(Target(f"{name}: against the bare program, plain files", 1.3, "×", ratio))
    if any(_is_copied(run["metrics"]) for run in ours):
        ratio = min(run["tail_s"] / run["cp_s"] for run in ours if run["cp_s"])
        targets.append(Target(f"{name}: tail of what is copied, against cp", 1.5, "×", ratio))
    else:
        targets.append(Target(f"{name}: tail of what is written once", 0.3, "s", _best(ours, "tail_s")))
    amplification = max(run["metrics"]["write_amplification"] for run in ours)
    limit = 1.05 if name in LARGE_VALUES else 2.1
    targets.append(Target(f"{name}: bytes written / bytes of the data files", limit, "×", amplification))
    return targets


def targets_of_reading(row: dict[str, Any]) -> list[Target]:
    """The figures of one kind of column."""
    name = row["column"]
    return [
        Target(f"{name}: full scan against pylance's own", 1.1, "×", min(row["leman_scan"]) / min(row["pylance_scan"])),
        Target(
            f"{name}: {row['takes']:,} takes, likewise", 1.1, "×", min(row["leman_take"]) / min(row["pylance_take"])
        ),
        Target(f"{name}: size, likewise", 1.05, "×", row["leman_bytes"] / row["pylance_bytes"]),
    ]


def _work_table(result: dict[str, Any]) -> list[str]:
    lines = [
        f"## {result['title']}",
        "",
        "| who | runs | min s | median s | CPU, min s | tail, min s | cp of it, min s | written / final bytes "
        "| by the driver, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, runs in result["runs"].items():
        seconds = [run["seconds"] for run in runs]
        cells = [CONFIGURATIONS[name], str(len(runs)), f"{min(seconds):.2f}", f"{statistics.median(seconds):.2f}"]
        cells.append(f"{_best(runs, 'cpu_seconds'):.2f}")
        if "metrics" in runs[0]:
            copies = [run["cp_s"] for run in runs if run["cp_s"]]
            cells += [f"{_best(runs, 'tail_s'):.2f}", f"{min(copies):.2f}" if copies else "–"]
            cells.append(f"{max(run['metrics']['write_amplification'] for run in runs):.2f}")
            cells.append(f"{max(run['driver_bytes'] for run in runs) / 1e6:.2f}")
        else:
            cells += ["–", "–", "–", "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _reading_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Reading the result with pylance",
        "",
        "Leman's column, made of several checkpoints, beside the same values written by pylance in one go. Both",
        "are read in turns; least times, and in brackets medians.",
        "",
        "| column | rows | scan, ms | pylance's | takes | ms | pylance's | pages | pylance's | size / pylance's |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        scan, their_scan, take, their_take = (
            f"{1000 * min(row[name]):.0f} ({1000 * statistics.median(row[name]):.0f})"
            for name in ("leman_scan", "pylance_scan", "leman_take", "pylance_take")
        )
        cells = [row["column"], f"{row['rows']:,}", scan, their_scan, f"{row['takes']:,}", take, their_take]
        cells += [str(row["leman_pages"]), str(row["pylance_pages"])]
        lines.append("| " + " | ".join([*cells, f"{row['leman_bytes'] / row['pylance_bytes']:.3f}"]) + " |")
    return [*lines, ""]


def markdown(results: dict[str, Any], targets: list[Target]) -> str:
    """The whole report."""
    lines = [
        "# Writing: figures",
        "",
        f"Made by `make bench-write` on {results['date']}. Each run is a whole process on a fresh table,",
        "after a `sync`; configurations take turns. The tail is the time from the last call of the function to the",
        "commit.",
        "",
        *(f"- {name}: {value}" for name, value in results["machine"].items()),
        "",
        "| figure | target | measured | |",
        "|---|---:|---:|---|",
    ]
    for target in targets:
        measured = "–" if target.measured is None else f"{target.measured:.2f}"
        lines.append(
            f"| {target.text} | ≤ {target.limit:g} {target.unit} | {measured} {target.unit} | {target.verdict} |"
        )
    lines.append("")
    for result in results["works"]:
        lines += _work_table(result)
    if results["reading"]:
        lines += _reading_table(results["reading"])
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures how Leman writes large outputs, and how the result reads.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each configuration (default 3)")
    parser.add_argument("--only", default=",".join([*WORKS, "reading"]), help="parts to run")
    parser.add_argument("--who", default=",".join(CONFIGURATIONS), help="configurations to run")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the rows, for a quick look (default 1)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    only, who = arguments.only.split(","), arguments.who.split(",")
    measure.adopt_orphans()
    load_before = os.getloadavg()[0]
    results: dict[str, Any] = {"date": datetime.date.today().isoformat(), "machine": report.machine(HERE.parent)}
    works = [_scaled(work, arguments.scale) for work in WORKS.values() if work.name in only]
    results["works"] = [measure_work(work, arguments.runs, who) for work in works]
    if "reading" in only:
        results["reading"] = write_reading.measure_reading(WORK_FOLDER, READING_ROUNDS, arguments.scale)
    else:
        results["reading"] = []
    shutil.rmtree(WORK_FOLDER, ignore_errors=True)
    results["machine"]["load average"] = f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    targets = [target for result in results["works"] for target in targets_of(result)]
    targets += [target for row in results["reading"] for target in targets_of_reading(row)]
    results["targets"] = [
        {"text": t.text, "limit": t.limit, "unit": t.unit, "measured": t.measured, "verdict": t.verdict}
        for t in targets
    ]  # fmt: skip
    text = markdown(results, targets)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "write.md").write_text(text)
    (arguments.results / "write.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{text}\nwritten to {arguments.results / 'write.md'}")


if __name__ == "__main__":
    main()
