"""Fixtures: a database whose path has spaces, drivers that can be killed, and what lies beside a table."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

import leman

DRIVER = """
import sys, time
import leman

db, name, sleep_s, factor, extra = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), eval(sys.argv[5])

@leman.udf(version=f"times {factor}")
def times(x: int) -> int:
    time.sleep(sleep_s)
    return x * factor

print(leman.connect(db).open_table(name).backfill("y", udf=times, concurrency=2, batch_size=10, **extra).rows_computed)
"""


@leman.udf(version="times 10")
def times(x: int) -> int:
    return x * 10


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "a data base"


@pytest.fixture
def db(folder: pathlib.Path) -> leman.Connection:
    return leman.connect(str(folder))


@pytest.fixture
def numbers(db: leman.Connection) -> leman.Table:
    """400 rows x = 0..399 in four fragments, with a column y that is still empty."""
    table = db.create_table("numbers", pa.table({"x": pa.array(range(400), pa.int64())}), max_rows_per_file=100)
    table.add_columns({"y": times})
    return table


class Beside:
    """The files of a table, and the processes that a test has fill it."""

    def __init__(self, root: pathlib.Path, script: pathlib.Path) -> None:
        self.root = root
        self._script = script
        self._drivers: list[subprocess.Popen[str]] = []
        script.write_text(DRIVER)

    def files(self) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}

    def checkpoints(self) -> set[str]:
        return {name for name in self.files() if name.startswith("_leman/checkpoints/")}

    def backfill(self, sleep_s: float, factor: int = 10, **extra: object) -> subprocess.Popen[str]:
        """Start a job in a process of its own."""
        arguments = [str(self.root.parent), self.root.stem, str(sleep_s), str(factor), repr(extra)]
        driver = subprocess.Popen(
            [sys.executable, str(self._script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self._drivers.append(driver)
        return driver

    def killed_backfill(self, checkpoints: int = 5, **extra: object) -> None:
        """Let a job write some checkpoints, then kill its driver and wait until its workers are gone, too."""
        driver = self.backfill(0.01, **extra)
        wait_until(lambda: len(self.checkpoints()) >= checkpoints, driver)
        driver.kill()
        driver.wait()
        before = None
        while before != (before := self.checkpoints()):
            time.sleep(0.3)

    def stop(self) -> None:
        for driver in self._drivers:
            if driver.poll() is None:
                driver.kill()
            driver.communicate()


def wait_until(condition: Callable[[], bool], driver: subprocess.Popen[str], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert driver.poll() is None, driver.stderr.read() if driver.stderr else ""
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


@pytest.fixture
def beside(numbers: leman.Table, folder: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Beside]:
    found = Beside(folder / "numbers.lance", tmp_path / "driver.py")
    yield found
    found.stop()
