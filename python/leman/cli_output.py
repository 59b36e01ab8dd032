"""What the command line prints: tables for people, JSON for machines, errors in a line or two."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .errors import (
    ColumnNotFoundError,
    JobCancelledError,
    JobNotFoundError,
    KubernetesNotFoundError,
    LemanError,
    TableNotFoundError,
    UntrustedFunctionError,
)
from .secret_redaction import redact

if TYPE_CHECKING:
    from .jobs import Job
    from .table import Table

DONE, FAILED, USAGE, NOT_FOUND, UNTRUSTED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def exit_code(error: BaseException) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, (KeyboardInterrupt, JobCancelledError, click.Abort)):
        return INTERRUPTED
    if isinstance(error, UntrustedFunctionError):
        return UNTRUSTED
    if isinstance(error, (TableNotFoundError, ColumnNotFoundError, JobNotFoundError, KubernetesNotFoundError)):
        return NOT_FOUND
    if isinstance(error, LemanError):
        return FAILED
    return USAGE if isinstance(error, (ValueError, TypeError)) else FAILED


def print_error(error: BaseException, *, as_json: bool, with_traceback: bool) -> None:
    """Print an error to stderr."""
    if with_traceback:
        print(redact("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    message = redact(str(error)) or type(error).__name__
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        message = "interrupted"
    elif not isinstance(error, (LemanError, ValueError, TypeError)):
        message = f"{type(error).__name__}: {message}"
    if as_json:
        report = {"error": {"type": type(error).__name__, "message": message, "exit_code": exit_code(error)}}
        print(json.dumps(report), file=sys.stderr)
    else:
        print(f"leman: {message}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print aligned columns; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    for line, source in [(list(header), None), *zip(cells, rows, strict=True)]:
        padded = [
            text.rjust(width) if source is not None and isinstance(source[i], int) else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    # What a table says of itself must not move the terminal's cursor.
    return "".join(letter if letter.isprintable() else "�" for letter in str(value))


def plan_as_dict(plan: Any) -> Any:
    """Return a plan as JSON-ready values."""
    if hasattr(plan, "as_dict"):
        return plan.as_dict()
    if dataclasses.is_dataclass(plan) and not isinstance(plan, type):
        return dataclasses.asdict(plan)
    return {"plan": str(plan)}


def table_as_dict(table: Table) -> dict[str, Any]:
    """Describe a table and its columns; runs nothing that is stored in it."""
    from .checkpoint_place import existing_root
    from .column_metadata import read_column_function

    dataset = table.to_lance()
    columns = []
    for field in dataset.schema:
        column: dict[str, Any] = {"name": field.name, "type": str(field.type)}
        try:
            described = read_column_function(field)
        except ValueError as error:
            column["function_error"] = str(error)
        else:
            if described is not None:
                column["function"] = dataclasses.asdict(described)
                column["function"]["is_current"] = described.done_version == described.version
        columns.append(column)
    return {
        "name": table.name,
        "uri": table.uri,
        "version": dataset.version,
        "rows": dataset.count_rows(),
        "fragments": len(dataset.get_fragments()),
        "file_version": dataset.data_storage_version,
        "checkpoints": existing_root(table.connection, table.name),
        "columns": columns,
    }


def print_table(described: Mapping[str, Any]) -> None:
    """Print what :func:`table_as_dict` made."""
    print(f"{described['name']}: {described['rows']:,} rows in {described['fragments']:,} fragment(s), version "
          f"{described['version']}")  # fmt: skip
    if described["checkpoints"] is not None:
        print(f"checkpoints: {described['checkpoints']}")
    rows = []
    for column in described["columns"]:
        function = column.get("function")
        if function is None:
            rows.append([column["name"], column["type"], column.get("function_error", ""), "", "", ""])
            continue
        inputs = "whole row" if function["input_columns"] is None else ", ".join(function["input_columns"])
        text = f"{function['name']}({inputs})"
        rows.append([column["name"], column["type"], text, function["kind"], function["version"], function["signer"]])
    print_rows(["column", "type", "function", "kind", "function version", "signed by"], rows)


def print_jobs(jobs: Sequence[Job]) -> None:
    """Print jobs, one a line, and below why the failed ones failed."""
    if not jobs:
        print("No jobs.")
        return
    rows = [
        [job.job_id, f"{job.table_name}.{job.column}", job.status, _whole(job, "rows_computed"), job.launched_at]
        for job in jobs
    ]
    print_rows(["job", "column", "status", "rows computed", "launched (UTC)"], rows)
    for job in jobs:
        if job.status in ("FAILED", "LOST") and job.error:
            print(f"{job.job_id}: {_cell(_first_line(job.error))}")


def print_job(job: Job) -> None:
    """Print everything about one job."""
    for name, value in (
        ("job", job.job_id),
        ("column", f"{job.table_name}.{job.column}"),
        ("status", job.status),
        ("error", None if job.error is None else f"{job.error_type}: {job.error}"),
        ("function", f"{job.udf_name} {job.udf_version}".strip() or None),
        ("where", job.where),
        ("driver", None if job.driver_pid is None else f"process {job.driver_pid} on {job.driver_host}"),
        ("launched", job.launched_at),
        ("updated", job.updated_at),
        ("completed", job.completed_at),
    ):
        if value is not None:
            print(f"{name:<10} {_cell(value)}")
    for name, figure in job.metrics.items():
        print(f"  {_cell(name):<24} {_cell(figure)}")
    for event in job.events:
        print(f"  {_cell(event.get('timestamp'))}  {_cell(event.get('message'))}")


def print_cleaned(removed: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what went of each table, and in a dry run each file that would go or stay, and why."""
    for name, report in removed.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in report.items() if not isinstance(value, list)))
        for key, verb in (("would_remove", "remove"), ("would_keep", "keep")):
            for item in report.get(key, ()):
                print(f"  {verb} {item['file']}  {item['bytes']} bytes  ({item['reason']})")


def _whole(job: Job, metric: str) -> int | None:
    value = job.metrics.get(metric)
    return int(value) if isinstance(value, (int, float)) else None


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
