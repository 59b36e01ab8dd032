"""Where rows are now that earlier versions of a table had elsewhere.

Numbers of fragments are never given twice in the life of a table, so an address means one row, of whichever version it
is; only where others moved rows, the table's history has to say where to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import lance_history as history

if TYPE_CHECKING:
    import lance
    import numpy as np

    Addresses = np.ndarray[Any, np.dtype[np.uint64]]

UNTRACEABLE = "lie in fragments that were rewritten since and cannot be found again"
_NOBODY = 0xFFFFFFFFFFFFFFFF  # As an origin: a row that an update wrote, of which it is not known where it was before.


@dataclasses.dataclass
class FollowedRows:
    """Rows of earlier versions, at the newest one.

    Attributes
    ----------
    addresses : ndarray of uint64
        Where they are, as Lance's ``_rowaddr``. Where it is only known that an update moved some of them, all rows that
        it wrote are here.
    origins : ndarray of uint64
        Where each of them was, as it was asked for; all bits set where that is not known.
    updated : ndarray of uint64
        What was asked for and is somewhere among the rows with an unknown origin.
    lost : dict of str to int
        Of the rows that cannot be followed: what became of them, and how many. Rows that were deleted are nowhere.
    """

    addresses: Addresses
    origins: Addresses
    updated: Addresses
    lost: dict[str, int] = dataclasses.field(default_factory=dict)

    def copy(self) -> FollowedRows:
        """Return one that changes by itself."""
        return FollowedRows(self.addresses, self.origins, self.updated, dict(self.lost))

    def lose(self, chosen: np.ndarray[Any, np.dtype[np.bool_]], why: str) -> None:
        """Forget some rows, and count those of them that were asked for."""
        count = int((self.origins[chosen] != _NOBODY).sum())
        if count:
            self.lost[why] = self.lost.get(why, 0) + count
        self.drop(chosen)

    def drop(self, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        """Forget some rows."""
        self.addresses, self.origins = self.addresses[~chosen], self.origins[~chosen]


def follow(dataset: lance.LanceDataset, addresses: Addresses, since_version: int, columns: list[str]) -> FollowedRows:
    """Find rows again.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The newest version.
    addresses : ndarray of uint64
        The rows, as some version from ``since_version`` on had them.
    since_version : int
        From here on the table's history matters; it is looked at only where some of the rows are not where they were.
    columns : list of str
        Columns, or paths in them, by which it is proven that a rewrite kept the order of rows, where the table has no
        stable row ids.
    """
    import numpy as np

    asked = np.unique(np.asarray(addresses, dtype=np.uint64))
    rows = FollowedRows(asked, asked, np.empty(0, np.uint64))
    if bool(live_rows(dataset, asked).all()):
        return rows
    versions = range(max(since_version, int(dataset.version) - history.VERSIONS) + 1, int(dataset.version) + 1)
    operations = {version: history.operation_of(dataset, version) for version in versions}
    restored = {operation.version for operation in operations.values() if _name(operation) == "Restore"}
    first = rows.copy()
    kept: dict[int, FollowedRows] = {}
    for version, operation in operations.items():
        name = _name(operation)
        if name == "Rewrite":
            _follow_rewrite(rows, dataset, version, operation, columns)
        elif name == "Update" and history.moves_rows(operation):
            _follow_update(rows, dataset, version, operation)
        elif name == "Delete":
            rows.drop(np.isin(_fragments_of(rows.addresses), operation.deleted_fragment_ids))
        elif name == "Overwrite":
            rows.lose(np.ones(len(rows.addresses), bool), f"are gone: table version {version} replaced all rows")
        elif name == "Restore":
            rows = kept.get(operation.version, first).copy()
        if version in restored:
            kept[version] = rows.copy()
    present = np.array([fragment.fragment_id for fragment in dataset.get_fragments()], np.uint64)
    rows.lose(~np.isin(_fragments_of(rows.addresses), present), UNTRACEABLE)
    rows.drop(~live_rows(dataset, rows.addresses))
    return rows


def live_rows(dataset: lance.LanceDataset, addresses: Addresses) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say of each address whether a row is there."""
    import numpy as np

    return np.isin(addresses, _addresses_in(dataset, set(_fragments_of(addresses).tolist())))


def _name(operation: object) -> str:
    return type(operation).__name__


def _fragments_of(addresses: Addresses) -> Addresses:
    import numpy as np

    return addresses >> np.uint64(32)


def _addresses_in(dataset: lance.LanceDataset, ids: set[int]) -> Addresses:
    """Return the addresses of all live rows of fragments, sorted."""
    import numpy as np

    fragments = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id in ids]
    if not fragments:
        return np.empty(0, np.uint64)
    scanner = dataset.scanner(columns=[], with_row_address=True, fragments=fragments)
    parts = [batch.column("_rowaddr").to_numpy() for batch in scanner.to_batches()]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)


