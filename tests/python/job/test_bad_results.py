"""Everything that a function may do wrong without a crash, in every kind of function.

The error shows the value (bounded), its row, the column and the declared type; a policy that skips records it; and what
was computed before is kept.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import leman

from .conftest import CallLog

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

ROWS, BAD = 40, 27  # In two fragments, and in the second one.


class TextlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class StubbornError(Exception):
    """Neither made from one text nor picklable."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


class Shapeless:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


async def later() -> int:
    return 1


def raising(kind: type[BaseException], *arguments: object) -> Callable[[], Any]:
    def fault() -> Any:
        raise kind(*arguments)

    return fault


def deep() -> Any:
    return deep()


# What is returned instead of an int8, and what the error shows of it.
VALUES: dict[str, tuple[Callable[[], Any], str]] = {
    "text": (lambda: "text", r"'text' \(str\)"),
    "out of range": (lambda: 300, r"300 \(int\)"),
    "nan": (lambda: float("nan"), r"nan \(float\)"),
    "huge": (lambda: "m" * 1_000_000, r"'m{100}"),
    "without a repr": (lambda: Shapeless(), r"<repr\(\) failed> \(.*Shapeless\)"),
    "generator": (lambda: (x for x in (1, 2)), r"<generator .*\(generator\)"),
    "coroutine": (lambda: later(), r"<coroutine .*\(coroutine\)"),
}
# Exceptions, what the record or the error shows of them, and whether a policy is asked at all.
RAISED: dict[str, tuple[Callable[[], Any], str, bool]] = {
    "plain": (raising(ValueError, "bad value"), "ValueError.*bad value", True),
    "textless": (raising(TextlessError), r"TextlessError.*<str\(\) of the exception failed>", True),
    "huge message": (raising(ValueError, "m" * 1_000_000), "ValueError.*m{900}", True),
    "surrogates": (raising(ValueError, "a\ud800b"), r"ValueError.*a\\ud800b", True),
    "bytes": (raising(ValueError, b"\xff\xfe"), r"ValueError.*\\xff", True),
    "recursion": (deep, "RecursionError", True),
    "stubborn": (raising(StubbornError, "one", "two"), "StubbornError.*one and two", True),
    "exit": (raising(SystemExit, 3), "SystemExit", False),
    "interrupt": (raising(KeyboardInterrupt), "KeyboardInterrupt", False),
    "cancelled": (raising(asyncio.CancelledError), "CancelledError", False),
}
KINDS = ["scalar", "array", "record_batch", "stateful", "async", "struct"]
BATCHES = ("array", "record_batch")


def function_of(kind: str, faults: dict[int, Callable[[], Any]], path: str, **options: Any) -> leman.UserFunction:
    """A function that returns x % 100 as int8, and at some rows what its fault makes."""

    def value(x: int) -> Any:
        with open(path, "ab", buffering=0) as file:
            file.write(b".")
        return faults[x]() if x in faults else x % 100

    options = {"version": "1", **options}
    decorated = leman.udf(data_type=pa.int8(), **options)
    if kind == "scalar":

        @decorated
        def scalar(x: int) -> int:
            return value(x)

        return scalar
    if kind == "array":

        @decorated
        def array(x: pa.Array) -> pa.Array:
            return [value(v) for v in x.to_pylist()]

        return array
    if kind == "record_batch":

        @decorated
        def record_batch(batch: pa.RecordBatch) -> pa.Array:
            return [value(v) for v in batch["x"].to_pylist()]

        return record_batch
    if kind == "stateful":

        @decorated
        class Stateful:
            def __call__(self, x: int) -> int:
                return value(x)

        return Stateful()
    if kind == "async":

        @decorated
        async def in_flight(x: int) -> int:
            await asyncio.sleep(0)
            return value(x)

        return in_flight

    @leman.udf(data_type=pa.struct({"a": pa.int8()}), **options)
    def struct(x: int) -> dict:
        return {"a": value(x)}

    return struct


def values_of(table: leman.Table, kind: str) -> list[Any]:
    values = table.to_arrow().column("y").to_pylist()
    return [v and v["a"] for v in values] if kind == "struct" else values


