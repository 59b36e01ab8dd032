"""The rows that jobs skipped, as they are recorded beside the table (``docs/formats/error_record.md``)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from .table_files import TableFiles

_FOLDER = "errors"  # In the table's _leman folder.


@dataclasses.dataclass(frozen=True)
class RowError:
    """A row that a job left null because its function failed.

    Attributes
    ----------
    job_id, column_name, udf_name, udf_version : str
        The job, its column and function.
    fragment_id, row, row_address : int
        Where the row lies: fragment, physical row in it, and both as Lance's ``_rowaddr``.
    error_type, error_message, traceback : str
        The exception; message and traceback are bounded.
    attempts : int
        How often the function was called on it.
    timestamp : str
        When, UTC.
    """

    job_id: str
    column_name: str
    udf_name: str
    udf_version: str
    fragment_id: int
    row: int
    row_address: int
    error_type: str
    error_message: str
    traceback: str
    attempts: int
    timestamp: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a plain dict."""
        return dataclasses.asdict(self)


def read_errors(
    table_uri: str,
    storage_options: Mapping[str, str],
    *,
    job_id: str | None = None,
    column_name: str | None = None,
    error_type: str | None = None,
) -> list[RowError]:
    """Return the recorded rows, those of ``job_id``, ``column_name`` and ``error_type`` where given.

    A record that cannot be read is passed over: the rows themselves are null in any case.
    """
    files = TableFiles(table_uri, storage_options)
    names = [f"{job_id}.json"] if job_id is not None else sorted(files.names(_FOLDER, ".json"))
    found: list[RowError] = []
    for name in names:
        content = files.read(f"{_FOLDER}/{name}")
        if content is None:
            continue
        try:
            found.extend(_errors_of(json.loads(content)))
        except (ValueError, KeyError, TypeError):
            continue
    return [
        error
        for error in found
        if (column_name is None or error.column_name == column_name)
        and (error_type is None or error_type in (error.error_type, error.error_type.rpartition(".")[2]))
    ]


def _errors_of(record: dict[str, Any]) -> list[RowError]:
    if record["format"] != 1:
        raise ValueError("unknown format")
    job = {
        "job_id": record["job_id"],
        "column_name": record["column"],
        "udf_name": record["udf_name"],
        "udf_version": record["udf_version"],
    }
    return [RowError(**job, **error) for error in record["errors"]]
