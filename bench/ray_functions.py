"""Functions for bench/on_ray.py."""

from __future__ import annotations

import os
import time

import leman

# Set before a job, and sent along with the function, so that workers need no environment of their own.
notes_path = ""


def note() -> None:
    """Write down when the first row of this process was computed, and how large the process is."""
    if notes_path and not getattr(noted_processes, "here", False):
        noted_processes.here = True
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        with open(notes_path, "a") as notes:
            notes.write(f"{time.time()} {resident}\n")


@leman.udf(version="1")
def noted(x: int) -> int:
    """Do next to nothing."""
    note()
    return x + 1


class _Processes:
    here = False


noted_processes = _Processes()


@leman.udf(version="1")
def one_ms(x: int) -> int:
    """Take a millisecond, as a call of a small model does."""
    note()
    time.sleep(0.001)
    return x + 1
