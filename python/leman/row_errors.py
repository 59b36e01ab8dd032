"""The rows that jobs skipped, as they are recorded beside the table (``docs/formats/error_record.md``)."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .column_groups import group_name
from .lance_errors import HostError
from .moved_rows import follow
from .table_files import TableFiles

if TYPE_CHECKING:
    import lance

_FOLDER = "errors"  # In the table's _leman folder.


@dataclasses.dataclass(frozen=True)
class RowError:
    """A row that a job left null because its function failed.

    Attributes
    ----------
    job_id, column_name, udf_name, udf_version : str
        The job, its column and function.
    fragment_id, row, row_address : int
        Where the row lay in ``table_version``: fragment, physical row in it, and both as Lance's ``_rowaddr``.
    error_type, error_message, traceback : str
        The exception; message and traceback are bounded.
    attempts : int
        How often the function was called on it.
    timestamp : str
        When, UTC.
    table_version : int or None
        The table version that the job read the row from; None where an older Leman did not record it. Compactions and
        updates may have moved the row since: ``open_table(name, version=error.table_version).to_lance()`` has it, with
        ``filter=f"_rowaddr = {error.row_address}"``.
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
    table_version: int | None = None

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


@dataclasses.dataclass(frozen=True)
class FailedRows:
    """What a job with ``retry_failed=True`` is about.

    Attributes
    ----------
    rows : dict of int to list of int
        Fragment id → physical rows, sorted, as the table has them now.
    recorded : dict of int to list of int
        The same as the records have them.
    """

    rows: dict[int, list[int]]
    recorded: dict[int, list[int]]


def failed_rows(
    table_uri: str,
    storage_options: Mapping[str, str],
    dataset: lance.LanceDataset,
    columns: tuple[str, ...],
    input_columns: tuple[str, ...],
    where: str | None,
) -> FailedRows:
    """Return the rows that jobs on ``columns`` skipped and that are live, null and selected by ``where`` still.

    Rows that others have moved since are found where they are now (``docs/formats/error_record.md``).

    Warns
    -----
    UserWarning
        Where recorded rows cannot be found again, or are no more.
    """
    import numpy as np

    column = group_name(columns)
    parts, since = [np.empty(0, np.uint64)], int(dataset.version)
    for _, record in _records(TableFiles(table_uri, storage_options), None):
        ranges = _ranges_of(record) if record.get("column") == column else []
        for fragment_id, first, end in ranges:
            parts.append(np.arange(first, end, dtype=np.uint64) + (np.uint64(fragment_id) << np.uint64(32)))
        if ranges:
            version = record.get("read_version")
            since = min(since, version if isinstance(version, int) and version > 0 else 1)
    rows = follow(dataset, np.concatenate(parts), since, [*input_columns, *columns])
    null = _null_condition(columns)
    for why, count in rows.lost.items():
        warnings.warn(
            f"{count} of the rows of column {column!r} that were skipped {why}; a backfill with where="
            f"'{null}' instead of retry_failed computes all rows that are null",
            stacklevel=4,
        )
    chosen = np.isin(
        rows.addresses, _selected(dataset, rows.addresses, null if where is None else f"({where}) AND {null}")
    )
    recorded = rows.origins[chosen]
    if where is None:
        recorded = np.concatenate([recorded, rows.updated])
    return FailedRows(_by_fragment(rows.addresses[chosen]), _by_fragment(recorded))


def rows_now(
    dataset: lance.LanceDataset,
    rows: Mapping[int, list[int]],
    since_version: int,
    columns: tuple[str, ...],
    input_columns: tuple[str, ...],
) -> dict[int, list[int]]:
    """Return where rows of version ``since_version`` lie now, as far as ``columns`` are null there."""
    import numpy as np

    parts = [np.array(listed, np.uint64) + (np.uint64(key) << np.uint64(32)) for key, listed in rows.items()]
    found = follow(dataset, np.concatenate([np.empty(0, np.uint64), *parts]), since_version, [*input_columns, *columns])
    if found.lost:
        told = "; ".join(f"{count} of the rows to retry {why}" for why, count in found.lost.items())
        raise HostError("conflict", f"{told}, while the job ran")
    addresses = found.addresses
    return _by_fragment(addresses[np.isin(addresses, _selected(dataset, addresses, _null_condition(columns)))])


def _null_condition(columns: tuple[str, ...]) -> str:
    return " AND ".join("`{}` IS NULL".format(name.replace("`", "``")) for name in columns)


def _selected(dataset: lance.LanceDataset, addresses: Any, filter: str) -> Any:
    """Return the addresses of the rows that ``filter`` selects in the fragments of ``addresses``."""
    import numpy as np

    ids = set(np.unique(addresses >> np.uint64(32)).tolist())
    fragments = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id in ids]
    if not fragments:
        return np.empty(0, np.uint64)
    scanner = dataset.scanner(columns=[], filter=filter, with_row_address=True, fragments=fragments)
    return np.concatenate(
        [np.empty(0, np.uint64), *(batch.column("_rowaddr").to_numpy() for batch in scanner.to_batches())]
    )


def _by_fragment(addresses: Any) -> dict[int, list[int]]:
    """Return fragment id → physical rows, sorted; without those that stand for no row."""
    import numpy as np

    known = np.unique(addresses[addresses != np.uint64(0xFFFFFFFFFFFFFFFF)])
    ids, firsts = np.unique(known >> np.uint64(32), return_index=True)
    rows = np.split((known & np.uint64(0xFFFFFFFF)).astype(np.int64), firsts[1:])
    return {int(key): listed.tolist() for key, listed in zip(ids.tolist(), rows, strict=False)}


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
    # What a later version adds is passed over.
    known = {field.name for field in dataclasses.fields(RowError)} - set(job)
    return [RowError(**job, **{name: error[name] for name in known & set(error)}) for error in record["errors"]]
