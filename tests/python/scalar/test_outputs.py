"""What functions may return: every declared type, from Python's values and numpy's, against pyarrow."""

from __future__ import annotations

import array as std_array
import collections
import dataclasses
import datetime as dt
import random
import types
import typing
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from samples import EVERY, array_of, values_of

KINDS = [pytest.param(kind, id=str(kind)) for kind in EVERY]
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nulls", [0.0, 0.3, 1.0])
def test_same_array_as_pyarrow_makes(calls, kind, nulls):
    values = values_of(kind, 150, nulls=nulls)
    out = calls.returning(values, kind)
    assert isinstance(out, pa.Array), out.error
    expected = pa.array(values, type=kind)
    assert out.equals(expected) and out.null_count == expected.null_count


@pytest.mark.parametrize("kind", KINDS)
def test_identity_returns_the_column(calls, kind):
    array = array_of(kind, 90).slice(7, 50)
    out = calls.ok(lambda x: x, pa.record_batch({"x": array}), kind)
    assert out.equals(pa.array(array.to_pylist(), type=kind))  # a dictionary's order is its builder's


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(calls, kind):
    out = calls.returning([], kind)
    assert isinstance(out, pa.Array) and len(out) == 0 and out.type == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_row_leaves_the_others_as_they_are(calls, kind):
    values = values_of(kind, 80, nulls=0.1)

    def function(i):
        return (object() if i % 2 else {"nonsense": object()}) if i % 5 == 3 else values[i]

    batch = pa.record_batch({"i": pa.array(range(80))})
    out = calls.ok(function, batch, kind, on_failure=lambda *_: "null")
    assert out.equals(pa.array([None if i % 5 == 3 else v for i, v in enumerate(values)], type=kind))
    assert calls.counts["failed_rows"] == 16


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_at_their_limits(calls, kind):
    info = np.iinfo(kind.to_pandas_dtype())
    assert calls.returning([int(info.min), int(info.max)], kind).to_pylist() == [info.min, info.max]
    for value in (info.min - 1, info.max + 1, 2**70, -(2**70)):
        failure = calls.returning([0, int(value)], kind)
        assert failure.failed_row == 1 and failure.type_name == "OverflowError"
        assert f"returned {value} (int), declared {kind}: out of range for {kind}" in failure.error


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_from_other_objects(calls, kind):
    class Five:
        def __index__(self):
            return 5

    good = [True, np.int8(3), np.uint64(4), Five(), np.array(6), np.int64(7)]
    assert calls.returning(good, kind).to_pylist() == [1, 3, 4, 5, 6, 7]
    for bad in (1.0, float("nan"), np.float32(2), "1", b"1", 1j, [1], np.array([1, 2])):
        failure = calls.returning([bad], kind)
        assert failure.type_name == "TypeError" and "not an integer" in failure.error, bad


@pytest.mark.parametrize("kind", FLOATS)
def test_floats(calls, kind):
    values = [
        1,
        True,
        0.5,
        np.float16(1.5),
        np.float32(2.5),
        np.int64(3),
        np.float64(4.5),
        np.bool_(True),
        np.array(5.5),
    ]
    assert calls.returning(values, kind).to_pylist() == [1, 1, 0.5, 1.5, 2.5, 3, 4.5, 1, 5.5]
    nan, inf = calls.returning([float("nan"), float("-inf")], kind).to_pylist()
    assert nan != nan and inf == float("-inf")
    for bad in ("1", b"1", 1j, [1.0], None.__class__):
        assert "not a number" in calls.returning([bad], kind).error
    if kind != pa.float64():
        assert "too large" in calls.returning([1e300], kind).error
    assert "too large" in calls.returning([10**400], kind).error


def test_every_half_float(calls):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    array = pa.array(halves)
    seen = np.array(calls.seen(array))
    assert np.array_equal(seen, halves.astype(np.float64), equal_nan=True)
    out = calls.ok(lambda x: x, pa.record_batch({"x": array}), pa.float16())
    finite = np.isfinite(halves)
    assert np.array_equal(out.to_numpy()[finite].view(np.uint16), halves[finite].view(np.uint16))


