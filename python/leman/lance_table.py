"""The driver's door to a Lance table: what a plan needs to know of a version, and commits.

It holds no decision; those are the engine's. It implements the ports of ``src/table`` for the engine's binding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import lance_history
from .blob_inputs import is_blob
from .column_metadata import PREFIX
from .lance_errors import HostError, translate
from .lance_history import FragmentTuple, field_ids, files_of
from .unreadable_data import why_unreadable

if TYPE_CHECKING:
    import lance

    from .backfill_spec import BackfillSpec

_JOB_KEY = "leman.job"
_SEQUENCE_KEY = "leman.sequence"


class LanceTable:
    """One table version, for planning and committing one job.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The version that the job reads.
    spec : BackfillSpec
        The job.
    """

    def __init__(self, dataset: lance.LanceDataset, spec: BackfillSpec) -> None:
        self._dataset = dataset
        self._latest = dataset
        self._spec = spec
        self._where_columns = where_columns(spec.where, dataset.schema.names) - set(spec.columns)
        self._output_ids = field_ids(dataset, set(spec.columns))
        self._functions = _count_functions(dataset, spec.columns)
        self.where_reads_output = bool(where_columns(spec.where, spec.columns))

    @property
    def dataset(self) -> lance.LanceDataset:
        """The version that workers read."""
        return self._dataset

    def fragments(self) -> list[FragmentTuple]:
        """Return (id, physical rows, deleted rows, input files, where files, output file) of each fragment."""
        return self._describe(self._dataset, self._dataset.get_fragments())

    def _describe(self, dataset: lance.LanceDataset, fragments: Iterable[Any]) -> list[FragmentTuple]:
        inputs = field_ids(dataset, {path.split(".")[0] for path in self._spec.input_columns})
        where = field_ids(dataset, self._where_columns)
        gone = [column for column in self._spec.columns if column not in dataset.schema.names]
        if gone:
            raise HostError("not found", f"column {gone[0]!r} is no longer in the table")
        output = field_ids(dataset, set(self._spec.columns))
        # Lance gives the number of a dropped column to the next one that is made.
        if output != self._output_ids or _count_functions(dataset, self._spec.columns) < self._functions:
            names = ", ".join(map(repr, self._spec.columns))
            raise HostError(
                "not found", f"column {names} is no longer in the table: another of that name took its place"
            )
        described = []
        for fragment in fragments:
            metadata = fragment.metadata
            files = [(file.path, file.fields) for file in metadata.files]
            deleted = metadata.deletion_file.num_deleted_rows if metadata.deletion_file else 0
            physical = metadata.physical_rows
            described.append(
                (
                    int(metadata.id),
                    int(physical),
                    int(deleted or 0),
                    # A function without inputs depends on nothing but the rows themselves.
                    files_of(files, inputs) or (files[0][0] if files else ""),
                    files_of(files, where),
                    files_of(files, output),
                )
            )
        return described

    def count_selected(self, filter: str, fragment_ids: list[int]) -> dict[int, int]:
        """Count the live rows that ``filter`` selects in each fragment; reads the filter's columns."""
        import numpy as np

        counts: dict[int, int] = {}
        wanted = set(fragment_ids)
        fragments = [f for f in self._dataset.get_fragments() if f.fragment_id in wanted]
        try:
            scanner = self._dataset.scanner(columns=[], filter=filter, with_row_address=True, fragments=fragments)
            for batch in scanner.to_batches():
                addresses = batch.column("_rowaddr").to_numpy(zero_copy_only=False)
                ids, rows = np.unique(addresses >> np.uint64(32), return_counts=True)
                for fragment_id, count in zip(ids.tolist(), rows.tolist(), strict=True):
                    counts[fragment_id] = counts.get(fragment_id, 0) + count
        except Exception as error:
            fault = why_unreadable(self._dataset, fragment_ids, self._spec.storage_options)
            raise fault or translate(error, f"count the rows where {filter}") from error
        return counts

    def history_of(self, names: list[str]) -> tuple[list[lance_history.UpdateTuple], list[lance_history.RewriteTuple]]:
        """Return the updates and the rewrites that made these data files; see :func:`lance_history.history_of`."""
        return lance_history.history_of(self._dataset, names, self._spec, self._describe)

    def kept_order(self, version: int, from_ids: list[int], to_ids: list[int]) -> bool:
        """Say whether a rewrite left its rows in order; see :func:`lance_history.kept_order`."""
        columns = [*self._spec.input_columns, *sorted(self._where_columns), *self._spec.columns]
        return lance_history.kept_order(self._dataset, version, from_ids, to_ids, columns)

    def rows_now(self, rows: dict[int, list[int]], since_version: int) -> dict[int, list[int]]:
        """Return where rows of an earlier version lie now; see :func:`row_errors.rows_now`."""
        from .row_errors import rows_now

        try:
            return rows_now(self._dataset, rows, since_version, self._spec.columns, self._spec.input_columns)
        except HostError:
            raise
        except Exception as error:
            raise translate(error, f"find rows of table version {since_version} again") from error

    def move_to_latest(self) -> int:
        """Make the newest version the one that is planned on and read."""
        self._dataset = self._newest()
        return int(self._dataset.version)

    def latest_version(self) -> int:
        """Return the number of the newest version."""
        try:
            return int(self._latest.latest_version)
        except Exception as error:
            raise translate(error, "look for the table's newest version") from error

    def _newest(self) -> lance.LanceDataset:
        import lance

        try:
            return lance.dataset(self._spec.table_uri, storage_options=self._spec.storage_options or None)
        except Exception as error:
            raise translate(error, "open the table's newest version") from error

    def _at(self, version: int) -> lance.LanceDataset:
        if int(self._latest.version) != version:
            try:
                self._latest = self._latest.checkout_version(version)
            except Exception as error:
                raise translate(error, f"open table version {version}") from error
        return self._latest

    def inspect(self, version: int, fragment_ids: list[int]) -> list[FragmentTuple]:
        """Describe those of ``fragment_ids`` that ``version`` still has."""
        dataset = self._at(version)
        wanted = set(fragment_ids)
        return self._describe(dataset, (f for f in dataset.get_fragments() if f.fragment_id in wanted))

    def commit(self, read_version: int, updates: list[tuple[int, str, int]], job_id: str, sequence: int) -> int:
        """Replace the column's data file in fragments: (fragment id, file name, size in bytes) each."""
        import lance
        from lance.fragment import DataFile

        dataset = self._at(read_version)
        fields = _leaf_ids(dataset, self._spec.columns)
        major, minor = (int(part) for part in dataset.data_storage_version.split("."))
        groups = [
            lance.LanceOperation.DataReplacementGroup(
                fragment_id,
                DataFile(
                    path=name,
                    fields=fields,
                    column_indices=list(range(len(fields))),
                    file_major_version=major,
                    file_minor_version=minor,
                    file_size_bytes=size_bytes,
                ),
            )
            for fragment_id, name, size_bytes in updates
        ]
        transaction = lance.Transaction(
            read_version=read_version,
            operation=lance.LanceOperation.DataReplacement(groups),
            transaction_properties={_JOB_KEY: job_id, _SEQUENCE_KEY: str(sequence)},
        )
        try:
            self._latest = lance.LanceDataset.commit(
                dataset, transaction, storage_options=self._spec.storage_options or None
            )
        except Exception as error:
            failure = translate(error, "commit")
            if failure.leman_kind in ("internal", "retryable", "not found"):
                failure.leman_kind = "unknown outcome"
            raise failure from error
        return int(self._latest.version)

    def find_mark(self, since_version: int, job_id: str, sequence: int) -> int | None:
        """Return the version after ``since_version`` that this commit made, if it did."""
        newest = self._newest()
        for version in range(int(newest.version), since_version, -1):
            transaction = newest.read_transaction(version)
            marks = (transaction.transaction_properties or {}) if transaction is not None else {}
            if marks.get(_JOB_KEY) == job_id and marks.get(_SEQUENCE_KEY) == str(sequence):
                return version
        return None

    def changes(self, since_version: int, until_version: int) -> list[tuple[int, str, bool]]:
        """Return (version, operation, whether it moved rows) of the versions after ``since_version``."""
        found = []
        newest = self._at(until_version)
        for version in range(since_version + 1, until_version + 1):
            operation = lance_history.operation_of(newest, version)
            name = type(operation).__name__ if operation is not None else ""
            found.append((version, name, name == "Update" and lance_history.moves_rows(operation)))
        return found

    def mark_done(self, udf_version: str) -> None:
        """Remember on the column that data files without a record count as done for ``udf_version``."""
        from .column_definition import mark_done

        try:
            mark_done(self._newest(), self._spec.columns, udf_version)
        except Exception as error:
            failure = translate(error, "remember on the column that it is filled")
            if failure.leman_kind == "internal":
                failure.leman_kind = "unknown outcome"
            raise failure from error


