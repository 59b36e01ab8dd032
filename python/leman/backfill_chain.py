"""Fills several columns, one job after the other, each after those that its function reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import backfill_arguments, backfill_job
from .backfill_job import BackfillResult, CancelToken
from .blob_column import fills_blobs
from .blob_inputs import blob_inputs
from .column_chain import dependency_order
from .input_columns import no_such_column
from .progress import make_sink

if TYPE_CHECKING:
    import lance

    from .backfill_arguments import BackfillRequest
    from .backfill_spec import BackfillSpec, Rider
    from .table import Table

_SHARING_KINDS = ("scalar", "array", "native")
_NEEDS = ("num_cpus", "memory_bytes", "resources", "label_selector")


def backfill_several(
    table: Table, columns: Sequence[object], arguments: dict[str, Any], cancel: CancelToken | None = None
) -> list[BackfillResult]:
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
    cancel : CancelToken, optional
        Stops the job that runs, and those after it.

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
    rode: dict[str, Rider] = {}
    for index, column in enumerate(order):
        request = backfill_arguments.prepare(table, column, given)
        later = [backfill_arguments.prepare(table, name, given) for name in order[index + 1 :] if name not in rode]
        riders = {rider.spec.columns: rider for rider in _riders(request, later)}
        rode.update({name: riders[c] for name in order for c in riders if name in c})
        spec = dataclasses.replace(request.spec, riders=tuple(riders.values()))
        result = backfill_job.run(dataclasses.replace(request, spec=spec), make_sink(progress), cancel or CancelToken())
        if column in rode:
            # What the job found is what another one has just computed for it.
            alongside = max(0, int(result.metrics["rows_resumed"]) - rode[column].rows_resumed)
            result.rows_computed += alongside
            result.metrics["rows_computed_alongside"] = alongside
        results.append(result)
    return results


def _riders(request: BackfillRequest, later: list[BackfillRequest]) -> list[Rider]:
    """Return the columns that the job of ``request`` can compute from the rows that it reads."""
    from .job_runner import as_rider

    leader = request.spec
    if not _may_share(leader, request.dataset):
        return []
    unfilled = {column for other in (request, *later) for column in other.spec.columns}
    found = []
    for other in later:
        spec = other.spec
        reads = {path.split(".")[0] for path in spec.input_columns}
        fits = not reads & unfilled and bool(set(spec.input_columns) & set(leader.input_columns))
        same_needs = all(getattr(spec, name) == getattr(leader, name) for name in _NEEDS)
        if fits and same_needs and not spec.udf.on_error and _may_share(spec, other.dataset):
            rider = as_rider(spec, other.dataset)
            if rider.fragment_keys:
                found.append(rider)
    return found


def _may_share(spec: BackfillSpec, dataset: lance.LanceDataset) -> bool:
    """Say whether a column's function can run in one process with others, on the same rows."""
    function = spec.udf
    plain = function.kind in _SHARING_KINDS and not function.is_async and function.timeout is None and not spec.num_gpus
    if not plain or spec.where is not None or spec.only_rows is not None:
        return False
    return not fills_blobs(dataset, spec.columns) and not blob_inputs(dataset.schema, spec.input_columns)


def _checked_names(columns: Sequence[object]) -> list[str]:
    names = []
    for column in columns:
        if not isinstance(column, str):
            raise TypeError(f"col_name={list(columns)!r}: expected column names (str), got {type(column).__name__}")
        names.append(column)
    if not names:
        raise ValueError("col_name=[]: expected at least one column name")
    return names
