"""Fixtures: small databases on real storage, and a way to count calls across processes."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pytest

import leman


@pytest.fixture
def db(tmp_path: pathlib.Path) -> leman.Connection:
    return leman.connect(str(tmp_path / "db"))


@pytest.fixture
def numbers(db: leman.Connection) -> leman.Table:
    """1,000 rows x = 0..999 in ten fragments."""
    return db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}), max_rows_per_file=100)


class CallLog:
    """Counts calls of functions in worker processes: one byte appended to a file each."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = str(path)

    @property
    def count(self) -> int:
        try:
            return pathlib.Path(self.path).stat().st_size
        except FileNotFoundError:
            return 0

    def clear(self) -> None:
        pathlib.Path(self.path).unlink(missing_ok=True)


@pytest.fixture
def calls(tmp_path: pathlib.Path) -> CallLog:
    return CallLog(tmp_path / "calls")