def where_columns(where: str | None, names: Iterable[str]) -> set[str]:
    """Return those of ``names`` that an SQL filter mentions; a mention in a string counts too, which does no harm."""
    if not where:
        return set()
    words = set(re.findall(r"[^\W\d]\w*", where.lower()))
    return {
        name for name in names if name.lower() in words or (name.lower() in where.lower() and not name.isidentifier())
    }


def _count_functions(dataset: lance.LanceDataset, columns: Iterable[str]) -> int:
    """Return how many of ``columns`` have a stored function."""
    key = (PREFIX + "payload").encode()
    return sum(
        key in (dataset.schema.field(column).metadata or {}) for column in columns if column in dataset.schema.names
    )


def _is_packed(field: Any) -> bool:
    metadata = field.metadata or {}
    return any(str(metadata.get(key, "")).lower() == "true" for key in ("lance-encoding:packed", "packed"))


def _leaf_ids(dataset: lance.LanceDataset, columns: tuple[str, ...]) -> list[int]:
    """Field ids of columns in the order of their file's columns: leaves; in format 2.0 every node."""
    every_node = dataset.data_storage_version == "2.0"
    ids: list[int] = []

    def visit(field: Any, is_blob: bool = False) -> None:
        # One column each, though the type has children: where a blob of version 2 lies, and a packed struct.
        one = is_blob or _is_packed(field)
        children = [] if one else field.children()
        if every_node or not children:
            ids.append(field.id())
        for child in children:
            visit(child)

    by_name = {field.name(): field for field in dataset.lance_schema.fields()}
    for column in columns:
        visit(by_name[column], is_blob(dataset.schema.field(column)))
    return ids
