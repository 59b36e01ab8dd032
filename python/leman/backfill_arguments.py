"""From the arguments of ``Table.backfill`` to a ``BackfillSpec``: every error is raised here, before any work."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from . import argument_checks as check
from . import executors, function_registry
from .backfill_spec import BackfillSpec
from .blob_column import check_blob_filter
from .checkpoint_place import root_for_job
from .column_groups import group_name, group_of, group_type, is_group
from .column_metadata import ColumnFunction, read_column_function
from .function_options import check_sizes
from .function_resolution import DescribedFunction, column_function
from .function_signature import RECORD_BATCH
from .input_columns import check_output_type, no_such_column, resolve_input_columns
from .jobs import read_record
from .local_resources import fitting_workers
from .row_errors import failed_rows
from .row_filter import check_filter
from .user_function import UserFunction, as_user_function

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .table import Table


class _DefaultRows(int):
    """A default that can be told from the same number given by the caller."""


DEFAULT_BATCH_SIZE = _DefaultRows(10240)
_DEFAULT_SHUFFLE = 8


@dataclasses.dataclass(frozen=True)
class BackfillRequest:
    """A checked request: the spec, and the table at the version that the job reads."""

    spec: BackfillSpec
    dataset: lance.LanceDataset
    executor: executors.Executor | None = None


def new_job_id() -> str:
    """Return a new job id that sorts by time: ``20261123-101530-3f2a9c1e``."""
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def prepare(table: Table, column: object, arguments: Mapping[str, Any], *, for_plan: bool = False) -> BackfillRequest:
    """Check the arguments of a backfill against the table.

    Parameters
    ----------
    table : Table
        The table to fill.
    column : object
        ``col_name`` as the caller gave it.
    arguments : mapping
        The keyword arguments of ``Table.backfill``, without ``progress``.
    for_plan : bool
        Do not load the column's function: the spec then holds only its description, which cannot be called.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what was expected.
    UntrustedFunctionError
        Where the column's stored function may not be run.
    """
    given = dict(arguments)
    plain = _plain_arguments(given)
    executor = None if for_plan else executors.choose(given["executor"])
    if given["job_id"] is not None and not for_plan:
        _refuse_running_job(table, plain["job_id"])
    given.update(_checked_sizes(given))
    if not isinstance(column, str):
        raise TypeError(f"col_name={column!r}: expected a column name (str), got {type(column).__name__}")
    override = None if given["udf"] is None else as_user_function("udf", given["udf"])
    columns = None
    if given["input_columns"] is not None:
        columns = check.column_paths("input_columns", given["input_columns"])
    dataset = _snapshot(table, given["read_version"])
    schema = dataset.schema
    field = _field(schema, column, dataset.version)
    filled = group_of(schema, column)
    output_type = group_type(schema, filled)
    where = check_filter(dataset, given["where"])
    retry = _checked_retry(given)
    described = read_column_function(field)
    if override is None and described is None:
        column_function(table, column, None)
    _refuse_input_columns_of_a_whole_row(columns, override.kind if override else described.kind if described else "")
    function = override or _function(table, field, described, output_type, for_plan)
    check_output_type(group_name(filled), output_type, function, field)
    filters = "retry_failed=True" if retry else None if where is None else f"where={where!r}"
    check_blob_filter(field, dataset.data_storage_version, filters)
    recorded = described.input_columns if described is not None and override is None else None
    resolved = resolve_input_columns(schema, filled, function, columns if columns is not None else recorded)
    failed = None
    if retry:
        failed = failed_rows(table.uri, table.connection.storage_options, dataset, filled, resolved, where)
        where = None
    sizes = _sizes(given, function)
    if executor is None and not for_plan:
        plain["concurrency"] = fitting_workers(
            plain["concurrency"],
            plain["intra_applier_concurrency"],
            sizes["num_cpus"],
            sizes["num_gpus"],
            function.name,
        )
    spec = BackfillSpec(
        table_name=table.name,
        table_uri=table.uri,
        storage_options=table.connection.storage_options,
        read_version=dataset.version,
        columns=filled,
        output_type=output_type,
        unpacked=is_group(schema, column),
        udf=function,
        udf_version=function.version,
        input_columns=resolved,
        where=where,
        done_version=_done_version(described, function),
        checkpoint_root=root_for_job(table.connection, table.name, for_plan=for_plan),
        only_rows=None if failed is None else failed.rows,
        recorded_rows=None if failed is None else failed.recorded,
        **plain,
        **sizes,
    )
    return BackfillRequest(spec, dataset, executor)


def _refuse_running_job(table: Table, job_id: str) -> None:
    content = table.files.read(f"jobs/{job_id}.json")
    if content is None:
        return
    job = read_record(job_id, content, table.name, table.uri)
    if not job.is_over and job.status != "LOST":
        raise ValueError(
            f"job_id={job_id!r}: a job of that id is {job.status} (process {job.driver_pid} on {job.driver_host}); "
            "wait for it, cancel it, or choose another id"
        )


def _checked_retry(given: Mapping[str, Any]) -> bool:
    retry = given["retry_failed"]
    if not isinstance(retry, bool):
        raise TypeError(f"retry_failed={retry!r}: expected True or False, got {type(retry).__name__}")
    if retry and (given["num_frags"] is not None or given["skip_frags"]):
        raise ValueError(
            "retry_failed=True computes the rows that were skipped, wherever they are: leave out num_frags and "
            "skip_frags"
        )
    return retry


def _plain_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    diversity = given["task_shuffle_diversity"]
    job_id = given["job_id"]
    return {
        "job_id": new_job_id() if job_id is None else check.identifier("job_id", job_id),
        "concurrency": check.integer("concurrency", given["concurrency"], minimum=1),
        "intra_applier_concurrency": check.integer(
            "intra_applier_concurrency", given["intra_applier_concurrency"], minimum=1
        ),
        "refresh_status_secs": check.number("refresh_status_secs", given["refresh_status_secs"], above=0.0),
        "commit_granularity": check.optional_integer("commit_granularity", given["commit_granularity"], minimum=1),
        "task_shuffle_diversity": check.integer(
            "task_shuffle_diversity", _DEFAULT_SHUFFLE if diversity is None else diversity, minimum=1
        ),
        "num_frags": check.optional_integer("num_frags", given["num_frags"], minimum=1),
        "skip_frags": check.integer("skip_frags", given["skip_frags"], minimum=0),
        "timeout_s": check.optional_seconds("timeout", given["timeout"]),
        "stall_timeout_s": check.optional_seconds("stall_timeout", given["stall_timeout"]),
    }


def _checked_sizes(given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("batch_size", "checkpoint_size", "min_checkpoint_size", "max_checkpoint_size", "task_size", "memory")
    # Only this very object means "not given"; a caller's own 10240 fixes the size of checkpoints.
    values = {name: None if given[name] is DEFAULT_BATCH_SIZE else given[name] for name in names}
    sizes: dict[str, Any] = {name: check.optional_integer(name, value, minimum=1) for name, value in values.items()}
    check_sizes(sizes["min_checkpoint_size"], sizes["max_checkpoint_size"], sizes["checkpoint_size"])
    cpus_and_gpus = {name: check.optional_number(name, given[name], minimum=0.0) for name in ("num_cpus", "num_gpus")}
    placement = {
        "resources": {} if given["resources"] is None else check.custom_resources("resources", given["resources"]),
        "label_selector": {}
        if given["label_selector"] is None
        else check.label_selector("label_selector", given["label_selector"]),
    }
    return {**sizes, **cpus_and_gpus, **placement}


def _sizes(given: Mapping[str, Any], function: UserFunction) -> dict[str, Any]:
    minimum = _first(given["min_checkpoint_size"], function.min_checkpoint_size)
    maximum = _first(given["max_checkpoint_size"], function.max_checkpoint_size)
    check_sizes(minimum, maximum, given["checkpoint_size"])
    # A batch size that somebody chose is also a checkpoint's; the caller's choices come before the function's.
    fixed = _first(given["checkpoint_size"], given["batch_size"], function.checkpoint_size, function.batch_size)
    if fixed is not None:
        fixed = min(max(fixed, minimum or fixed), maximum or fixed)
    return {
        "batch_size": int(_first(given["batch_size"], function.batch_size, DEFAULT_BATCH_SIZE)),
        "checkpoint_rows": fixed,
        "min_checkpoint_rows": minimum,
        "max_checkpoint_rows": maximum,
        "task_rows": _first(given["task_size"], function.task_size),
        "num_cpus": _first(given["num_cpus"], function.num_cpus),
        "num_gpus": _first(given["num_gpus"], function.num_gpus),
        "memory_bytes": _first(given["memory"], function.memory),
        # One by one: a job may ask for more than its function does.
        "resources": {**getattr(function, "resources", {}), **given["resources"]},
        "label_selector": {**getattr(function, "label_selector", {}), **given["label_selector"]},
    }


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _snapshot(table: Table, read_version: object) -> lance.LanceDataset:
    dataset = table.to_lance()
    if read_version is None:
        return dataset
    version = check.integer("read_version", read_version, minimum=1)
    try:
        return dataset.checkout_version(version)
    except (ValueError, OSError) as error:
        if "not found" not in str(error):
            raise
    existing = _ranges(sorted(entry["version"] for entry in dataset.versions()))
    raise ValueError(f"read_version={version}: table {table.name!r} has no such version; it has {existing}")


def _ranges(numbers: list[int]) -> str:
    """Write sorted numbers shortly: ``1-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _field(schema: pa.Schema, column: str, version: int) -> pa.Field:
    if column not in schema.names:
        raise no_such_column("col_name", column, schema, f"the table (version {version})")
    return schema.field(column)


def _refuse_input_columns_of_a_whole_row(columns: tuple[str, ...] | None, kind: str) -> None:
    if columns is not None and kind == RECORD_BATCH:
        raise ValueError(
            f"input_columns={list(columns)!r}: not valid for a pa.RecordBatch UDF, which takes the columns it needs "
            "from its batch by name; input_columns is for scalar and pa.Array UDFs"
        )


def _function(
    table: Table, field: pa.Field, described: ColumnFunction | None, output_type: pa.DataType, for_plan: bool
) -> UserFunction:
    if for_plan and described is not None:
        # Planning asks a function for no more than the metadata says.
        here = function_registry.recall(table.uri, field.name, described.version)
        return here or cast("UserFunction", DescribedFunction.of(described, output_type))
    return column_function(table, field.name, described)


def _done_version(described: ColumnFunction | None, function: UserFunction) -> str | None:
    # A plain column's values are somebody's: only its nulls are to be filled.
    return function.version if described is None else described.done_version
