"""Calls that take longer than their `timeout` are ended, whatever they are at, and their rows meet the policy."""

from __future__ import annotations

import pyarrow as pa
import pytest

import leman

from .test_backfill import column

BAD = 13


@pytest.fixture
def few(db: leman.Connection) -> leman.Table:
    return db.create_table("few", pa.table({"x": pa.array(range(20), pa.int64())}))


def loops(x: int) -> int:
    while x == BAD:
        pass
    return x


def sleeps(x: int) -> int:
    import time

    if x == BAD:
        time.sleep(600)
    return x


def catches_what_it_can(x: int) -> int:
    while x == BAD:
        try:
            while True:
                pass
        except Exception:
            continue
    return x


def reads_a_socket(x: int) -> int:
    import socket

    if x == BAD:
        ours, theirs = socket.socketpair()
        theirs.send(ours.recv(1))
    return x


def loops_in_a_batch(x: pa.Array) -> pa.Array:
    while BAD in x.to_pylist():
        pass
    return x


def sleeps_in_a_record_batch(batch: pa.RecordBatch) -> pa.Array:
    import time

    if BAD in batch["x"].to_pylist():
        time.sleep(600)
    return batch["x"]


async def sleeps_asynchronously(x: int) -> int:
    import asyncio

    if x == BAD:
        await asyncio.sleep(600)
    return x


def blocks_with_the_interpreter_held(x: int) -> int:
    import ctypes
    import signal

    if x == BAD:
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        ctypes.PyDLL(None).sleep(600)
    return x


def blocks_in_a_batch_with_the_interpreter_held(x: pa.Array) -> pa.Array:
    for value in x.to_pylist():
        blocks_with_the_interpreter_held(value)
    return x


FUNCTIONS = [
    loops,
    sleeps,
    catches_what_it_can,
    reads_a_socket,
    loops_in_a_batch,
    sleeps_in_a_record_batch,
    sleeps_asynchronously,
    blocks_with_the_interpreter_held,
    blocks_in_a_batch_with_the_interpreter_held,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_row_that_takes_too_long_is_skipped_and_recorded(few: leman.Table, function) -> None:
    policy = leman.Skip(TimeoutError, match="longer than its timeout of 0.3 s")
    few.add_columns({"y": leman.udf(data_type=pa.int64(), timeout=0.3, on_error=policy)(function)})
    result = few.backfill("y", concurrency=1)
    assert (result.status, result.rows_skipped) == ("DONE", 1)
    assert column(few, "y") == [None if x == BAD else x for x in range(20)]
    (error,) = few.get_errors()
    assert (error.row, error.error_type.rpartition(".")[2]) == (BAD, "FunctionTimeoutError")
    replaced = function in (blocks_with_the_interpreter_held, blocks_in_a_batch_with_the_interpreter_held)
    assert (result.metrics["worker_deaths"] > 0) == replaced


@pytest.mark.parametrize("function", [sleeps, loops_in_a_batch, blocks_with_the_interpreter_held])
def test_without_a_policy_the_job_fails_and_names_the_row(few: leman.Table, function) -> None:
    few.add_columns({"y": leman.udf(data_type=pa.int64(), timeout=0.2)(function)})
    with pytest.raises(leman.FunctionTimeoutError, match=r"row 13 of fragment 0.*longer than its timeout of 0.2 s"):
        few.backfill("y", concurrency=1)


def test_a_filter_does_not_move_the_row_that_is_to_blame(few: leman.Table) -> None:
    policy = leman.Skip(TimeoutError)
    function = leman.udf(data_type=pa.int64(), timeout=0.2, on_error=policy)(
        blocks_in_a_batch_with_the_interpreter_held
    )
    few.add_columns({"y": function})
    assert few.backfill("y", where="x % 2 = 1", concurrency=1).rows_skipped == 1
    assert column(few, "y") == [x if x % 2 == 1 and x != BAD else None for x in range(20)]


def test_a_call_that_is_too_long_now_and_then_is_retried(few: leman.Table, tmp_path) -> None:
    flag = str(tmp_path / "slow-once")

    @leman.udf(timeout=0.3, on_error=leman.Retry(TimeoutError, max_attempts=2, backoff="fixed"))
    def slow_once(x: int) -> int:
        import os
        import time

        if x == 5 and not os.path.exists(flag):
            open(flag, "w").close()
            time.sleep(600)
        return x

    few.add_columns({"y": slow_once})
    assert few.backfill("y", concurrency=1).metrics["worker_deaths"] == 0
    assert column(few, "y") == list(range(20))


@pytest.mark.parametrize("function", [loops, sleeps])
def test_other_threads_of_a_worker_are_ended_too(few: leman.Table, function) -> None:
    few.add_columns({"y": leman.udf(timeout=0.3, on_error=leman.Skip(TimeoutError))(function)})
    result = few.backfill("y", concurrency=1, intra_applier_concurrency=3, task_size=2)
    assert result.rows_skipped == 1
    assert column(few, "y") == [None if x == BAD else x for x in range(20)]


def test_rows_that_are_quick_enough_together_or_alone_are_all_computed(few: leman.Table) -> None:
    @leman.udf(data_type=pa.int64(), timeout=0.3, batch_size=20)
    def slow_in_batches(x: pa.Array) -> pa.Array:
        import time

        time.sleep(0.03 * len(x))
        return x

    few.add_columns({"y": slow_in_batches})
    assert few.backfill("y", concurrency=1).rows_skipped == 0
    assert column(few, "y") == list(range(20))
