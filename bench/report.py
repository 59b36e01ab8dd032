"""From measurements to a table for people (Markdown) and one for machines (JSON)."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

PEER_TITLES = {
    "leman": "Leman, concurrency=2",
    "leman-1": "Leman, concurrency=1",
    "leman-8": "Leman, concurrency=8",
    "pylance": "pylance add_columns, 1 process",
    "bare_loop": "bare loop, 1 process",
    "two_processes": "bare loop, 2 processes",
    "lance_ray": "lance-ray, 2 workers",
    "daft": "Daft, local runner",
}


@dataclasses.dataclass
class Series:
    """All runs of one peer on one workload."""

    workload: str
    peer: str
    seconds: list[float] = dataclasses.field(default_factory=list)
    peak_rss_mb: float | None = None
    peak_pss_mb: float | None = None
    peak_processes: int | None = None
    left_behind: int = 0
    failure: str | None = None

    @property
    def best(self) -> float | None:
        return min(self.seconds, default=None)


@dataclasses.dataclass
class Target:
    """A figure that Leman means to reach, and what this run measured."""

    text: str
    limit: float
    unit: str
    measured: float | None

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        return "reached" if self.measured <= self.limit else "**missed**"


def _file_system(folder: Path) -> str:
    """The type of the file system that `folder` lies on."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if str(folder).startswith(mount) and len(mount) > len(best[0]):
            best = (mount, kind)
    return best[1]


def machine(folder: Path) -> dict[str, str]:
    """What the figures depend on; no host names, no paths."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    frozen = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    wanted = ("pylance", "lancedb", "pyarrow", "numpy")
    versions = [line for line in frozen.splitlines() if line.partition("==")[0] in wanted]
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory_kb / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_file_system(folder)}",
        "python": platform.python_version(),
        "packages": ", ".join(versions),
    }


def _number(value: float | None, pattern: str = "{:.2f}") -> str:
    return "–" if value is None else pattern.format(value)


def _series_table(series: list[Series]) -> list[str]:
    leman = next((entry.best for entry in series if entry.peer == "leman"), None)
    lines = [
        "| who | runs | min s | median s | Leman's time / theirs | peak RSS, sum MB | peak PSS, sum MB | processes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in series:
        title = PEER_TITLES[entry.peer]
        if entry.failure:
            lines.append(f"| {title} | {entry.failure} | | | | | | |")
            continue
        ratio = leman / entry.best if leman and entry.best else None
        median = statistics.median(entry.seconds) if entry.seconds else None
        processes = "–" if entry.peak_processes is None else str(entry.peak_processes)
        if entry.left_behind:
            processes += f" ({entry.left_behind} left behind)"
        lines.append(
            f"| {title} | {len(entry.seconds)} | {_number(entry.best)} | {_number(median)} | {_number(ratio)} "
            f"| {_number(entry.peak_rss_mb, '{:.0f}')} | {_number(entry.peak_pss_mb, '{:.0f}')} | {processes} |"
        )
    return lines


def _resume_table(resumes: dict[str, dict]) -> list[str]:
    lines = [
        "| who | rows before the kill | of them in checkpoints | called twice | of them in checkpoints "
        "| processes gone after s | second run: first call after s | in all s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for who, result in resumes.items():
        if "failure" in result:
            lines.append(f"| {who} | {result['failure']} | | | | | | |")
            continue
        lines.append(
            f"| {who} | {result['rows_before_kill']:,} | {_number(result['rows_acknowledged'], '{:,}')} "
            f"| {result['rows_called_twice']:,} | {_number(result['acknowledged_rows_called_twice'], '{:,}')} "
            f"| {result['seconds_until_processes_gone']:.2f} | {result['seconds_to_first_call']:.2f} "
            f"| {result['seconds_second_run']:.2f} |"
        )
    return lines


def markdown(results: dict, titles: dict[str, str], series: list[Series], targets: list[Target]) -> str:
    """The whole report as Markdown."""
    lines = [
        "# The main job: figures",
        "",
        f"Made by `make bench` on {results['date']}. Each run is a whole process, from `python` to its exit, on a",
        "fresh copy of the table and after a `sync`; peers take turns. Memory is sampled in a run of its own:",
        "sums over all processes of their resident (RSS) and proportional (PSS, shared pages counted once) size.",
        "",
        *(f"- {name}: {value}" for name, value in results["machine"].items()),
        "",
    ]
    if targets:
        lines += ["## Targets", "", "| figure | target | measured | |", "|---|---:|---:|---|"]
        for target in targets:
            lines.append(
                f"| {target.text} | ≤ {target.limit:g} {target.unit} | {_number(target.measured)} {target.unit} "
                f"| {target.verdict} |"
            )
        lines.append("")
    for name, title in titles.items():
        chosen = [entry for entry in series if entry.workload == name]
        if chosen:
            lines += [f"## {title}", "", *_series_table(chosen), ""]
    if results["resume"]:
        lines += [
            "## Killed with -9 at half of 10 M rows, run again",
            "",
            "The function takes 20 ms a batch of 10,240 rows and writes down each of its calls.",
            "",
            *_resume_table(results["resume"]),
            "",
        ]
    if results["notes"]:
        lines += ["## Notes", "", *(f"- {note}" for note in results["notes"]), ""]
    return "\n".join(lines)
