"""What libleman.so, the C++ API, calls in the interpreter that it hosts; not for Python programs.

Errors are those of the Python API, so that both have the same texts. ``python/bindings/host`` is the caller.
"""

from __future__ import annotations

import builtins
import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from . import errors, on_error
from .backfill_job import BackfillResult, CancelToken, run
from .native_function import NativeFunction, builtin_udf, native_udf
from .table import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from .connection import Connection
    from .job_runner import Plan
    from .jobs import Job


def table(connection: Connection, name: str, version: int | None) -> Table:
    """Return a table object of the caller's own, without a look at the storage."""
    return Table(connection, name, connection.table_uri(name), version)


def create_table(connection: Connection, name: str, stream: int, arguments: Mapping[str, Any]) -> Table:
    """Make a table of an Arrow C stream.

    Parameters
    ----------
    connection : Connection
        The database.
    name : str
        The table's name.
    stream : int
        Address of an ``ArrowArrayStream``, which is taken over.
    arguments : mapping
        Of ``Connection.create_table``.
    """
    check.table_name(name)
    import pyarrow as pa

    return connection.create_table(name, pa.RecordBatchReader._import_from_c(stream), **arguments)


def native_function(library: str | None, function: str, params: str, options: Mapping[str, Any]) -> NativeFunction:
    """Return a native function; without a library, one that comes with Leman.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As of :func:`leman.native_udf`, and where ``params`` is no JSON object.
    """
    try:
        parameters = json.loads(params)
    except ValueError as error:
        raise ValueError(f"params={params!r}: expected a JSON object, but {error}") from None
    if not isinstance(parameters, dict):
        raise ValueError(f"params={params!r}: expected a JSON object, got {type(parameters).__name__}")
    if library is None:
        return builtin_udf(function, params=parameters, **options)
    return native_udf(library, function, params=parameters, **options)


def matcher(action: str, names: list[str], arguments: Mapping[str, Any]) -> on_error.Matcher:
    """Return a matcher of ``on_error=``.

    Parameters
    ----------
    action : {"Retry", "Skip", "Fail"}
        Its class.
    names : list of str
        Names of exceptions, of Leman's and of Python's own.
    arguments : mapping
        Its other arguments.
    """
    made: on_error.Matcher = getattr(on_error, action)(*map(_exception, names), **arguments)
    return made


def _exception(name: str) -> type[BaseException]:
    found = getattr(errors, name, None) or getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    known = [entry for entry in (*vars(errors), *vars(builtins)) if entry.endswith("Error")]
    raise ValueError(f"errors: {name!r} is no exception of Leman or Python.{check.closest(name, known)}")


def backfill(
    filled: Table, column: str, arguments: Mapping[str, Any], progress: object, cancel: CancelToken
) -> BackfillResult:
    """Run a backfill; ``arguments`` are those of ``Table.backfill`` but for ``progress``."""
    from . import backfill_arguments
    from .progress import make_sink
    from .table import _backfill_defaults

    given = {**_backfill_defaults(), **arguments}
    del given["progress"]
    return run(backfill_arguments.prepare(filled, column, given), make_sink(progress), cancel)


def backfill_several(
    filled: Table, columns: list[str], arguments: Mapping[str, Any], progress: object, cancel: CancelToken
) -> list[BackfillResult]:
    """Fill several columns, each after those that its function reads."""
    from . import backfill_chain
    from .table import _backfill_defaults

    given = {**_backfill_defaults(), **arguments, "progress": progress}
    return backfill_chain.backfill_several(filled, columns, given, cancel)


def add_columns(changed: Table, function: NativeFunction, prefix: str) -> list[str]:
    """Add a column for each field of a function's result; return their names."""
    from .unpacked_function import UnpackedUDF

    unpacked = UnpackedUDF(function, prefix=prefix)
    changed.add_columns(unpacked)
    return unpacked.columns()


def plan(filled: Table, column: str, arguments: Mapping[str, Any]) -> Plan:
    """Return what a backfill would do."""
    planned: Plan = filled.plan_backfill(column, **arguments)
    return planned


def scan(read: Table, arguments: Mapping[str, Any]) -> pa.RecordBatchReader:
    """Return a reader of a table.

    Parameters
    ----------
    read : Table
        The table.
    arguments : mapping
        ``columns``, ``filter``, ``limit``, ``offset`` and ``batch_size``, each optional.

    Raises
    ------
    ColumnNotFoundError, TypeError, ValueError
        Where an argument is wrong.
    """
    from .input_columns import column_paths, no_such_column
    from .row_filter import check_filter

    given = dict(arguments)
    dataset = read.to_lance()
    if "columns" in given:
        known = set(column_paths(dataset.schema))
        for name in check.column_paths("columns", given["columns"]):
            if name not in known:
                raise no_such_column("columns", name, dataset.schema, f"the table (version {dataset.version})")
    given["filter"] = check_filter(dataset, given.get("filter"), "filter")
    for name, minimum in (("limit", 0), ("offset", 0), ("batch_size", 1)):
        given[name] = check.optional_integer(name, given.get(name), minimum=minimum)
    return dataset.scanner(**given).to_reader()


def jobs(connection: Connection, table_name: str | None, status: str | None) -> list[dict[str, Any]]:
    """Return the jobs' records as plain values."""
    return [_fields(entry) for entry in connection.list_jobs(table_name, status)]


def job(connection: Connection, job_id: str) -> dict[str, Any]:
    """Return a job's record as plain values."""
    return _fields(connection.get_job(job_id))


def cancel_job(connection: Connection, job_id: str) -> bool:
    """Ask a job's driver to stop; False where it is over."""
    from .jobs import request_cancel

    return request_cancel(connection.get_job(job_id), connection.storage_options)


def _fields(described: Job) -> dict[str, Any]:
    fields = dict(vars(described))
    for name, value in fields.items():
        if isinstance(value, datetime.datetime):
            fields[name] = value.timestamp()
    numbers = {key: value for key, value in described.metrics.items() if isinstance(value, (int, float))}
    return {**fields, "metrics": {key: float(value) for key, value in numbers.items()}}
