"""What a failure says, what is decided about it, and that nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
import weakref
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

BATCH = pa.record_batch({"x": pa.array(range(10))})


class OddError(Exception):
    pass


def divide(x):
    return inner(x)


def inner(x):
    return 1 // (x - 4)


def test_an_exception_of_the_function(calls):
    failure = calls.fails(divide, BATCH, pa.int64())
    assert (failure.kind, failure.failed_row) == ("user function", 4)
    assert failure.error.startswith("ZeroDivisionError: integer division or modulo by zero\nTraceback")
    assert failure.type_name == "ZeroDivisionError"
    assert failure.message == "integer division or modulo by zero"
    assert isinstance(failure.exception, ZeroDivisionError) and failure.exception.__traceback__ is None
    assert "in divide" in failure.traceback and "in inner" in failure.traceback
    assert "conftest" not in failure.traceback
    assert calls.counts["calls"] == 5


def test_qualified_names_and_empty_messages(calls):
    def fail(x):
        raise OddError

    failure = calls.fails(fail, BATCH, pa.int64())
    assert failure.type_name == f"{__name__}.OddError" and failure.message == ""
    assert failure.error.startswith(f"{__name__}.OddError\nTraceback")


def test_texts_are_bounded(calls):
    def fail(x):
        raise ValueError("ä" * 100_000)

    failure = calls.fails(fail, BATCH, pa.int64())
    assert len(failure.message.encode()) <= 2000 and len(failure.traceback.encode()) <= 4000
    for value in ("y" * 10_000_000, [1.5] * 100_000, b"z" * 10_000_000):
        failure = calls.fails(lambda x, value=value: value, BATCH, pa.int64())
        assert len(failure.error.encode()) < 400 and type(value).__name__ in failure.error


def test_a_repr_that_fails(calls):
    class Shy:
        def __repr__(self):
            raise OddError

    assert "<repr() failed>" in calls.fails(lambda x: Shy(), BATCH, pa.int64()).error


def test_lone_surrogates_in_messages(calls):
    def fail(x):
        raise ValueError("a\ud800b")

    assert "a\\ud800b" in calls.fails(fail, BATCH, pa.int64()).message


KINDS = [pa.int64(), pa.float32(), pa.bool_(), pa.string(), pa.binary(), pa.list_(pa.int8()), pa.timestamp("us"),
         pa.struct([("a", pa.int8())]), pa.decimal128(5, 1)]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_generators_and_coroutines(calls, kind, recwarn):
    async def later(x):
        return x

    async def stream(x):
        yield x

    def many(x):
        yield x

    assert "a generator is not a value" in calls.fails(many, BATCH, kind).error
    assert "a coroutine is not a value" in calls.fails(later, BATCH, kind).error
    assert "an async generator is not a value" in calls.fails(stream, BATCH, kind).error
    gc.collect()
    assert not [w for w in recwarn if "never awaited" in str(w.message)]
    assert asyncio.iscoroutinefunction(later)


def test_callables_of_every_sort(calls):
    class Adder:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return x + self.by

        def method(self, x):
            return x - self.by

    assert calls.ok(Adder(2), BATCH, pa.int64()).to_pylist() == list(range(2, 12))
    assert calls.ok(Adder(2).method, BATCH, pa.int64()).to_pylist() == list(range(-2, 8))
    assert calls.ok(abs, BATCH, pa.int64()).to_pylist() == list(range(10))
    assert "Adder() returned" in calls.fails(Adder(0.5), BATCH, pa.int64()).error
    with pytest.raises(ValueError, match="not callable"):
        calls.run(5, BATCH, pa.int64())


def test_a_wrong_number_of_arguments(calls):
    failure = calls.fails(lambda: 1, BATCH, pa.int64())
    assert failure.type_name == "TypeError" and failure.failed_row == 0


def test_retries_and_nulls_row_by_row(calls):
    tries: dict[int, int] = {}
    asked = []

    def flaky(x):
        tries[x] = tries.get(x, 0) + 1
        if x % 3 == 0 and tries[x] < 3:
            raise OddError(f"try {tries[x]} of {x}")
        if x == 5:
            raise ValueError("never")
        if x == 7:
            return "no number"
        return x

    def decide(row, message, exception):
        asked.append((row, type(exception).__name__))
        return "retry" if isinstance(exception, OddError) else "null"

    out = calls.ok(flaky, BATCH, pa.int64(), on_failure=decide)
    assert out.to_pylist() == [0, 1, 2, 3, 4, None, 6, None, 8, 9]
    assert calls.counts == {"calls": 18, "null_inputs": 0, "failed_rows": 2}
    assert (
        asked
        == [(r, "OddError") for r in (0, 0, 3, 3)]
        + [(5, "ValueError")]
        + [(6, "OddError")] * 2
        + [(7, "TypeError")]
        + [(9, "OddError")] * 2
    )
    assert max(tries.values()) == 3


def test_a_handler_that_gives_up(calls):
    failure = calls.fails(divide, BATCH, pa.int64(), on_failure=lambda *_: "fail")
    assert failure.failed_row == 4 and failure.type_name == "ZeroDivisionError"


def test_rows_that_pyarrow_refuses_at_the_end(calls):
    kind = pa.decimal128(5, 1)

    def function(x):
        return "bad" if x in (2, 6) else Decimal(x)

    failure = calls.fails(function, BATCH, kind)
    assert failure.failed_row == 2 and "returned 'bad' (str), declared decimal128(5, 1)" in failure.error
    out = calls.ok(function, BATCH, kind, on_failure=lambda *_: "null")
    assert out.null_count == 2 and out[2].as_py() is None and out[6].as_py() is None
    tries = []

    def second_time(x):
        tries.append(x)
        if x == 4 and tries.count(4) == 2:
            raise OddError("again")
        return "bad" if x == 4 and tries.count(4) < 3 else Decimal(x)

    out = calls.ok(second_time, BATCH, kind, on_failure=lambda *_: "retry")
    assert [int(v) for v in out.to_pylist()] == list(range(10)) and tries.count(4) == 3


def test_an_interrupt_is_no_failure_of_the_function(calls):
    asked = []

    def fail(x):
        raise KeyboardInterrupt

    failure = calls.fails(fail, BATCH, pa.int64(), on_failure=lambda *a: asked.append(a) or "null")
    assert failure.kind == "cancelled" and not asked


def test_signals_are_seen_between_builtin_calls(calls):
    batch = pa.record_batch({"x": pa.array(range(3_000_000))})
    timer = threading.Timer(0.01, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    try:
        outcome = calls.run(abs, batch, pa.int64())
        time.sleep(0.05)
    except KeyboardInterrupt:
        return  # it came after the call
    finally:
        timer.join()
    assert isinstance(outcome, pa.Array) or outcome.kind == "cancelled"


def test_arguments_and_results_are_dropped(calls):
    class Kept(dict):
        pass

    refs = []

    def function(x):
        kept = Kept(a=x)
        refs.append(weakref.ref(kept))
        if x == 8:
            raise ValueError("end")
        return kept

    calls.fails(function, BATCH, pa.struct([("a", pa.int64())]))
    assert len(refs) == 9 and not any(ref() for ref in refs)


@pytest.mark.parametrize("function", [lambda x: x, lambda x: 1 / 0, lambda x: object(), lambda x: [x]])
@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.list_(pa.int64()), pa.decimal128(9, 0)], ids=str)
def test_reference_counts_do_not_move(calls, function, kind):
    watched = [function, None, True, int, BATCH]

    def counts(runs):
        for _ in range(runs):
            calls.run(function, BATCH, kind)
            calls.run(function, BATCH, kind, on_failure=lambda *_: "null")
        gc.collect()
        return [sys.getrefcount(o) for o in watched]

    before, after = counts(100), counts(300)  # the interpreter's own caches move them by some dozens
    assert all(abs(a - b) < 250 for a, b in zip(after, before, strict=True))


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow(calls):
    batch = pa.record_batch({"x": pa.array([[float(i)] * 64 for i in range(500)], pa.list_(pa.float32()))})
    kind = pa.struct([("v", pa.list_(pa.float32())), ("s", pa.string()), ("n", pa.list_(pa.float32(), 64))])

    def function(x):
        if x[0] == 250:
            raise ValueError("x" * 1000)
        return {"v": x, "s": "y" * 500, "n": x if x[0] % 7 else [1, "bad"]}

    def once():
        calls.run(function, batch, kind, on_failure=lambda *_: "null")
        calls.run(function, batch, kind, on_failure=lambda *_: "null", ndarray=[1])
        calls.run(function, batch, kind)
        calls.seen(pa.array([None, b"x" * 5000, b""]))
        calls.run(lambda x: np.zeros(64, np.float32), batch, pa.list_(pa.float32(), 64))

    for _ in range(20):
        once()
    gc.collect()
    before = _resident()
    for _ in range(150):
        once()
    gc.collect()
    assert _resident() - before < 8 << 20
