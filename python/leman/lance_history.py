"""What a Lance table's history tells about files of a column: which updates and rewrites made them, from what.

It holds no decision; those are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .lance_errors import HostError, translate

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .backfill_spec import BackfillSpec

# (id, physical rows, deleted rows, input files, where files, output file)
FragmentTuple = tuple[int, int, int, str, str, str]
# (name, sets inputs, sets the output, the fragments that its rows came from, whether these are known)
UpdateTuple = tuple[str, bool, bool, list[FragmentTuple], bool]
# (version, fragments before, dropped rows of each, fragments after)
RewriteTuple = tuple[int, list[FragmentTuple], list[list[int]], list[FragmentTuple]]
Describe = Callable[["lance.LanceDataset", Iterable[Any]], list[FragmentTuple]]

# So far back history is looked at; each version costs the read of a small file.
VERSIONS = 1000
_RECORDED = "leman-"
_BATCH_ROWS = 8192
_BATCH_BYTES = 16 << 20
_PASSING = ("retryable", "invalid argument", "resource exhausted")


def history_of(
    dataset: lance.LanceDataset, names: list[str], spec: BackfillSpec, describe: Describe
) -> tuple[list[UpdateTuple], list[RewriteTuple]]:
    """Return the updates and rewrites that made data files, and those before them.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The version that is planned on.
    names : list of str
        Files of the output column there.
    spec : BackfillSpec
        The job.
    describe : callable
        Describes fragments of a version.
    """
    updates: list[UpdateTuple] = []
    rewrites: list[RewriteTuple] = []
    pending, newest = set(names), int(dataset.version)
    for version in range(newest, max(0, newest - VERSIONS), -1):
        if not pending:
            break
        operation = operation_of(dataset, version)
        made = pending & set(_made_files(operation))
        pending -= made
        if made and type(operation).__name__ == "Update" and moves_rows(operation):
            updates.extend(_updates(dataset, version, operation, made, spec, describe))
        elif made and type(operation).__name__ == "Rewrite":
            for group in _rewrites(dataset, version, operation, made, describe):
                rewrites.append(group)
                pending.update(info[5] for info in group[1] if info[5] and not info[5].startswith(_RECORDED))
    return updates, rewrites


def _updates(
    dataset: lance.LanceDataset, version: int, update: Any, made: set[str], spec: BackfillSpec, describe: Describe
) -> Iterator[UpdateTuple]:
    inputs = field_ids(dataset, {path.split(".")[0] for path in spec.input_columns})
    outputs = field_ids(dataset, set(spec.columns))
    every = {field.id() for field in dataset.lance_schema.fields()}
    # Named after what Lance does with it: the fields that the update set. A merge sets all of them.
    fields = set(update.fields_for_preserving_frag_bitmap or ())
    sets_inputs = not fields or not fields.isdisjoint(inputs)
    sets_output = not fields.isdisjoint(outputs) and not fields >= every
    sources = [] if sets_inputs else _sources(dataset, version, update, describe)
    for name in sorted(made):
        yield name, sets_inputs, sets_output, sources or [], sources is not None


def _sources(dataset: lance.LanceDataset, version: int, update: Any, describe: Describe) -> list[FragmentTuple] | None:
    """Return the fragments that an update took rows from, None where they are not known any more."""
    touched = {fragment.id for fragment in update.updated_fragments} | set(update.removed_fragment_ids)
    try:
        before = dataset.checkout_version(version - 1)
        return describe(before, (f for f in before.get_fragments() if f.fragment_id in touched))
    except Exception as error:
        raise_if_passing(error, f"read what table version {version} updated")
        return None


def _rewrites(
    dataset: lance.LanceDataset, version: int, operation: Any, made: set[str], describe: Describe
) -> Iterator[RewriteTuple]:
    """Yield the groups of a rewrite that made some of ``made``, as far as the version before it is still there."""
    groups = [group for group in operation.groups if made & set(_files_in(group.new_fragments))]
    try:
        before = _fragments(dataset.checkout_version(version - 1))
        after = _fragments(dataset.checkout_version(version))
        for group in groups:
            old = [before[fragment.id] for fragment in group.old_fragments]
            paths = [file.path for fragment in group.new_fragments for file in fragment.files]
            # Where their numbers are given by the commit, only their files tell which they are.
            by_file = {file.path: fragment for fragment in after.values() for file in fragment.metadata.files}
            new = list({by_file[path].fragment_id: by_file[path] for path in paths}.values())
            described = [describe(fragment._ds, [fragment])[0] for fragment in old]
            yield version, described, [_dropped(fragment) for fragment in old], [describe(f._ds, [f])[0] for f in new]
    except Exception as error:
        raise_if_passing(error, f"read what table version {version} rewrote")


def _fragments(dataset: lance.LanceDataset) -> dict[int, lance.LanceFragment]:
    return {fragment.fragment_id: fragment for fragment in dataset.get_fragments()}


def _dropped(fragment: lance.LanceFragment) -> list[int]:
    """Return the deleted physical rows of a fragment, in order."""
    import numpy as np

    if fragment.metadata.deletion_file is None:
        return []
    addresses = fragment.scanner(columns=[], with_row_address=True).to_table().column("_rowaddr").to_numpy()
    live = (addresses & np.uint64(0xFFFFFFFF)).astype(np.int64)
    dropped: list[int] = np.setdiff1d(np.arange(fragment.metadata.physical_rows), live).tolist()
    return dropped


def kept_order(
    dataset: lance.LanceDataset, version: int, from_ids: list[int], to_ids: list[int], columns: list[str]
) -> bool:
    """Say whether the rows of fragments that a rewrite made are those of the fragments before, in order.

    Stable row ids prove it where the table has them, else the values of ``columns``: all of them are read, before and
    after. False also where that is not possible any more.

    Parameters
    ----------
    dataset : lance.LanceDataset
        Any version of the table.
    version : int
        The version that the rewrite made.
    from_ids, to_ids : list of int
        Fragments of the version before and of this one.
    columns : list of str
        Columns, or paths in them, on which values depend.
    """
    try:
        before, after = dataset.checkout_version(version - 1), dataset.checkout_version(version)
        if after.has_stable_row_ids and before.has_stable_row_ids:
            return _same_rows(_rows(before, from_ids, None), _rows(after, to_ids, None))
        heads = list(dict.fromkeys(path.split(".")[0] for path in columns))
        return _same_rows(_rows(before, from_ids, heads), _rows(after, to_ids, heads))
    except Exception as error:
        raise_if_passing(error, f"compare the rows that table version {version} rewrote")
        return False


def _rows(dataset: lance.LanceDataset, ids: list[int], columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """Yield the live rows of fragments, in the order of ``ids``; without columns their stable row ids."""
    fragments = _fragments(dataset)
    scanner = dataset.scanner(
        columns=columns or [],
        with_row_id=columns is None,
        fragments=[fragments[id] for id in ids],
        scan_in_order=True,
        batch_size=_BATCH_ROWS,
        batch_size_bytes=_BATCH_BYTES,
    )
    yield from scanner.to_reader()


def _same_rows(old: Iterator[pa.RecordBatch], new: Iterator[pa.RecordBatch]) -> bool:
    """Compare two streams of rows, whatever their batches are."""
    a = b = None
    while True:
        a = a if a is not None and a.num_rows else next((batch for batch in old if batch.num_rows), None)
        b = b if b is not None and b.num_rows else next((batch for batch in new if batch.num_rows), None)
        if a is None or b is None:
            return a is None and b is None
        rows = min(a.num_rows, b.num_rows)
        left, right = a.slice(0, rows).columns, b.slice(0, rows).columns
        if not all(_bits(x).equals(_bits(y)) for x, y in zip(left, right, strict=True)):
            return False
        a, b = a.slice(rows), b.slice(rows)


def _bits(values: pa.Array) -> pa.Array:
    """Return numbers as the bits that they are, so that a NaN equals itself."""
    import pyarrow as pa

    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_floating(values.type):
        return values.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[values.type.bit_width])
    if pa.types.is_fixed_size_list(values.type) and values.null_count == 0:
        return _bits(values.flatten())
    return values


def operation_of(dataset: lance.LanceDataset, version: int) -> Any:
    """Return what made a version, None where the history does not go back so far."""
    try:
        transaction = dataset.read_transaction(version)
    except Exception as error:
        raise_if_passing(error, f"read what table version {version} changed")
        return None  # Versions that were cleaned up have no history any more.
    return transaction.operation if transaction is not None else None


def raise_if_passing(error: Exception, what: str) -> None:
    """Raise what may not be so the next time; what is gone stays gone."""
    failure = error if isinstance(error, HostError) else translate(error, what)
    if failure.leman_kind in _PASSING:
        raise failure from error


def moves_rows(update: Any) -> bool:
    """Say whether an update moved rows to new fragments."""
    return bool(update.updated_fragments or update.removed_fragment_ids)


def _made_files(operation: Any) -> Iterator[str]:
    """Yield the data files of the fragments that an operation added."""
    yield from _files_in(getattr(operation, "new_fragments", None) or ())
    if type(operation).__name__ in ("Append", "Overwrite"):
        yield from _files_in(operation.fragments)
    for group in getattr(operation, "groups", ()):
        yield from _files_in(group.new_fragments)


def _files_in(fragments: Iterable[Any]) -> Iterator[str]:
    for fragment in fragments:
        yield from (file.path for file in fragment.files)


def field_ids(dataset: lance.LanceDataset, columns: set[str]) -> set[int]:
    """Return the ids of columns and all that is in them."""
    ids: set[int] = set()
    pending = [field for field in dataset.lance_schema.fields() if field.name() in columns]
    while pending:
        field = pending.pop()
        ids.add(field.id())
        pending.extend(field.children())
    return ids


def files_of(files: list[tuple[str, list[int]]], ids: set[int]) -> str:
    """Return the names of those files that hold any of these fields."""
    return "|".join(path for path, fields in files if not ids.isdisjoint(fields))
