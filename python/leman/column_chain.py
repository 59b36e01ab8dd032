"""Columns whose functions read other columns that functions fill: the order to fill them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .column_groups import group_of, siblings
from .column_metadata import read_column_function

if TYPE_CHECKING:
    import pyarrow as pa


def dependency_order(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    """Return ``columns`` so that each comes after those of them that its function reads.

    Columns that a function fills together are one: the first that was named stands for them. What does not depend on
    each other stays in the order given; functions of the whole row come after all others.

    Raises
    ------
    ValueError
        Where columns depend on each other in a circle.
    """
    leaders: dict[str, str] = {}
    for column in columns:
        for member in group_of(schema, column):
            leaders.setdefault(member, column)
    wanted = list(dict.fromkeys(leaders[column] for column in columns))
    reads = {column: _inputs(schema, column) for column in wanted}
    order: list[str] = []
    for column in [*(c for c in wanted if reads[c] is not None), *(c for c in wanted if reads[c] is None)]:
        _visit(column, {c: inputs or frozenset() for c, inputs in reads.items()}, leaders, order, ())
    return order


def check_no_cycle(schema: pa.Schema, filled: tuple[str, ...], inputs: tuple[str, ...] | None) -> None:
    """Refuse inputs from which, over other columns' functions, ``filled`` are read again.

    Raises
    ------
    ValueError
        Naming the circle.
    """
    reads = {field.name: _inputs(schema, field.name) or frozenset() for field in schema}
    for column in filled:
        reads[column] = _top(inputs or ())
    leaders = {field.name: min(siblings(schema, field.name)) for field in schema}
    _visit(leaders[filled[0]], {leaders[c]: read for c, read in reads.items()}, leaders, [], ())


def _visit(
    column: str,
    reads: Mapping[str, frozenset[str]],
    leaders: Mapping[str, str],
    order: list[str],
    path: tuple[str, ...],
) -> None:
    if column in order:
        return
    if column in path:
        circle = " -> ".join([*path[path.index(column) :], column])
        raise ValueError(
            f"columns depend on each other in a circle, {circle} (each is read to fill the one before it); give one of "
            "them other input columns with alter_columns"
        )
    for name in sorted(reads.get(column, ())):
        if name in leaders:
            _visit(leaders[name], reads, leaders, order, (*path, column))
    order.append(column)


def _inputs(schema: pa.Schema, column: str) -> frozenset[str] | None:
    """Return the columns that a column's function reads; None for a function of the whole row."""
    described = read_column_function(schema.field(column))
    if described is None:
        return frozenset()
    return None if described.input_columns is None else _top(described.input_columns)


def _top(paths: tuple[str, ...]) -> frozenset[str]:
    return frozenset(path.split(".")[0] for path in paths)
