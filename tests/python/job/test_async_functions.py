"""Functions written with ``async def``: many rows at once on each thread, in order, with the policy of each row."""

from __future__ import annotations

import asyncio
import pathlib

import numpy as np
import pyarrow as pa
import pytest

import leman

from .test_backfill import column

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@leman.udf
async def doubled(x: int) -> int:
    await asyncio.sleep(0.001 * (x % 7))  # later rows overtake earlier ones
    return 2 * x


@pytest.mark.parametrize(("concurrency", "threads"), [(1, 1), (2, 2)])
def test_every_row_gets_its_own_value(numbers: leman.Table, concurrency: int, threads: int) -> None:
    numbers.add_columns({"y": doubled})
    result = numbers.backfill("y", concurrency=concurrency, intra_applier_concurrency=threads)
    assert column(numbers, "y") == [2 * x for x in range(1000)]
    assert (result.rows_computed, result.rows_skipped) == (1000, 0)


def test_as_many_rows_are_in_flight_as_was_said_and_no_more(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(200), pa.int64())}))

    @leman.udf(max_in_flight=20)
    class Gauge:
        def __init__(self) -> None:
            self.now = self.most = 0

        async def __call__(self, x: int) -> int:
            self.now += 1
            self.most = max(self.most, self.now)
            for _ in range(3):
                await asyncio.sleep(0)
            self.now -= 1
            return self.most

    table.add_columns({"most": Gauge()})
    table.backfill("most", concurrency=1)
    assert max(column(table, "most")) == 20


def test_each_thread_has_its_own_loop_instance_and_setup(numbers: leman.Table) -> None:
    @leman.udf
    class OnOneLoop:
        def __init__(self) -> None:
            self.loop = None

        async def setup(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.lock = asyncio.Lock()

        async def __call__(self, x: int) -> bool:
            async with self.lock:
                await asyncio.sleep(0)
                return self.loop is asyncio.get_running_loop()

    numbers.add_columns({"same": OnOneLoop()})
    numbers.backfill("same", concurrency=1, intra_applier_concurrency=3, batch_size=10)
    assert column(numbers, "same") == [True] * 1000


def test_clients_made_in_a_plain_setup_find_the_loop_of_the_calls(numbers: leman.Table) -> None:
    @leman.udf
    class Client:
        def __init__(self) -> None:
            self.made_on = asyncio.get_running_loop()

        def setup(self) -> None:
            self.set_up_on = asyncio.get_running_loop()

        async def __call__(self, x: int) -> bool:
            return self.made_on is self.set_up_on is asyncio.get_running_loop()

    numbers.add_columns({"same": Client()})
    numbers.backfill("same", concurrency=1, intra_applier_concurrency=2, batch_size=100)
    assert column(numbers, "same") == [True] * 1000


def test_a_setup_may_run_a_loop_of_its_own(numbers: leman.Table) -> None:
    @leman.udf
    class Token:
        def setup(self) -> None:
            self.token = asyncio.run(token())

        async def __call__(self, x: int) -> int:
            return x + self.token

    assert Token().preview(numbers, n=1).rows[0].error is None
    numbers.add_columns({"y": Token()})
    numbers.backfill("y", concurrency=1)
    assert sorted(column(numbers, "y")) == list(range(7, 1007))


async def token() -> int:
    return 7


async def flaky(x: int) -> int:
    await asyncio.sleep(0)
    if x % 100 == 0:
        raise ValueError(f"cannot take {x}")
    return x


def test_skipped_rows_are_null_and_recorded(numbers: leman.Table) -> None:
    numbers.delete("x % 7 = 0")
    numbers.add_columns({"y": leman.udf(on_error=leman.skip_on_error())(flaky)})
    result = numbers.backfill("y", where="x % 2 = 0", concurrency=1)
    bad = [x for x in range(0, 1000, 100) if x % 7]
    errors = numbers.get_errors(job_id=result.job_id)
    assert sorted(e.fragment_id * 100 + e.row for e in errors) == bad
    assert all("flaky" in e.traceback and e.error_type == "ValueError" for e in errors)
    rows = numbers.to_arrow().to_pydict()
    assert dict(zip(rows["x"], rows["y"], strict=True)) == {x: x if x % 2 == 0 and x % 100 else None for x in rows["x"]}


def test_without_a_policy_the_first_failing_row_ends_the_job(numbers: leman.Table) -> None:
    numbers.add_columns({"y": leman.udf(flaky)})
    with pytest.raises(leman.UserFunctionError, match=r"(?s)row 0 of fragment \d+: .*ValueError: cannot take \d+") as e:
        numbers.backfill("y", concurrency=1)
    assert "async_call" not in str(e.value)


def test_a_retry_waits_for_its_own_row_only(db: leman.Connection, tmp_path: pathlib.Path) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(300), pa.int64())}))
    folder = tmp_path

    @leman.udf(on_error=leman.Retry(ConnectionError, max_attempts=3, backoff="fixed"), max_in_flight=100)
    async def once_refused(x: int) -> int:
        mark = folder / str(x)
        if x % 10 == 0 and not mark.exists():
            mark.touch()
            raise ConnectionError("refused")
        return x

    table.add_columns({"y": once_refused})
    result = table.backfill("y", concurrency=1, batch_size=300)
    assert column(table, "y") == list(range(300))
    # One after the other, 30 pauses of a second would take 30 s.
    assert result.duration_s < 20


def test_a_value_that_does_not_fit_is_the_rows_failure(numbers: leman.Table) -> None:
    @leman.udf(data_type=pa.int64(), on_error=leman.Skip(TypeError))
    async def sometimes_text(x: int):
        return "no" if x == 5 else x

    numbers.add_columns({"y": sometimes_text})
    result = numbers.backfill("y", concurrency=1)
    assert (column(numbers, "y")[5], result.rows_skipped) == (None, 1)
    assert "'no' (str)" in numbers.get_errors(job_id=result.job_id)[0].error_message


def test_a_value_that_does_not_fit_can_be_computed_again(numbers: leman.Table, tmp_path: pathlib.Path) -> None:
    mark = tmp_path / "tried"

    @leman.udf(data_type=pa.int64(), on_error=leman.Retry(TypeError, max_attempts=2, backoff="fixed"))
    async def text_at_first(x: int):
        if x == 5 and not mark.exists():
            mark.touch()
            return "no"
        return x

    numbers.add_columns({"y": text_at_first})
    numbers.backfill("y", concurrency=1)
    assert column(numbers, "y") == list(range(1000))


def test_lists_come_as_arrays_and_null_rows_are_not_called(db: leman.Connection) -> None:
    lists = [[1.0, 2.0], None, [3.0]] * 100
    table = db.create_table("t", pa.table({"v": pa.array(lists, pa.list_(pa.float64()))}))

    @leman.udf
    async def total(v: np.ndarray) -> float:
        assert isinstance(v, np.ndarray)
        return float(v.sum())

    table.add_columns({"total": total})
    result = table.backfill("total", concurrency=1)
    assert column(table, "total") == [3.0, None, 3.0] * 100
    assert result.metrics["rows_null_input"] == 100
