"""Rows that were skipped are retried wherever others have moved them since, and no others."""

from __future__ import annotations

import pathlib

import lance
import pyarrow as pa
import pytest

import leman

from .conftest import CallLog

ROWS = 1000
BAD = list(range(0, ROWS, 50))
pytestmark = pytest.mark.filterwarnings("error::UserWarning:leman")


@pytest.fixture(params=[False, True], ids=["row addresses", "stable row ids"])
def table(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> leman.Table:
    """A table of 10 fragments whose column y lacks the rows of BAD, and, rightly, those where x % 50 = 1."""
    path = tmp_path / "db" / "numbers.lance"
    data = pa.table({"x": pa.array(range(ROWS), pa.int64()), "other": pa.array(range(ROWS), pa.int64())})
    lance.write_dataset(data, str(path), max_rows_per_file=100, enable_stable_row_ids=request.param)
    table = leman.connect(tmp_path / "db").open_table("numbers")

    @leman.udf(on_error=leman.skip_on_error())
    def picky(x: int) -> int | None:
        if x % 50 == 0:
            raise ValueError(f"cannot take {x}")
        return None if x % 50 == 1 else x * 10

    table.add_columns({"y": picky})
    assert table.backfill("y", concurrency=1, progress=False).rows_skipped == len(BAD)
    return table


def retry(table: leman.Table, calls: CallLog, **arguments: object) -> leman.BackfillResult:
    path = calls.path

    @leman.udf
    def fixed(x: int) -> int | None:
        with open(path, "a") as file:
            file.write(f"{x}\n")
        return x * 10

    return table.backfill("y", udf=fixed, retry_failed=True, concurrency=1, progress=False, **arguments)


def called(calls: CallLog) -> list[int]:
    path = pathlib.Path(calls.path)
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []


def compact(table: leman.Table, rows: int) -> None:
    before = {fragment.fragment_id for fragment in table.to_lance().get_fragments()}
    table.to_lance().optimize.compact_files(target_rows_per_fragment=rows)
    assert before != {fragment.fragment_id for fragment in table.to_lance().get_fragments()}


def check(table: leman.Table, calls: CallLog, bad: list[int]) -> None:
    """``bad``, and no other row, were computed, and their errors are gone."""
    assert called(calls) == bad
    rows = table.to_arrow().to_pydict()
    assert all(y == (None if x % 50 == 1 else x * 10) for x, y in zip(rows["x"], rows["y"], strict=True))
    left = {int(error.error_message.split()[-1]) for error in table.get_errors()}
    assert left.isdisjoint(bad)
    before = called(calls)
    retry(table, calls)
    assert called(calls) == before


def test_after_compaction(table: leman.Table, calls: CallLog) -> None:
    compact(table, 300)
    assert retry(table, calls).rows_total == len(BAD)
    check(table, calls, BAD)


def test_after_deletes_and_two_compactions(table: leman.Table, calls: CallLog) -> None:
    table.delete("x in (3, 150, 700) or (x >= 300 and x < 400)")
    compact(table, 250)
    table.delete("x = 950 or x = 4")
    compact(table, 900)
    retry(table, calls)
    check(table, calls, [x for x in BAD if x not in (150, 700, 950) and not 300 <= x < 400])


def test_with_where_the_others_stay_recorded(table: leman.Table, calls: CallLog) -> None:
    compact(table, 300)
    retry(table, calls, where="x < 500")
    assert called(calls) == [x for x in BAD if x < 500]
    assert {int(error.error_message.split()[-1]) for error in table.get_errors()} == {x for x in BAD if x >= 500}
    compact(table, 900)
    retry(table, calls)
    check(table, calls, BAD)


def test_rows_that_were_updated_are_retried(table: leman.Table, calls: CallLog) -> None:
    table.to_lance().update({"other": "other + 1"}, where="x in (0, 7, 500)")
    compact(table, 300)
    table.to_lance().update({"other": "other + 1"}, where="x in (0, 8, 550)")
    retry(table, calls)
    check(table, calls, BAD)


def test_a_mended_input_is_what_the_function_gets(table: leman.Table, calls: CallLog) -> None:
    table.to_lance().update({"x": "x + 2"}, where="x in (100, 850)")
    retry(table, calls)
    check(table, calls, sorted({*BAD, 102, 852} - {100, 850}))


def test_a_merge_that_added_rows_is_told_where_rows_cannot_be_told_apart(table: leman.Table, calls: CallLog) -> None:
    merged = pa.table({"x": [0, 5000], "other": [1, 1], "y": pa.nulls(2, pa.int64())})
    update = table.to_lance().merge_insert("x").when_matched_update_all().when_not_matched_insert_all()
    update.execute(merged)
    if table.to_lance().has_stable_row_ids:
        retry(table, calls)
        assert called(calls) == BAD
        return
    with pytest.warns(UserWarning, match=r"1 of the rows .* were updated by table version \d+, which added other rows"):
        retry(table, calls)
    assert called(calls) == BAD[1:]


def test_after_a_restore_rows_are_where_they_were(table: leman.Table, calls: CallLog) -> None:
    version = table.version
    table.delete("x < 10")
    compact(table, 900)
    table.restore(version)
    retry(table, calls)
    check(table, calls, BAD)


def test_a_table_that_was_overwritten_has_none_of_them(table: leman.Table, calls: CallLog) -> None:
    lance.write_dataset(table.to_arrow(), table.uri, mode="overwrite")
    version = table.version
    with pytest.warns(UserWarning, match=f"20 of the rows .* are gone: table version {version} replaced all rows"):
        assert retry(table, calls).rows_computed == 0


def test_where_the_history_is_gone_it_says_so(table: leman.Table, calls: CallLog) -> None:
    import datetime

    compact(table, 300)
    table.to_lance().cleanup_old_versions(older_than=datetime.timedelta(0))
    with pytest.warns(UserWarning, match="20 of the rows .* cannot be found again; .* with where='`y` IS NULL'"):
        assert retry(table, calls).rows_computed == 0


def test_rows_that_a_compaction_moves_under_the_job_are_retried_by_it(table: leman.Table, calls: CallLog) -> None:
    path, uri = calls.path, table.uri

    @leman.udf
    def fixed(x: int) -> int | None:
        first = not pathlib.Path(path).exists()
        with open(path, "a") as file:
            file.write(f"{x}\n")
        if first:
            lance.dataset(uri).delete("x = 2")
            lance.dataset(uri).optimize.compact_files(target_rows_per_fragment=300)
        return x * 10

    table.backfill("y", udf=fixed, retry_failed=True, concurrency=1, progress=False)
    assert set(called(calls)) == set(BAD)
    rows = table.to_arrow().to_pydict()
    assert all(y == (None if x % 50 == 1 else x * 10) for x, y in zip(rows["x"], rows["y"], strict=True))
    assert table.get_errors() == []


def test_an_error_tells_the_version_that_its_address_is_of(table: leman.Table) -> None:
    compact(table, 300)
    for error in table.get_errors():
        then = lance.dataset(table.uri, version=error.table_version)
        row = then.to_table(filter=f"_rowaddr = {error.row_address}", columns=["x"]).to_pydict()
        assert error.error_message == f"cannot take {row['x'][0]}"