def test_half_float_rounding(calls):
    rng = np.random.default_rng(1)
    doubles = np.concatenate(
        [rng.uniform(-65000, 65000, 5000), rng.uniform(-1, 1, 5000) * 2.0 ** rng.integers(-26, 0, 5000)]
    )
    out = calls.returning(doubles.tolist(), pa.float16())
    assert np.array_equal(out.to_numpy().view(np.uint16), doubles.astype(np.float16).view(np.uint16))
    assert calls.returning([65519.9], pa.float16()).to_pylist() == [65504]
    assert "too large" in calls.returning([65520.0], pa.float16()).error


def test_bools(calls):
    values = [True, False, None, np.bool_(True), np.True_, np.array(False)]
    assert calls.returning(values[:5], pa.bool_()).to_pylist() == [True, False, None, True, True]
    for bad in (1, 0.0, "True", [True]):
        assert "not a bool" in calls.returning([bad], pa.bool_()).error


def test_text(calls):
    class Name(str):
        pass

    assert calls.returning(["ä", Name("n"), np.str_("s")], pa.string()).to_pylist() == ["ä", "n", "s"]
    assert ".decode()" in calls.returning([b"x"], pa.string()).error
    assert "str(...)" in calls.returning([1], pa.large_string()).error
    failure = calls.returning(["ok", "\ud800"], pa.string())
    assert failure.failed_row == 1 and "UTF-8" in failure.error and failure.exception is not None


def test_binary(calls):
    values = [
        b"a",
        bytearray(b"bc"),
        memoryview(b"def"),
        memoryview(b"012345")[::2],
        np.bytes_(b"g"),
        np.arange(3, dtype=np.uint8),
    ]
    for kind in (pa.binary(), pa.large_binary()):
        assert calls.returning(values, kind).to_pylist() == [b"a", b"bc", b"def", b"024", b"g", b"\0\1\2"]
        assert ".encode()" in calls.returning(["x"], kind).error
        assert ".tobytes()" in calls.returning([np.zeros(3)], kind).error
        assert "not bytes" in calls.returning([1], kind).error
    assert "expected 7 bytes, got 3" in calls.returning([b"abc"], pa.binary(7)).error


NUMPY = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("kind", [*INTEGERS, *FLOATS], ids=str)
@pytest.mark.parametrize("make", [pa.list_, pa.large_list, lambda t: pa.list_(t, 3)], ids=["list", "large", "fixed"])
def test_lists_from_arrays(calls, dtype, kind, make):
    whole = np.array([0, 1, 1, 7, 0, 99, 1], dtype=dtype)
    rows = [whole[:3], whole[1:4], whole[::3], whole[2::-1]]
    out = calls.returning([rows[0], None, *rows[1:]], make(kind))
    if dtype.startswith("float") and pa.types.is_integer(kind):
        assert "not an integer" in out.error
        return
    assert out.to_pylist() == [rows[0].tolist(), None, *[row.tolist() for row in rows[1:]]]


def test_lists_of_bools_from_arrays(calls):
    values = [np.array([True, False]), [np.True_, None], np.array([], dtype=bool)]
    assert calls.returning(values, pa.list_(pa.bool_())).to_pylist() == [[True, False], [True, None], []]


def test_array_elements_out_of_range(calls):
    kind = pa.list_(pa.int8())
    failure = calls.returning([np.array([1, 300])], kind)
    assert "element 1" in failure.error and "out of range for int8" in failure.error
    assert "out of range" in calls.returning([np.array([-1])], pa.list_(pa.uint64())).error
    assert "out of range" in calls.returning([np.array([2**63], dtype=np.uint64)], pa.list_(pa.int64())).error
    assert "too large" in calls.returning([np.array([1e300])], pa.list_(pa.float32())).error