def _made(after: lance.LanceDataset, fragments: Iterable[Any]) -> list[tuple[int, int]]:
    """Return (fragment, physical rows) of what an operation made: numbers are given by the commit."""
    by_file = {file.path: fragment for fragment in after.get_fragments() for file in fragment.metadata.files}
    made = {by_file[file.path].fragment_id: by_file[file.path] for one in fragments for file in one.files}
    return [(number, int(fragment.metadata.physical_rows)) for number, fragment in made.items()]


def _follow_rewrite(
    rows: FollowedRows, dataset: lance.LanceDataset, version: int, operation: Any, columns: list[str]
) -> None:
    import numpy as np

    for group in operation.groups:
        old = [fragment.id for fragment in group.old_fragments]
        taken = np.isin(_fragments_of(rows.addresses), old)
        if not taken.any():
            continue
        try:
            before, after = dataset.checkout_version(version - 1), dataset.checkout_version(version)
            made = _made(after, group.new_fragments)
            in_order = history.kept_order(dataset, version, old, [number for number, _ in made], columns)
            # In table order within each, one fragment after the other: as they were written.
            live = [_addresses_in(before, {number}) for number in old] if in_order else []
        except (ValueError, OSError, KeyError) as error:
            history.raise_if_passing(error, f"read what table version {version} rewrote")
            in_order = False
        if not in_order:
            rows.lose(taken, UNTRACEABLE)
            continue
        source = np.concatenate(live)
        target = np.concatenate(
            [np.arange(count, dtype=np.uint64) + (np.uint64(number) << np.uint64(32)) for number, count in made]
        )
        _move(rows, taken, source, target)


def _move(rows: FollowedRows, taken: Any, source: Addresses, target: Addresses) -> None:
    """Move the rows ``taken`` from ``source`` to ``target``, row by row; those that are not in it were deleted."""
    import numpy as np

    order = np.argsort(source)
    at = np.searchsorted(source[order], rows.addresses[taken])
    found = at < len(source)
    found[found] = source[order][at[found]] == rows.addresses[taken][found]
    moved, origins = target[order[at[found]]], rows.origins[taken][found]
    rows.drop(taken)
    rows.addresses = np.concatenate([rows.addresses, moved])
    rows.origins = np.concatenate([rows.origins, origins])


def _follow_update(rows: FollowedRows, dataset: lance.LanceDataset, version: int, operation: Any) -> None:
    """An update deletes rows where they were and writes them to new fragments, in an order of its own."""
    import numpy as np

    touched = {fragment.id for fragment in operation.updated_fragments} | set(operation.removed_fragment_ids)
    concerned = np.isin(_fragments_of(rows.addresses), list(touched))
    if not concerned.any():
        return
    try:
        before, after = dataset.checkout_version(version - 1), dataset.checkout_version(version)
        left = np.setdiff1d(_addresses_in(before, touched), _addresses_in(after, touched), assume_unique=True)
        taken = concerned & np.isin(rows.addresses, left)
        if not taken.any():
            return
        made = {number for number, _ in _made(after, operation.new_fragments)}
        written = _addresses_in(after, made)
        if after.has_stable_row_ids and before.has_stable_row_ids:
            _, old, new = np.intersect1d(
                _row_ids(before, touched, left), _row_ids(after, made, written), return_indices=True
            )
            _move(rows, taken, left[old], written[new])
            return
    except (ValueError, OSError, KeyError) as error:
        history.raise_if_passing(error, f"read what table version {version} updated")
        rows.lose(concerned, UNTRACEABLE)
        return
    if len(written) != len(left):
        rows.lose(taken, f"were updated by table version {version}, which added other rows along with them")
        return
    rows.updated = np.concatenate([rows.updated, rows.origins[taken & (rows.origins != np.uint64(_NOBODY))]])
    rows.drop(taken)
    rows.addresses = np.concatenate([rows.addresses, written])
    rows.origins = np.concatenate([rows.origins, np.full(len(written), _NOBODY, np.uint64)])


def _row_ids(dataset: lance.LanceDataset, ids: set[int], addresses: Addresses) -> Addresses:
    """Return the stable row ids of live rows, in the order of ``addresses``, which are sorted."""
    import numpy as np

    fragments = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id in ids]
    table = dataset.scanner(columns=[], with_row_id=True, with_row_address=True, fragments=fragments).to_table()
    at = table.column("_rowaddr").to_numpy()
    chosen = np.isin(at, addresses)
    order = np.argsort(at[chosen])
    found: Addresses = table.column("_rowid").to_numpy()[chosen][order]
    return found
