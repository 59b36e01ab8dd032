"""An update of an input by another tool after a job: the next plain backfill computes the rows again that it moved."""

from __future__ import annotations

import pathlib

import lance
import pyarrow as pa
import pytest

import leman

from .conftest import CallLog

ROWS = 40


class FilledTable:
    """40 rows in four fragments, y = x * 10 filled by a job."""

    def __init__(self, tmp_path: pathlib.Path, calls: CallLog, stable: bool) -> None:
        self.path = str(tmp_path / "db" / "numbers.lance")
        self.calls = calls
        log = calls.path
        data = pa.table({"id": pa.array(range(ROWS), pa.int64()), "x": pa.array(range(ROWS), pa.int64())})
        lance.write_dataset(data, self.path, max_rows_per_file=10, enable_stable_row_ids=stable)

        @leman.udf(version="1", input_columns=["x"])
        def times_ten(x: int) -> int:
            with open(log, "ab", buffering=0) as file:
                file.write(b".")
            return x * 10

        self.function = times_ten
        self.db = leman.connect(str(tmp_path / "db"))
        self.db.open_table("numbers").add_columns({"y": times_ten})
        assert self.backfill() == ROWS

    def dataset(self) -> lance.LanceDataset:
        return lance.dataset(self.path)

    def backfill(self) -> int:
        """Run a plain backfill; return how many rows it computed."""
        self.calls.clear()
        self.db.open_table("numbers").backfill("y", udf=self.function, concurrency=1, progress=False)
        return self.calls.count

    def outdated(self) -> int:
        return self.dataset().count_rows("y is null or y != x * 10")


@pytest.fixture(params=[False, True], ids=["row addresses", "stable row ids"])
def filled(request: pytest.FixtureRequest, tmp_path: pathlib.Path, calls: CallLog) -> FilledTable:
    return FilledTable(tmp_path, calls, request.param)


def test_rows_whose_input_was_updated_are_computed_again(filled: FilledTable) -> None:
    filled.dataset().update({"x": "x + 1000"}, where="x in (3, 17, 18)")
    assert filled.outdated() == 3
    assert filled.backfill() == 3
    assert filled.outdated() == 0
    assert filled.backfill() == 0


def test_an_update_of_a_whole_fragment(filled: FilledTable) -> None:
    filled.dataset().update({"x": "x + 1000"}, where="x < 10")
    assert filled.backfill() == 10
    assert filled.outdated() == 0


def test_rows_that_a_merge_updated_are_computed_again(filled: FilledTable) -> None:
    new = pa.table({"id": [5, 25, 100], "x": [500, 2500, 100]})
    filled.dataset().merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(new)
    assert filled.backfill() == 3
    assert filled.outdated() == 0
    assert filled.backfill() == 0


def test_several_updates_and_appends(filled: FilledTable) -> None:
    filled.dataset().update({"x": "x + 1000"}, where="id = 3")
    lance.write_dataset(pa.table({"id": [100], "x": [100]}), filled.path, mode="append")
    filled.dataset().update({"x": "x + 1000"}, where="id = 4")
    filled.dataset().update({"id": "id + 500"}, where="id = 4")
    filled.dataset().delete("id = 20")
    assert filled.backfill() == 3
    assert filled.outdated() == 0


def test_an_update_of_another_column_costs_nothing(filled: FilledTable) -> None:
    filled.dataset().update({"id": "id + 1000"}, where="x in (3, 17)")
    assert filled.backfill() == 0
    assert filled.outdated() == 0


def test_a_value_that_somebody_set_by_hand_stays(filled: FilledTable) -> None:
    filled.dataset().update({"y": "-1"}, where="x = 3")
    filled.dataset().update({"x": "x + 1000", "y": "-2"}, where="x = 4")
    assert filled.backfill() == 0
    assert filled.dataset().count_rows("y = -1") == 1
    assert filled.dataset().count_rows("y = -2") == 1


def test_an_update_and_then_a_compaction(filled: FilledTable) -> None:
    filled.dataset().update({"x": "x + 1000"}, where="x in (3, 17, 18)")
    filled.dataset().delete("id = 20")
    filled.dataset().optimize.compact_files(target_rows_per_fragment=100)
    assert len(filled.dataset().get_fragments()) == 1
    assert filled.outdated() == 3
    assert filled.backfill() == 3
    assert filled.outdated() == 0
    assert filled.backfill() == 0


def test_an_update_between_two_compactions(filled: FilledTable) -> None:
    filled.dataset().optimize.compact_files(target_rows_per_fragment=20)
    filled.dataset().update({"x": "x + 1000"}, where="x in (3, 27)")
    filled.dataset().update({"id": "id + 1000"}, where="id = 35")
    filled.dataset().optimize.compact_files(target_rows_per_fragment=100)
    assert len(filled.dataset().get_fragments()) == 1
    # Which rows an update moved is known, not whether their values were out of date where they came from.
    assert filled.backfill() in (2, 3)
    assert filled.outdated() == 0
    assert filled.backfill() == 0


def test_a_compaction_alone_costs_nothing(filled: FilledTable) -> None:
    filled.dataset().delete("id in (5, 6, 33)")
    filled.dataset().optimize.compact_files(target_rows_per_fragment=20)
    filled.dataset().optimize.compact_files(target_rows_per_fragment=100)
    assert filled.backfill() == 0
    assert filled.outdated() == 0


def test_a_value_set_by_hand_stays_through_a_compaction_with_an_update(filled: FilledTable) -> None:
    filled.dataset().update({"y": "-1"}, where="x = 3")
    filled.dataset().update({"x": "x + 1000"}, where="x = 17")
    filled.dataset().optimize.compact_files(target_rows_per_fragment=100)
    assert filled.backfill() == 1
    assert filled.dataset().count_rows("y = -1") == 1
    assert filled.outdated() == 1
