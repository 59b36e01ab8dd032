"""Functions for bench/on_ray.py."""

from __future__ import annotations

import os
import time

import leman

# Set before a job, and sent along with the function, so that workers need no environment of their own.
notes_path = ""


def note() -> None:
    """Write down when this process computed its first row, how large it is, and the CPU seconds it took until then."""
    if notes_path and not noted_processes.here:
        noted_processes.here = True
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        with open(notes_path, "a") as notes:
            notes.write(f"{time.time()} {resident} {time.process_time()}\n")


class _Processes:
    here = False


noted_processes = _Processes()


def noted(version: str) -> leman.UserFunction:
    """Return a function that does next to nothing."""

    @leman.udf(version=version)
    def noted(x: int) -> int:
        note()
        return x + 1

    return noted


def one_ms(version: str) -> leman.UserFunction:
    """Return a function that takes a millisecond, as a call of a small model does."""

    @leman.udf(version=version)
    def one_ms(x: int) -> int:
        note()
        time.sleep(0.001)
        return x + 1

    return one_ms
