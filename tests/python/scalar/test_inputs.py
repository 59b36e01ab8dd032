"""What functions are given: the objects of pyarrow's ``to_pylist()``, over every type, null and slice."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pyarrow as pa
import pytest
from samples import EVERY, array_of

KINDS = [pytest.param(kind, id=str(kind)) for kind in EVERY]


def same(left, right) -> bool:
    return repr(left) == repr(right) and type(left) is type(right)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nulls", [0.0, 0.3, 1.0])
def test_values_are_those_of_to_pylist(calls, kind, nulls):
    array = array_of(kind, 70, nulls=nulls)
    assert same(calls.seen(array), array.to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_the_column_and_of_the_batch(calls, kind):
    array = array_of(kind, 100)
    assert same(calls.seen(array.slice(13, 40)), array.slice(13, 40).to_pylist())
    seen = []
    batch = pa.record_batch({"x": array.slice(5)}).slice(9, 33)
    calls.ok(seen.append, batch, pa.int8())
    assert same(seen, array.slice(14, 33).to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_offset_of_the_struct_that_is_the_batch(calls, kind):
    column = array_of(kind, 60).slice(3)
    batch = pa.StructArray.from_arrays([column], ["x"]).slice(17, 25)
    seen = []
    calls.ok(seen.append, batch, pa.int8())
    assert same(seen, column.slice(17, 25).to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_empty(calls, kind):
    assert calls.seen(pa.array([], type=kind)) == []
    assert calls.seen(array_of(kind, 8).slice(8)) == []


def test_nested_offsets(calls):
    inner = pa.array([[1, 2], None, [], [3], [4, 5, 6], [7]], pa.list_(pa.int16())).slice(1)
    outer = pa.StructArray.from_arrays([inner, pa.array(list("bcdef"))], ["v", "s"]).slice(1, 3)
    assert same(calls.seen(outer), outer.to_pylist())
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(range(24)).slice(4), 5).slice(1, 3)
    assert same(calls.seen(fixed), fixed.to_pylist())


def test_arguments_keep_their_order(calls):
    batch = pa.record_batch({"a": [1, 2], "b": ["x", "y"], "c": [0.5, None]})
    out = calls.ok(lambda *row: repr(row), batch, pa.string())
    assert out.to_pylist() == ["(1, 'x', 0.5)", "(2, 'y', None)"]


def test_a_function_without_arguments(calls):
    batch = pa.record_batch({"a": [1, 2, 3]}).select([])
    assert calls.ok(lambda: 1, batch, pa.int8()).to_pylist() == [1] * batch.num_rows


def test_null_arguments_that_are_not_allowed(calls):
    batch = pa.record_batch({"a": pa.array([1, None, 3, None]), "b": pa.array([None, None, 5, 6])})
    got = []
    out = calls.ok(lambda a, b: got.append((a, b)) or a, batch, pa.int64(), skip_null=[True, False])
    assert out.to_pylist() == [1, None, 3, None]
    assert got == [(1, None), (3, 5)]
    assert calls.counts == {"calls": 2, "null_inputs": 2, "failed_rows": 0}
    out = calls.ok(lambda a, b: a + b, batch, pa.int64(), skip_null=[True, True])
    assert out.to_pylist() == [None, None, 8, None]
    assert calls.counts["null_inputs"] == 3


def test_unselected_rows_are_not_called(calls):
    batch = pa.record_batch({"a": [1, 2, 3, 4]})
    assert calls.ok(lambda a: a, batch, pa.int64(), selected=bytes([1, 0, 0, 7])).to_pylist() == [1, None, None, 4]
    assert calls.counts["calls"] == 2


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("make", [pa.list_, pa.large_list, lambda t: pa.list_(t, 3)])
def test_integers_as_ndarray(calls, name, make):
    values = [[1, 2, 3], None, [4, 5, 6], [7, 8, 9]]
    array = pa.array(values, make(pa.type_for_alias(name))).slice(1)
    seen = calls.seen(array, ndarray=[1])
    assert seen[0] is None
    assert [a.dtype.name for a in seen[1:]] == [name] * 2
    assert [a.tolist() for a in seen[1:]] == values[2:]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_floats_as_ndarray_with_nan_for_null(calls, kind):
    array = pa.array([[1.5, 2.5], [], [3.5, None]], pa.list_(kind))
    one, none, two = calls.seen(array, ndarray=[1])
    assert one.dtype == none.dtype == two.dtype == kind.to_pandas_dtype()
    assert one.tolist() == [1.5, 2.5] and len(none) == 0
    assert two[0] == 3.5 and np.isnan(two[1])


def test_other_ndarrays(calls):
    (ints,) = calls.seen(pa.array([[1, None]]), ndarray=[1])
    assert ints.dtype == np.float64 and np.isnan(ints[1])
    bools, with_null = calls.seen(pa.array([[True, False], [True, None]]), ndarray=[1])
    assert bools.dtype == np.bool_ and bools.tolist() == [True, False]
    assert with_null.dtype == object and with_null.tolist() == [True, None]
    (texts,) = calls.seen(pa.array([["a", "bcd"]]), ndarray=[1])
    assert texts.dtype == object and texts.tolist() == ["a", "bcd"]
    (matrix,) = calls.seen(pa.array([[[1, 2], [3, 4]]], pa.list_(pa.list_(pa.int64(), 2))), ndarray=[1])
    assert matrix.shape == (2, 2)


def test_an_ndarray_is_the_functions_own(calls):
    array = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))
    (seen,) = calls.seen(array, ndarray=[1])
    seen[0] = 99
    assert array.to_pylist() == [[1.0, 2.0]]
    del array
    gc.collect()
    assert seen.tolist() == [99, 2]


def test_an_ndarray_needs_a_list(calls):
    with pytest.raises(ValueError, match=r"'x'.*np.ndarray.*int64"):
        calls.seen(pa.array([1]), ndarray=[1])


def test_an_input_outside_of_python_fails_its_row_alone(calls):
    far = pa.array([0, 400_000_000, 1], pa.int32()).cast(pa.date32())
    failure = calls.fails(lambda x: 1, pa.record_batch({"x": far}), pa.int8())
    assert failure.kind == "user function" and failure.failed_row == 1
    assert "argument 'x' (date32[day])" in failure.error and failure.type_name == "OverflowError"
    out = calls.ok(lambda x: 1, pa.record_batch({"x": far}), pa.int8(), on_failure=lambda *_: "null")
    assert out.to_pylist() == [1, None, 1]
    nanos = pa.array([1000, 1001, 2000], pa.int64()).cast(pa.timestamp("ns"))
    assert calls.ok(lambda x: 1, pa.record_batch({"x": nanos}), pa.int8(), on_failure=lambda *_: "null").null_count <= 1


def test_extension_types_are_as_pyarrow_gives_them(calls):
    array = pa.array([b"0123456789abcdef", None], pa.uuid())
    assert calls.seen(array) == array.to_pylist()
    assert calls.returning(array.to_pylist(), pa.field("u", pa.uuid())).to_pylist() == array.to_pylist()


def test_the_input_outlives_the_batch(calls):
    kept = []
    calls.ok(kept.append, pa.record_batch({"x": pa.array(["a" * 50, "b"])}), pa.int8())
    gc.collect()
    assert kept == ["a" * 50, "b"]


TEXTS = [f"{'word ' * (i % 9)}{i:08d}" for i in range(60)]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_a_text_that_the_function_let_go_may_be_filled_again_and_one_that_it_kept_is_not(calls, kind):
    texts = [*TEXTS, "ä" * 20, None, "", "short", "x" * 700, *reversed(TEXTS), "ß" + "x" * 40, *TEXTS[:5]]
    kept: dict[str | None, int] = {}

    def keep_some(x):
        if x is not None and hash(x) % 3 == 0:
            kept[x] = kept.get(x, 0) + 1
        return f"{x}|{hash(x) == hash(str(x)[:] if x is None else ''.join(list(x)))}"

    made = calls.ok(keep_some, pa.record_batch({"x": pa.array(texts, kind)}), pa.string())
    assert [value.rpartition("|")[0] for value in made.to_pylist()] == [str(x) for x in texts]
    assert all(value.endswith("True") for value, x in zip(made.to_pylist(), texts, strict=True) if x is not None)
    assert sum(kept.values()) == sum(1 for x in texts if x is not None and hash(x) % 3 == 0)
    assert set(kept) <= set(texts)


@pytest.mark.parametrize("keep", [sys.intern, lambda x: x, lambda x: x[:], lambda x: (x,), lambda x: lambda: x])
def test_every_way_to_keep_a_text(calls, keep):
    kept = []
    calls.ok(lambda x: kept.append(keep(x)) or len(x), pa.record_batch({"x": TEXTS}), pa.int64())
    found = [k() if callable(k) else k[0] if isinstance(k, tuple) else k for k in kept]
    assert found == TEXTS


def test_interned_texts_stay_as_they_are_when_only_the_interpreter_knows_them(calls):
    calls.ok(lambda x: len(sys.intern(x)), pa.record_batch({"x": TEXTS}), pa.int64())
    assert [sys.intern("".join(list(x))) for x in TEXTS] == TEXTS
    assert calls.seen(pa.array(TEXTS)) == TEXTS


def test_the_same_text_as_result(calls):
    batch = pa.record_batch({"x": TEXTS, "y": TEXTS[::-1]})
    assert calls.ok(lambda x, y: x if len(x) > len(y) else y, batch, pa.string()).to_pylist() == [
        x if len(x) > len(y) else y for x, y in zip(TEXTS, TEXTS[::-1], strict=True)
    ]