@pytest.fixture
def table(db: leman.Connection) -> leman.Table:
    return db.create_table("t", pa.table({"x": pa.array(range(ROWS), pa.int64())}), max_rows_per_file=ROWS // 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_job_fails_naming_it_and_the_same_call_goes_on(table: leman.Table, calls: CallLog, kind: str) -> None:
    table.add_columns({"y": function_of(kind, {}, calls.path)})
    for fault, (bad, shown, *_) in {**VALUES, **RAISED}.items():
        function = function_of(kind, {BAD: bad}, calls.path, batch_size=10, version=fault)
        with pytest.raises(leman.UserFunctionError) as caught:
            table.backfill("y", udf=function, concurrency=1)
        text = str(caught.value)
        # An exception of a batch function may come from any of its rows; a value that does not fit is one row's.
        at = "rows 0 to 9" if kind in BATCHES and fault in RAISED else "row 7"
        assert re.match(f"column 'y', {at} of fragment 1: ", text), (fault, text)
        assert re.search(f"(?s){shown}", text), (fault, text)
        assert len(text) < 8000, fault
        if fault in VALUES:
            assert "returned " in text and "int8" in text, (fault, text)
        job = table.connection.list_jobs()[0]
        assert (job.status, job.metrics["worker_deaths"]) == ("FAILED", 0), fault
    called = calls.count
    fixed = function_of(kind, {}, calls.path, batch_size=10, version=fault)
    result = table.backfill("y", udf=fixed, concurrency=1)
    assert (result.status, values_of(table, kind)) == ("DONE", list(range(ROWS)))
    assert calls.count - called == result.rows_computed <= ROWS - 20  # The first fragment was acknowledged.


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_be_skipped_is_recorded(table: leman.Table, calls: CallLog, kind: str) -> None:
    # That a batch's values do not fit is a defect of the function, and never skipped.
    expected = {name: shown for name, (_, shown, asked) in RAISED.items() if asked}
    if kind not in BATCHES:
        expected |= {name: shown for name, (_, shown) in VALUES.items()}
    made = {name: (VALUES.get(name) or RAISED[name])[0] for name in expected}
    faults = dict(enumerate(made.values(), start=3))
    function = function_of(kind, faults, calls.path, on_error=leman.skip_on_error())
    table.add_columns({"y": function})
    result = table.backfill("y", concurrency=1)
    assert (result.status, result.rows_skipped, result.metrics["worker_deaths"]) == ("DONE", len(faults), 0)
    assert values_of(table, kind) == [None if x in faults else x for x in range(ROWS)]
    errors = sorted(table.get_errors(job_id=result.job_id), key=lambda error: error.row_address)
    assert [error.fragment_id * 20 + error.row for error in errors] == list(faults)
    for error, (name, shown) in zip(errors, expected.items(), strict=True):
        assert re.search(f"(?s){shown}", f"{error.error_type}: {error.error_message}"), name
        assert len(error.error_message) <= 2000 and len(error.traceback) <= 4000
    fixed = table.backfill("y", udf=function_of(kind, {}, calls.path), retry_failed=True, concurrency=1)
    assert (fixed.rows_computed, values_of(table, kind)) == (len(faults), list(range(ROWS)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_exit_is_never_skipped(table: leman.Table, calls: CallLog, kind: str) -> None:
    for fault, (bad, shown, asked) in RAISED.items():
        if asked:
            continue
        function = function_of(kind, {BAD: bad}, calls.path, on_error=leman.skip_on_error())
        if "y" not in table.schema.names:
            table.add_columns({"y": function})
        with pytest.raises(leman.UserFunctionError, match=shown):
            table.backfill("y", udf=function, concurrency=1)
        assert table.get_errors() == [], fault


@pytest.mark.parametrize("made", ["generator", "coroutine", "none", "short", "length that fails"])
def test_a_batch_as_a_whole_is_not_what_was_declared(table: leman.Table, made: str) -> None:
    class Lengthless(list):
        def __len__(self) -> int:
            raise RuntimeError("no length")

    results: dict[str, tuple[Callable[[pa.Array], Any], str]] = {
        "generator": (lambda x: (v for v in x), "returned generator <generator.*expected a pyarrow.Array of"),
        "coroutine": (lambda x: later(), "returned coroutine <coroutine.*expected a pyarrow.Array of"),
        "none": (lambda x: None, "returned NoneType None; expected a pyarrow.Array of"),
        "short": (lambda x: x[:-1], "returned 9 values; expected 10, one for each row"),
        "length that fails": (lambda x: Lengthless(), "RuntimeError: no length"),
    }
    make, shown = results[made]

    @leman.udf(data_type=pa.int8(), batch_size=10)
    def wrong(x: pa.Array) -> pa.Array:
        return make(x)

    table.add_columns({"y": wrong})
    with pytest.raises(
        leman.UserFunctionError, match=rf"(?s)column 'y', rows 0 to 9 of fragment 0: .*'wrong' .*{shown}"
    ):
        table.backfill("y", concurrency=1)


def of_pandas(name: str) -> Any:
    """A value of a class that is called as one of pandas, which need not be there."""
    return type(name, (), {"__module__": "pandas.api.typing"})()


def test_missing_values_of_pandas_are_null(db: leman.Connection) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(6), pa.int64())}))
    kinds = {"number": pa.float64(), "text": pa.string(), "when": pa.timestamp("us"), "list": pa.list_(pa.int64())}
    struct = pa.struct([("a", pa.int64()), ("b", pa.string())])
    for name, kind in kinds.items():
        table.add_columns(
            {name: (leman.udf(data_type=kind)(lambda x: of_pandas("NAType" if x % 2 else "NaTType")), ["x"])}
        )
    fields = leman.udf(data_type=struct)(lambda x: {"a": x, "b": of_pandas("NAType")} if x else of_pandas("NAType"))
    table.add_columns({"fields": (fields, ["x"])})
    for name in kinds:
        table.backfill(name, concurrency=1)
        assert table.to_arrow().column(name).null_count == 6
    table.backfill("fields", concurrency=1)
    expected = [None, *({"a": x, "b": None} for x in range(1, 6))]
    assert table.to_arrow().column("fields").to_pylist() == expected


