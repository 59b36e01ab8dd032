"""Runs a command and measures it: wall time from start to exit, and the memory of all its processes."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass
class Run:
    """One run of one command."""

    seconds: float
    exit_code: int
    output: str
    cpu_seconds: float = 0.0  # Of all its processes: other load on the machine changes it little.
    peak_rss_mb: float | None = None
    peak_pss_mb: float | None = None
    peak_processes: int | None = None
    left_behind: int = 0


def adopt_orphans() -> None:
    """From now on orphans of our children become our children, so that none escapes the measurement."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """All processes below `root`, found in /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _memory_kb(pid: int) -> tuple[int, int]:
    """(RSS, PSS) of a process; zeros where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:] if ":" in line}
    return values.get("Rss", 0), values.get("Pss", 0)


class _MemorySampler(threading.Thread):
    def __init__(self, interval_s: float) -> None:
        super().__init__(daemon=True)
        self.interval_s = interval_s
        self.stopped = threading.Event()
        self.rss_kb = self.pss_kb = self.processes = 0

    def run(self) -> None:
        while not self.stopped.wait(self.interval_s):
            sizes = [_memory_kb(pid) for pid in descendants(os.getpid())]
            self.rss_kb = max(self.rss_kb, sum(rss for rss, _ in sizes))
            self.pss_kb = max(self.pss_kb, sum(pss for _, pss in sizes))
            self.processes = max(self.processes, len(sizes))


def end_leftovers(patience_s: float = 0.0) -> int:
    """Ends what the last command left running; returns how many processes that were."""
    deadline = time.monotonic() + patience_s
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return len(left)


def _cpu_seconds_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command: list[str], *, environment: dict[str, str], memory: bool = False, timeout_s: float = 600) -> Run:
    """Runs `command` to its end; with `memory`, samples its process tree (which costs time: do not compare those)."""
    sampler = _MemorySampler(0.05) if memory else None
    if sampler:
        sampler.start()
    cpu_before = _cpu_seconds_of_ended_children()
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    chunks: list[str] = []
    reader = threading.Thread(target=lambda: chunks.extend(process.stdout or []), daemon=True)
    reader.start()
    too_long = threading.Timer(timeout_s, process.kill)
    too_long.start()
    exit_code = process.wait()  # Without its timeout, which would look only every 50 ms.
    seconds = time.perf_counter() - start
    too_long.cancel()
    if sampler:
        sampler.stopped.set()
        sampler.join()
    left = end_leftovers()
    reader.join(5)
    result = Run(seconds, exit_code, "".join(chunks), left_behind=left)
    result.cpu_seconds = _cpu_seconds_of_ended_children() - cpu_before
    if sampler:
        result.peak_rss_mb = sampler.rss_kb / 1024
        result.peak_pss_mb = sampler.pss_kb / 1024
        result.peak_processes = sampler.processes
    return result
