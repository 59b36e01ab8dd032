"""What @leman.udf accepts, infers and refuses."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import functools
import typing
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import leman

if TYPE_CHECKING:
    import decimal


def returning(annotation: Any) -> Any:
    def function(x: int) -> Any:
        return x

    function.__annotations__["return"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, pa.int64()),
        (float, pa.float64()),
        (bool, pa.bool_()),
        (str, pa.string()),
        (bytes, pa.binary()),
        (datetime.datetime, pa.timestamp("us")),
        (datetime.date, pa.date32()),
        (datetime.time, pa.time64("us")),
        (datetime.timedelta, pa.duration("us")),
        (Optional[int], pa.int64()),  # noqa: UP045
        (int | None, pa.int64()),
        ("int | None", pa.int64()),
        ("list[str]", pa.list_(pa.string())),
        (list[float], pa.list_(pa.float64())),
        (list[list[int]], pa.list_(pa.list_(pa.int64()))),
        (tuple[int, ...], pa.list_(pa.int64())),
        (collections.abc.Sequence[str], pa.list_(pa.string())),
        (list[int | None], pa.list_(pa.int64())),
        (np.float32, pa.float32()),
        (np.int8, pa.int8()),
        (np.uint16, pa.uint16()),
        (np.bool_, pa.bool_()),
        (np.float32 | None, pa.float32()),
        (list[np.float32], pa.list_(pa.float32())),
        (npt.NDArray[np.float32], pa.list_(pa.float32())),
    ],
)
def test_the_output_type_follows_from_the_return_annotation(annotation: Any, expected: pa.DataType) -> None:
    assert leman.udf(returning(annotation)).data_type == expected


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        (dict, "pa.struct"),
        (list, "list[str]"),
        (tuple[int, str], "annotate a NamedTuple"),
        (np.ndarray, "pa.list_(pa.float32(), 384)"),
        (Any, "data_type="),
        (int | str, "data_type="),
        ("decimal.Decimal", "data_type="),
        (None, "data_type="),
        (object, "data_type="),
    ],
)
def test_a_return_annotation_without_a_type_says_what_to_write(annotation: Any, advice: str) -> None:
    with pytest.raises(TypeError, match="function 'function'") as caught:
        leman.udf(returning(annotation))
    assert advice in str(caught.value)


def test_an_arrow_type_in_annotated_is_the_type() -> None:
    def vector(x: Annotated[int, "a note"]) -> Annotated[list[float], "a note", pa.list_(pa.float32(), 2)]:
        return [x, x]

    def pairs(x: int) -> list[Annotated[float, pa.float32()]]:
        return [x]

    assert leman.udf(vector).data_type == pa.list_(pa.float32(), 2)
    assert leman.udf(pairs).data_type == pa.list_(pa.float32())
    assert leman.udf(returning(Annotated[np.ndarray, pa.list_(pa.float16(), 3)])).data_type.list_size == 3


@pytest.mark.parametrize("annotation", ["pd.DataFrame", "pl.Series", pa.Table])
def test_data_frames_are_no_arguments(annotation: Any) -> None:
    def function(x):  # type: ignore[no-untyped-def]
        return x

    function.__annotations__ = {"x": annotation}
    with pytest.raises(TypeError, match=r"argument 'x' is annotated .*; take a pa\.Array .* pa\.RecordBatch"):
        leman.udf(data_type=pa.int64())(function)


def add(x: int, by: int) -> int:
    return x + by


def test_a_partial_is_the_function_with_its_arguments() -> None:
    three, four = (leman.udf(functools.partial(add, by=by)) for by in (3, 4))
    assert (three.name, three.arguments, three(1)) == ("add", ("x",), 4)
    assert three.version != four.version
    assert three.version == leman.udf(functools.partial(add, by=3)).version
    assert leman.udf(functools.partial(add, 3)).arguments == ("by",)


class Scaler:
    def __call__(self, x: int) -> int:
        return x

    def scale(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        (len, r"def f\(x: float\) -> float: return len\(x\)"),
        (np.sqrt, r"return sqrt\(x\)"),
        (functools.cache(add), r"return add\(x\)"),
        (Scaler(), r"leman\.udf\(Scaler\)\(…\)"),
        (Scaler().scale, r"Give Scaler a __call__ that does what scale\(\) does"),
        (3, "got int$"),
    ],
)
def test_a_callable_that_is_no_function_says_what_to_write(target: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        leman.udf(target)


def test_a_missing_return_annotation_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"no return annotation; write one \('-> int'\)"):

        @leman.udf
        def f(x):  # type: ignore[no-untyped-def]
            return x


def test_a_batch_function_needs_a_data_type() -> None:
    with pytest.raises(TypeError, match=r"returns a batch.*data_type="):

        @leman.udf
        def f(x: pa.Array) -> pa.Array:
            return x


def test_a_udf_stays_callable_and_keeps_its_name_and_docstring() -> None:
    @leman.udf
    def double(x: int) -> int:
        """Twice."""
        return 2 * x

    assert double(4) == 8
    assert double(x=4) == 8
    assert double.__doc__ == "Twice."
    assert double.name == double.__name__ == "double"
    assert (double.kind, double.arguments, double.input_columns) == ("scalar", ("x",), None)


def test_kinds_follow_from_the_argument_annotations() -> None:
    @leman.udf(data_type=pa.int64())
    def array(x: pa.Array, y: pa.Array) -> pa.Array:
        return x

    @leman.udf(data_type=pa.int64())
    def batch(rows: pa.RecordBatch) -> pa.Array:
        return rows["x"]

    assert array.kind == "array"
    assert batch.kind == "record_batch"
    assert array(pa.array([1]), pa.array([2])) == pa.array([1])


def test_annotations_that_are_known_to_type_checkers_only_do_not_matter() -> None:
    @leman.udf
    def f(x: decimal.Decimal) -> int:
        return int(x)

    assert f.data_type == pa.int64()


def test_arguments_with_a_default_are_bound_only_on_request() -> None:
    @leman.udf
    def scaled(x: int, factor: int = 3) -> int:
        return x * factor

    @leman.udf(input_columns=["a", "b"])
    def both(x: int, factor: int = 3) -> int:
        return x * factor

    assert scaled.arguments == ("x",)
    assert both.arguments == ("x", "factor")


def test_all_options_are_kept() -> None:
    @leman.udf(
        data_type=pa.int32(),
        version="7",
        input_columns=["a"],
        num_cpus=0.5,
        num_gpus=1,
        memory=2**30,
        batch_size=10,
        checkpoint_size=20,
        min_checkpoint_size=5,
        max_checkpoint_size=50,
        task_size=100,
        timeout=datetime.timedelta(seconds=3),
        on_error=[leman.Skip(ValueError), leman.retry_all()],
        field_metadata={"unit": "m"},
        name="length",
    )
    def f(x: int) -> int:
        return x

    assert (f.data_type, f.version, f.input_columns, f.name) == (pa.int32(), "7", ("a",), "length")
    assert (f.num_cpus, f.num_gpus, f.memory, f.batch_size, f.checkpoint_size) == (0.5, 1.0, 2**30, 10, 20)
    assert (f.min_checkpoint_size, f.max_checkpoint_size, f.task_size, f.timeout) == (5, 50, 100, 3.0)
    assert [type(matcher) for matcher in f.on_error] == [leman.Skip, leman.Retry]
    assert f.field_metadata == {"unit": "m"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data_typ": pa.int64()}, TypeError, "'data_typ'. Did you mean 'data_type'?"),
        ({"data_type": int}, TypeError, "for int write data_type=pa.int64()"),
        ({"data_type": "float32"}, TypeError, "data_type='float32': expected a pyarrow.DataType"),
        ({"data_type": pa.field("x", pa.int64())}, TypeError, "write field.type"),
        ({"num_cpus": -1}, ValueError, "num_cpus=-1: expected a number >= 0"),
        ({"num_gpus": "1"}, TypeError, "num_gpus='1': expected a number >= 0, got str"),
        ({"num_cpus": float("nan")}, ValueError, "num_cpus=nan"),
        ({"memory": 0}, ValueError, "memory=0: expected an integer >= 1"),
        ({"memory": 1.5}, TypeError, "memory=1.5: expected an integer >= 1, got float"),
        ({"batch_size": 0}, ValueError, "batch_size=0: expected an integer >= 1"),
        ({"batch_size": True}, TypeError, "batch_size=True: expected an integer >= 1, got a bool"),
        (
            {"min_checkpoint_size": 5, "max_checkpoint_size": 4},
            ValueError,
            "min_checkpoint_size=5, max_checkpoint_size=4",
        ),
        ({"checkpoint_size": 5, "max_checkpoint_size": 4}, ValueError, "checkpoint_size=5: expected at most"),
        ({"timeout": 0}, ValueError, "timeout=0: expected a number > 0"),
        ({"version": 3}, TypeError, "version=3: expected a str"),
        ({"version": ""}, ValueError, "version='': expected a str that is not empty"),
        ({"input_columns": "x"}, TypeError, "input_columns='x': expected a list of column names, e.g. ['x']"),
        ({"input_columns": []}, ValueError, "input_columns=[]"),
        ({"input_columns": [1]}, TypeError, "1 is not a column name"),
        ({"input_columns": ["a", "b"]}, ValueError, "expected 1 columns for the arguments ['x']"),
        ({"on_error": ValueError}, TypeError, "on_error="),
        ({"on_error": [ValueError]}, TypeError, "is not a matcher"),
        ({"field_metadata": {"a": 1}}, TypeError, "field_metadata: expected a dict of str to str"),
        ({"field_metadata": {"leman.udf.name": "x"}}, ValueError, "keys that begin with 'leman.' are Leman's own"),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_was_expected(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:

        @leman.udf(**options)
        def f(x: int) -> int:
            return x

    assert message in str(caught.value)


def test_generators_are_refused_as_the_chunkers_that_are_not_there_yet() -> None:
    with pytest.raises(TypeError, match=r"'g' is a generator; .*chunkers\) are not there yet"):

        @leman.udf
        def g(x: int) -> int:
            yield x

    with pytest.raises(TypeError, match=r"'h' is a generator"):

        @leman.udf
        async def h(x: int) -> int:
            yield x


def test_an_async_function_is_of_one_row() -> None:
    @leman.udf(max_in_flight=5)
    async def f(x: int) -> int:
        return x

    assert (f.kind, f.is_async, f.max_in_flight) == ("scalar", True, 5)
    with pytest.raises(TypeError, match="'g' is async and takes whole batches; write an async function of one row"):

        @leman.udf(data_type=pa.int64())
        async def g(x: pa.Array) -> pa.Array:
            return x

    with pytest.raises(ValueError, match="max_in_flight=5: only for async functions, and 'h' is a plain def"):

        @leman.udf(max_in_flight=5)
        def h(x: int) -> int:
            return x


def test_a_class_is_async_as_a_whole() -> None:
    @leman.udf
    class Mixed:
        async def setup(self) -> None: ...

        def __call__(self, x: int) -> int:
            return x

    with pytest.raises(TypeError, match=r"'Mixed' has an async setup\(\), but its __call__ is a plain def"):
        Mixed()


class Box(typing.NamedTuple):
    width: int
    label: str | None


@dataclasses.dataclass
class Seen:
    box: Box
    scores: list[float]


class Row(typing.TypedDict):
    n: np.int32
    box: Seen


BOX = pa.struct([("width", pa.int64()), ("label", pa.string())])
SEEN = pa.struct([("box", BOX), ("scores", pa.list_(pa.float64()))])


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Box, BOX),
        (Seen | None, SEEN),
        (list[Box], pa.list_(BOX)),
        (Row, pa.struct([("n", pa.int32()), ("box", SEEN)])),
    ],
)
def test_a_struct_follows_from_a_class_with_fields(annotation: Any, expected: pa.DataType) -> None:
    def f(x: int): ...

    f.__annotations__["return"] = annotation
    assert leman.udf(f).data_type == expected


def test_a_field_without_a_type_says_what_to_write() -> None:
    @dataclasses.dataclass
    class Odd:
        a: int
        price: decimal.Decimal

    def f(x: int): ...

    f.__annotations__["return"] = Odd
    with pytest.raises(TypeError, match=r'data_type=pa.struct\(\[\("price", '):
        leman.udf(f)


def test_signatures_that_columns_cannot_be_bound_to_are_refused() -> None:
    def stars(*x: int) -> int:
        return 0

    def keywords(**x: int) -> int:
        return 0

    def keyword_only(*, x: int) -> int:
        return 0

    def nothing() -> int:
        return 0

    def mixed(x: pa.Array, y: int) -> pa.Array:
        return x

    def two(batch: pa.RecordBatch, y: int) -> pa.Array:
        return batch

    cases = [
        (stars, r"\*x cannot be bound"),
        (keywords, r"\*\*x cannot be bound"),
        (keyword_only, "keyword-only argument 'x'"),
        (nothing, "takes no argument"),
        (mixed, "argument 'y' is not annotated with pa.Array"),
        (two, "takes that one argument"),
    ]
    for function, message in cases:
        with pytest.raises(TypeError, match=message):
            leman.udf(data_type=pa.int64())(function)


@pytest.mark.parametrize("target", [len, 3, "f", "x".upper])
def test_what_is_no_function_is_refused(target: Any) -> None:
    with pytest.raises(TypeError, match="expected a function written with def"):
        leman.udf(target)


def test_a_udf_of_a_udf_is_refused() -> None:
    with pytest.raises(TypeError, match=r"already a UDF; apply @leman\.udf once"):
        leman.udf(leman.udf(returning(int)))


def test_numpy_arguments_are_known() -> None:
    @leman.udf
    def total(values: np.ndarray | None, x: int) -> float:
        return 0.0

    assert total.ndarray_arguments == {"values"}