def test_other_lists(calls):
    kind = pa.list_(pa.int32())
    values = [
        (1, 2),
        range(3),
        collections.deque([4]),
        std_array.array("h", [5, 6]),
        memoryview(std_array.array("q", [7])),
        b"\x08",
        pa.array([9, None]),
        np.array([10, 11], dtype=">i4"),
        np.array([12, None, 13], dtype=object),
        np.ma.array([14, 15], mask=[False, True]),
    ]
    expected = [[1, 2], [0, 1, 2], [4], [5, 6], [7], [8], [9, None], [10, 11], [12, None, 13], [14, None]]
    assert calls.returning(values, kind).to_pylist() == expected

    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.5, 2.5], dtype=np.float32)

    assert calls.returning([Tensor()], pa.list_(pa.float32(), 2)).to_pylist() == [[1.5, 2.5]]
    days = np.array(["2020-01-01", "NaT"], dtype="datetime64[D]")
    assert calls.returning([days], pa.list_(pa.timestamp("us"))).to_pylist() == [[dt.datetime(2020, 1, 1), None]]
    names = np.array(["a", "bc"])
    assert calls.returning([names, np.array(["x", None], dtype=object)], pa.list_(pa.string())).to_pylist() == [
        ["a", "bc"],
        ["x", None],
    ]
    matrix = np.arange(6, dtype=np.int32).reshape(3, 2)
    assert calls.returning([matrix], pa.list_(pa.list_(pa.int32(), 2), 3)).to_pylist() == [matrix.tolist()]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("at", [0, 7, 15, 16, 31, 36])
def test_lists_of_floats_are_copied_in_blocks(calls, kind, at):
    plain = [i / 3 - 5 for i in range(37)]
    expected = pa.array(plain, kind).to_pylist()
    for odd, as_float in [(float("inf"), float("inf")), (7, 7.0), (None, None), (np.float64(0.5), 0.5), (3e38, 3e38)]:
        values = [*plain[:at], odd, *plain[at + 1 :]]
        wanted = [*expected[:at], pa.scalar(as_float, kind).as_py(), *expected[at + 1 :]]
        assert calls.returning([plain, values, tuple(plain)], pa.list_(kind)).to_pylist() == [
            expected,
            wanted,
            expected,
        ]
    nan = calls.returning([[*plain[:at], float("nan"), *plain[at + 1 :]]], pa.list_(kind)).to_pylist()[0]
    assert [i for i, value in enumerate(nan) if value != value] == [at]
    if kind == pa.float32():
        error = calls.returning([[*plain[:at], -1e300, *plain[at + 1 :]]], pa.list_(kind)).error
        assert f"element {at} is -1e+300 (float): too large for float" in error


def test_lists_of_many_megabytes(calls):
    rows = [np.full(400_000, row, np.float32) for row in range(40)]
    out = calls.returning(rows, pa.list_(pa.float32()))
    assert np.array_equal(out.flatten().to_numpy(), np.concatenate(rows))


def test_lists_refused(calls):
    kind = pa.list_(pa.float32(), 3)
    assert "expected 3 elements, got 2" in calls.returning([[1, 2]], kind).error
    assert "expected 3 elements, got 4" in calls.returning([np.zeros(4, np.float32)], kind).error
    assert "2 dimensions, expected 1" in calls.returning([np.zeros((1, 3), np.float32)], kind).error
    assert "element 1 is 'x' (str): not a number" in calls.returning([[1, "x", 2]], kind).error
    for bad in ("abc", {1: 2}, {1, 2}, 5, np.float32(1), np.array(1.0)):
        assert "not a list, tuple or array" in calls.returning([bad], kind).error, bad
    assert "not a list" in calls.returning(["abc"], pa.list_(pa.string())).error


def test_a_list_that_changes_while_it_is_read(calls):
    class Eraser:
        def __init__(self, owner):
            self.owner = owner

        def __index__(self):
            self.owner.clear()
            return 1

    items = []
    items.extend([Eraser(items), 2, 3])
    assert "changed while it was read" in calls.returning([items], pa.list_(pa.int64())).error


class Point(typing.NamedTuple):
    y: float
    x: float


@dataclasses.dataclass
class DataPoint:
    x: float
    y: float