def test_data_frames_are_batches(db: leman.Connection) -> None:
    def frame_of(columns: dict[str, Any]) -> Any:
        frame = type("DataFrame", (), {"__module__": "pandas.core.frame", "__len__": lambda self: 6})
        frame.columns = list(columns)
        frame.__getitem__ = lambda self, name: columns[name]
        return frame()

    table = db.create_table("t", pa.table({"x": pa.array(range(6), pa.int64())}))

    @leman.udf(data_type=pa.struct([("a", pa.int64()), ("b", pa.string())]))
    def both(x: pa.Array) -> pa.Array:
        return frame_of({"b": [str(value) for value in x.to_pylist()], "a": x})

    @leman.udf(data_type=pa.int64())
    def one(x: pa.Array) -> pa.Array:
        return frame_of({"a": x})

    @leman.udf(data_type=pa.int64())
    def too_many(x: pa.Array) -> pa.Array:
        return frame_of({"a": x, "b": x})

    table.add_columns({"both": both, "one": one, "too_many": too_many})
    table.backfill("both", concurrency=1)
    table.backfill("one", concurrency=1)
    assert table.to_arrow().column("both").to_pylist() == [{"a": x, "b": str(x)} for x in range(6)]
    assert table.to_arrow().column("one").to_pylist() == list(range(6))
    with pytest.raises(leman.UserFunctionError, match=r"'too_many' returned a DataFrame of 2 columns; expected one"):
        table.backfill("too_many", concurrency=1)


def test_a_module_that_workers_lack_is_named(db: leman.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    table = db.create_table("t", pa.table({"x": pa.array(range(6), pa.int64())}))
    module = types.ModuleType("only_in_the_notebook")
    module.double = lambda x: 2 * x  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_in_the_notebook", module)

    @leman.udf
    def doubled(x: int) -> int:
        return module.double(x)

    table.add_columns({"y": doubled})
    expected = r"function 'doubled' raised .*No module named 'only_in_the_notebook'; install it where the job's workers"
    with pytest.raises(leman.UserFunctionError, match=expected):
        table.backfill("y", concurrency=1)
