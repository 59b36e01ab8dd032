"""Fills several columns, one job after the other, each after those that its function reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import backfill_arguments, backfill_job
from .backfill_job import BackfillResult, CancelToken
from .column_chain import dependency_order
from .input_columns import no_such_column
from .progress import make_sink

if TYPE_CHECKING:
    from .table import Table


def backfill_several(table: Table, columns: Sequence[object], arguments: dict[str, Any]) -> list[BackfillResult]:
    """Run a job for each of ``columns`` (for those that one function fills, one job); see ``Table.backfill``.

    Every argument of every job is checked before the first job starts.

    Parameters
    ----------
    table : Table
        The table.
    columns : sequence
        ``col_name`` as the caller gave it.
    arguments : dict
        The other arguments of ``Table.backfill``.

    Returns
    -------
    list of BackfillResult
        In the order in which the jobs ran.

    Raises
    ------
    TypeError, ValueError
        Where an argument is wrong, or is for one column only, or columns depend on each other in a circle.
    """
    names = _checked_names(columns)
    for argument in ("udf", "input_columns"):
        if arguments[argument] is not None:
            raise ValueError(
                f"{argument}=…: for one column, and col_name={names!r} names several; give each column its function "
                "and inputs with alter_columns, or call backfill for each"
            )
    schema = table.schema
    for name in names:
        if name not in schema.names:
            raise no_such_column("col_name", name, schema, "the table")
    order = dependency_order(schema, names)
    if len(order) > 1 and arguments["job_id"] is not None:
        raise ValueError(f"job_id={arguments['job_id']!r}: names one job, and {order!r} are filled by a job each")
    if len(order) > 1 and arguments["read_version"] is not None:
        raise ValueError(
            f"read_version={arguments['read_version']!r}: for one column, and col_name={names!r} names several, of "
            "which each job reads what the one before it committed"
        )
    given = dict(arguments)
    progress = given.pop("progress")
    make_sink(progress)
    for column in order:
        backfill_arguments.prepare(table, column, given)
    results = []
    for column in order:
        request = backfill_arguments.prepare(table, column, given)
        results.append(backfill_job.run(request, make_sink(progress), CancelToken()))
    return results


def _checked_names(columns: Sequence[object]) -> list[str]:
    names = []
    for column in columns:
        if not isinstance(column, str):
            raise TypeError(f"col_name={list(columns)!r}: expected column names (str), got {type(column).__name__}")
        names.append(column)
    if not names:
        raise ValueError("col_name=[]: expected at least one column name")
    return names
