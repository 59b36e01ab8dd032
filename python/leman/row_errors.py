"""The rows that jobs skipped, as they are recorded beside the table (``docs/formats/error_record.md``)."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .column_groups import group_name
from .table_files import TableFiles

if TYPE_CHECKING:
    import lance

_Range = tuple[int, int]

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
    found: list[RowError] = []
    for _, record in _records(TableFiles(table_uri, storage_options), job_id):
        try:
            found.extend(_errors_of(record))
        except (KeyError, TypeError):
            continue
    return [
        error
        for error in found
        if (column_name is None or column_name in (error.column_name, *error.column_name.split(", ")))
        and (error_type is None or error_type in (error.error_type, error.error_type.rpartition(".")[2]))
    ]


def failed_rows(
    table_uri: str,
    storage_options: Mapping[str, str],
    dataset: lance.LanceDataset,
    columns: tuple[str, ...],
    where: str | None,
) -> dict[int, list[int]]:
    """Return the rows that jobs on ``columns`` skipped and that are live, null and selected by ``where`` still.

    Returns
    -------
    dict of int to list of int
        Fragment id → physical rows, sorted.

    Warns
    -----
    UserWarning
        Where recorded rows lie in fragments that are gone: they were moved, and cannot be told from others.
    """
    column = group_name(columns)
    recorded: dict[int, list[_Range]] = {}
    for _, record in _records(TableFiles(table_uri, storage_options), None):
        if record.get("column") == column:
            for fragment_id, first, end in _ranges_of(record):
                recorded.setdefault(fragment_id, []).append((first, end))
    fragments = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id in recorded]
    null = " AND ".join("`{}` IS NULL".format(name.replace("`", "``")) for name in columns)
    gone = set(recorded) - {fragment.fragment_id for fragment in fragments}
    if gone:
        rows_gone = sum(end - first for key in gone for first, end in recorded[key])
        warnings.warn(
            f"{rows_gone} of the rows of column {column!r} that were skipped lie in "
            "fragments that were rewritten since and cannot be found again; a backfill with where="
            f"'{null}' instead of retry_failed computes all rows that are null",
            stacklevel=4,
        )
    found: dict[int, set[int]] = {}
    if fragments:
        scanner = dataset.scanner(
            columns=[],
            filter=null if where is None else f"({where}) AND {null}",
            with_row_address=True,
            fragments=fragments,
        )
        for batch in scanner.to_batches():
            addresses = batch.column("_rowaddr").to_numpy()
            for fragment_id in set((addresses >> 32).tolist()):
                rows = addresses[addresses >> 32 == fragment_id] & 0xFFFFFFFF
                for first, end in recorded[fragment_id]:
                    chosen = rows[(rows >= first) & (rows < end)].tolist()
                    if chosen:
                        found.setdefault(fragment_id, set()).update(chosen)
    return {fragment_id: sorted(rows) for fragment_id, rows in found.items()}


def clear_errors(
    table_uri: str,
    storage_options: Mapping[str, str],
    column: str,
    job_id: str,
    rows: Mapping[int, list[int]],
) -> None:
    """Take ``rows``, which job ``job_id`` has computed again, out of the records of earlier jobs on ``column``."""
    files = TableFiles(table_uri, storage_options)
    done = {fragment_id: set(listed) for fragment_id, listed in rows.items()}
    for name, record in _records(files, None):
        if record.get("column") != column or record.get("job_id") == job_id:
            continue
        ranges = _ranges_of(record)
        left = [part for entry in ranges for part in _without(entry, rows.get(entry[0], ()))]
        if left == ranges:
            continue
        record["errors"] = [
            error for error in record["errors"] if error["row"] not in done.get(error["fragment_id"], ())
        ]
        record["rows"] = left
        record["rows_skipped"] = sum(end - first for _, first, end in left)
        if left:
            files.write(f"{_FOLDER}/{name}", (json.dumps(record, indent=1) + "\n").encode())
        else:
            files.remove(f"{_FOLDER}/{name}")


def _records(files: TableFiles, job_id: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    names = [f"{job_id}.json"] if job_id is not None else sorted(files.names(_FOLDER, ".json"))
    for name in names:
        content = files.read(f"{_FOLDER}/{name}")
        if content is None:
            continue
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and record.get("format") == 1:
            yield name, record


def _ranges_of(record: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Return (fragment, first row, last row + 1) of a record; none where it is not what it should be."""
    try:
        listed = record.get("rows")
        if listed is None:
            listed = [(error["fragment_id"], error["row"], error["row"] + 1) for error in record["errors"]]
        return [(int(fragment_id), int(first), int(end)) for fragment_id, first, end in listed]
    except (ValueError, KeyError, TypeError):
        return []


def _without(entry: tuple[int, int, int], removed: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    fragment_id, first, end = entry
    for row in removed:
        if first <= row < end:
            if first < row:
                yield fragment_id, first, row
            first = row + 1
    if first < end:
        yield fragment_id, first, end


def _errors_of(record: dict[str, Any]) -> list[RowError]:
    job = {
        "job_id": record["job_id"],
        "column_name": record["column"],
        "udf_name": record["udf_name"],
        "udf_version": record["udf_version"],
    }
    return [RowError(**job, **error) for error in record["errors"]]
