"""Functions that fill several columns: ``leman.Columns`` annotations and ``leman.UnpackedUDF``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import argument_checks as check
from .user_function import UserFunction, UserFunctionClass, as_user_function

if TYPE_CHECKING:
    import pyarrow as pa

Fields = TypeVar("Fields")


class Columns(Generic[Fields]):
    """Return annotation of a function that fills a column for each field: ``-> leman.Columns[Size]``.

    ``Size`` is a NamedTuple, dataclass or TypedDict; the function returns one, or a tuple in its order, or a dict.
    """


@dataclasses.dataclass(frozen=True)
class UnpackedUDF:
    """A function whose result becomes several columns, with names and inputs chosen here.

    Parameters
    ----------
    udf : UDF
        One that returns a struct, or is annotated ``-> leman.Columns[…]``.
    prefix : str
        Put before the name of each field to make the column's.
    input_columns : list of str, optional
        Columns for the arguments in order.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not of this kind.
    """

    udf: UserFunction | UserFunctionClass
    prefix: str = ""
    input_columns: list[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "udf", as_user_function("udf", self.udf))
        if not isinstance(self.prefix, str):
            raise TypeError(f"prefix={self.prefix!r}: expected a str, got {type(self.prefix).__name__}")
        if self.input_columns is not None:
            check.column_paths("input_columns", self.input_columns)
        self.field_names()

    @property
    def function(self) -> UserFunction:
        """The function."""
        assert isinstance(self.udf, UserFunction)
        return self.udf

    def field_names(self) -> list[str]:
        """Return the names of the fields of one result."""
        return struct_fields(self.function)

    def columns(self) -> list[str]:
        """Return the names of the columns that it fills."""
        return [self.prefix + name for name in self.field_names()]


def struct_fields(function: UserFunction) -> list[str]:
    """Return the names of the fields of one result.

    Raises
    ------
    TypeError
        Where results are no structs.
    """
    import pyarrow as pa

    data_type: pa.DataType = function.data_type
    if not pa.types.is_struct(data_type) or data_type.num_fields == 0:
        raise TypeError(
            f"function {function.name!r} returns {data_type}, one value; to fill several columns annotate it "
            "'-> leman.Columns[…]' with a NamedTuple, or write data_type=pa.struct([…])"
        )
    return [data_type.field(i).name for i in range(data_type.num_fields)]


def as_unpacked(value: Any) -> UnpackedUDF:
    """Return what ``add_columns(value)`` shall add, where it is a function that fills several columns.

    Raises
    ------
    TypeError
        Where it fills one, and so needs a name.
    """
    if isinstance(value, UnpackedUDF):
        return value
    function = as_user_function("add_columns", value)
    if not function.fills_columns:
        raise TypeError(
            f"add_columns({value!r}): the function fills one column, which needs a name: add_columns({{'column': "
            "udf}); for a column of each field of a struct write add_columns(leman.UnpackedUDF(udf))"
        )
    return UnpackedUDF(function)