def test_structs(calls):
    kind = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    values = [
        {"y": 2, "x": 1},
        (1, 2),
        Point(x=1, y=2),
        DataPoint(1, 2),
        types.SimpleNamespace(x=1, y=2, z=3),
        types.MappingProxyType({"x": 1, "y": 2}),
        {"x": 1},
        None,
    ]
    both = {"x": 1, "y": 2}
    assert calls.returning(values, kind).to_pylist() == [both] * 6 + [{"x": 1, "y": None}, None]


def test_structs_refused(calls):
    kind = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    failure = calls.returning([{"x": 1, "yy": 2}], kind)
    assert "unknown field 'yy'" in failure.error and "x, y" in failure.error
    assert "expected 2 items, got 3" in calls.returning([(1, 2, 3)], kind).error
    assert "no attribute 'y'" in calls.returning([types.SimpleNamespace(x=1)], kind).error
    assert "field 'y' is 'a' (str): not a number" in calls.returning([{"x": 1, "y": "a"}], kind).error
    for bad in ("ab", 1, [1, 2], 1.5):
        assert "expected a dict, tuple" in calls.returning([bad], kind).error
    deep = pa.struct([("v", pa.list_(pa.int8()))])
    assert (
        "field 'v' is [1, 300] (list): element 1 is 300 (int): out of range"
        in calls.returning([([1, 300],)], deep).error
    )


def test_dataclasses_with_fields_that_pyarrow_converts(calls):
    kind = pa.struct([("x", pa.decimal128(5, 1)), ("y", pa.list_(pa.decimal128(5, 1)))])
    assert calls.returning([DataPoint(Decimal("1.5"), [Decimal("2.5"), None])], kind).to_pylist() == [
        {"x": Decimal("1.5"), "y": [Decimal("2.5"), None]}
    ]
    assert "field 'x' is 'no' (str)" in calls.returning([DataPoint("no", [])], kind).error


def test_times_from_other_objects(calls):
    moment = dt.datetime(2020, 5, 17, 12, 30, 15, 123456)
    for unit in ("s", "ms", "us", "ns"):
        values = [
            moment,
            moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30, seconds=7))),
            dt.datetime(1931, 2, 3, 4, 5, 6, 7),
            5,
        ]
        for kind in (pa.timestamp(unit), pa.timestamp(unit, "Europe/Paris")):
            assert calls.returning(values, kind).equals(pa.array(values, type=kind))
        spans = [dt.timedelta(days=-3, microseconds=1), dt.timedelta(0), 9]
        assert calls.returning(spans, pa.duration(unit)).equals(pa.array(spans, type=pa.duration(unit)))
    odd = moment.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1, microseconds=999_999)))
    assert calls.returning([odd], pa.timestamp("us")).to_pylist() == [
        odd.astimezone(dt.timezone.utc).replace(tzinfo=None)
    ]
    assert calls.returning(
        [np.datetime64("2020-01-01T00:00:05"), np.datetime64("NaT")], pa.timestamp("ms")
    ).to_pylist() == [
        dt.datetime(2020, 1, 1, 0, 0, 5),
        None,
    ]
    assert calls.returning([np.datetime64("2020-01-01T05"), moment], pa.date64()).to_pylist() == [
        dt.date(2020, 1, 1),
        dt.date(2020, 5, 17),
    ]
    assert calls.returning([np.timedelta64(5, "m")], pa.duration("s")).to_pylist() == [dt.timedelta(minutes=5)]


def test_times_refused(calls):
    failure = calls.returning([dt.datetime(1, 1, 1)], pa.timestamp("ns"))
    assert "out of range for timestamp[ns]" in failure.error and failure.type_name == "OverflowError"
    assert "timestamp[us]" in calls.returning(["2020-01-01"], pa.timestamp("us")).error
    assert "declared date32[day]" in calls.returning([1.5], pa.date32()).error
    assert calls.returning([dt.timedelta(1)], pa.time64("us")).failed_row == 0


def test_long_columns_grow(calls):
    rng = random.Random(3)
    values = ["x" * rng.randrange(2000) for _ in range(5000)]
    assert calls.returning(values, pa.string()).to_pylist() == values
    lists = [list(range(rng.randrange(300))) for _ in range(3000)]
    assert calls.returning(lists, pa.list_(pa.int32())).to_pylist() == lists
