"""Classes as UDFs: built once in each worker, described here by class and arguments."""

from __future__ import annotations

import pyarrow as pa
import pytest

import leman
from leman.user_function import as_user_function, pickle_function, restore

BUILT: list[str] = []


@leman.udf(data_type=pa.int64())
class Scale:
    def __init__(self, factor: int, offset: int = 0) -> None:
        BUILT.append("Scale")
        self.factor = factor
        self.offset = offset
        self.ready = False

    def setup(self) -> None:
        self.ready = True

    def __call__(self, x: int) -> int:
        assert self.ready
        return x * self.factor + self.offset


@leman.udf
class Upper:
    def __call__(self, text: str) -> str:
        return text.upper()


def test_constructing_makes_a_udf_and_no_instance() -> None:
    BUILT.clear()
    scale = Scale(3, offset=1)
    assert isinstance(scale, leman.UserFunction)
    assert BUILT == []
    assert (scale.name, scale.kind, scale.arguments) == ("Scale", "scalar", ("x",))


def test_calling_it_builds_and_sets_up_one_instance() -> None:
    BUILT.clear()
    scale = Scale(3, offset=1)
    assert [scale(1), scale(2)] == [4, 7]
    assert BUILT == ["Scale"]


def test_each_instantiate_builds_a_new_instance() -> None:
    scale = Scale(2)
    first, second = scale.instantiate(), scale.instantiate()
    assert first is not second
    assert first(5) == 10


def test_an_instance_that_was_built_here_is_not_pickled() -> None:
    scale = Scale(2)
    scale(1)
    loaded = restore(pickle_function(scale))
    assert loaded._local_instance is None
    assert loaded.instantiate()(4) == 8


def test_a_class_without_arguments_may_be_given_as_the_class() -> None:
    assert as_user_function("udf", Upper)("a") == "A"


def test_a_class_with_arguments_must_be_constructed() -> None:
    with pytest.raises(TypeError, match=r"pass an instance, with its constructor arguments.*factor"):
        as_user_function("udf", Scale)


def test_wrong_constructor_arguments_are_found_at_once() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument .facto."):
        Scale(3, facto=3)
    with pytest.raises(TypeError, match=r"Upper\(\) takes no arguments"):
        Upper(1)


def test_a_class_without_call_is_refused() -> None:
    with pytest.raises(TypeError, match="class Empty has no __call__"):

        @leman.udf
        class Empty:
            pass


def test_constructor_arguments_are_part_of_the_version() -> None:
    assert Scale(2).version == Scale(2).version
    assert Scale(2).version != Scale(3).version
    assert Scale(2, offset=1).version != Scale(2).version


def test_a_decorated_class_can_be_derived_from() -> None:
    @leman.udf
    class Shout(Upper):
        def __call__(self, text: str) -> str:
            return super().__call__(text) + "!"

    assert Shout()("a") == "A!"
