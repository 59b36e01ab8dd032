"""Finds the columns that a function reads, and checks that they fit its arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from .argument_checks import closest
from .blob_column import check_blob_function
from .blob_inputs import is_blob, is_blob_path
from .errors import ColumnNotFoundError
from .function_signature import RECORD_BATCH, SCALAR, Argument
from .user_function import UserFunction

if TYPE_CHECKING:
    import pyarrow as pa


def column_paths(schema: pa.Schema) -> Iterator[str]:
    """Yield the paths of all columns, struct fields included."""
    import pyarrow as pa

    pending = [(field.name, field.type) for field in reversed(schema)]
    while pending:
        path, data_type = pending.pop()
        yield path
        if pa.types.is_struct(data_type):
            pending.extend(
                (f"{path}.{data_type.field(i).name}", data_type.field(i).type) for i in range(data_type.num_fields)
            )


def find_type(schema: pa.Schema, path: str) -> pa.DataType | None:
    """Return the type of a column or struct field, or None where there is none."""
    import pyarrow as pa

    if path in schema.names:
        return schema.field(path).type
    head, *rest = path.split(".")
    if head not in schema.names:
        return None
    data_type = schema.field(head).type
    for name in rest:
        if not pa.types.is_struct(data_type) or data_type.get_field_index(name) < 0:
            return None
        data_type = data_type.field(name).type
    return data_type


def no_such_column(argument: str, name: str, schema: pa.Schema, where: str) -> ColumnNotFoundError:
    """Return the error of a column that is not there, with the nearest one and all there are."""
    known = list(column_paths(schema))
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return ColumnNotFoundError(
        f"{argument}={name!r}: {where} has no such column.{closest(name, known)} Columns: {shown}"
    )


def resolve_input_columns(
    schema: pa.Schema, filled: Collection[str], function: UserFunction, columns: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return the columns that a function reads, checked against the table.

    Parameters
    ----------
    schema : pyarrow.Schema
        The table's columns.
    filled : collection of str
        The columns that the function fills.
    function : UserFunction
        Its argument names are the columns where nothing else was said.
    columns : tuple of str or None
        Explicit columns in argument order.

    Raises
    ------
    ColumnNotFoundError
        Where a column is missing.
    TypeError
        Where a column's type does not fit the argument's annotation.
    ValueError
        Where the number of columns is wrong, or the function would read a column it fills.
    """
    columns = columns if columns is not None else function.input_columns
    if function.kind == RECORD_BATCH:
        resolved = (
            columns
            if columns is not None
            else tuple(name for name in schema.names if name not in filled and not is_blob_path(schema, name))
        )
    elif columns is not None:
        resolved = columns
    else:
        resolved = function.arguments
        if not resolved:
            raise ValueError(
                f"every argument of function {function.name!r} has a default, so no column is bound by name; "
                "name the columns with input_columns=[…]"
            )
    implicit = columns is None
    bound = function.bind(resolved)
    for index, path in enumerate(resolved):
        data_type = find_type(schema, path)
        if path.split(".")[0] in filled:
            raise ValueError(
                f"input_columns={list(resolved)!r}: function {function.name!r} would read {path.split('.')[0]!r}, the "
                "column that it fills"
            )
        if data_type is None:
            error = no_such_column("input_columns", path, schema, "the table")
            hint = f" ({path!r} is an argument of function {function.name!r}; input_columns=[…] binds another column)"
            raise ColumnNotFoundError(str(error) + hint) if implicit else error
        if is_blob_path(schema, path):
            _check_blob(function, bound[index][1] if bound else None, path)
        elif bound:
            _check_type(function, bound[index][1], path, data_type)
    return resolved


def _check_blob(function: UserFunction, argument: Argument | None, path: str) -> None:
    if function.kind != SCALAR:
        raise TypeError(
            f"column {path!r} keeps blobs, which would have to be in memory for a whole batch; function "
            f"{function.name!r} takes batches: write it for one row, which gets each blob as a file"
        )
    annotated = argument.annotated if argument is not None else None
    if annotated is not None and annotated.name not in ("binary", "any"):
        raise TypeError(
            f"column {path!r} keeps blobs, but argument {argument.name if argument else ''!r} of function "
            f"{function.name!r} is annotated {annotated.text!r}; annotate it io.IOBase for a file to read from, or "
            "bytes for the whole content"
        )


def _check_type(function: UserFunction, argument: Argument, path: str, data_type: pa.DataType) -> None:
    refusal = function.input_refusal(argument, data_type)
    if refusal is not None:
        raise TypeError(
            f"column {path!r} is {data_type}, but argument {argument.name!r} of function {function.name!r} {refusal}"
        )


def check_output_type(
    column: str, column_type: pa.DataType, function: UserFunction, field: pa.Field | None = None
) -> None:
    """Raise ``TypeError`` unless the function's type is the column's; ``field``: of a column that is filled alone."""
    if field is not None and is_blob(field):
        check_blob_function(column, function)
        return
    if function.data_type != column_type:
        raise TypeError(
            f"column {column!r} is {column_type}, but function {function.name!r} makes {function.data_type}; "
            f"write @leman.udf(data_type=…) for {column_type}, or drop the column and add it again"
        )
