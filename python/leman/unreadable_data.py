"""Why rows cannot be read: which data file is missing, cut short or forbidden, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .lance_errors import HostError
from .object_door import open_door
from .table_files import local_path

if TYPE_CHECKING:
    import lance

_AGAIN = "then run the same backfill again"


def why_unreadable(
    dataset: lance.LanceDataset, fragment_ids: Iterable[int], storage_options: Mapping[str, str] | None
) -> HostError | None:
    """Look for the data file that is to blame for a failed read.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The version that was read.
    fragment_ids : iterable of int
        The fragments that were read.
    storage_options : mapping of str to str or None
        Of the object store.

    Returns
    -------
    HostError or None
        None where all of their files are there and whole: the fault may pass.
    """
    wanted = set(fragment_ids)
    for fragment in dataset.get_fragments():
        if fragment.fragment_id not in wanted:
            continue
        for file in fragment.metadata.files:
            # Files of a shallow clone lie in another table.
            if getattr(file, "base_id", None) is not None:
                continue
            fault = _fault(dataset.uri, f"data/{file.path}", file.file_size_bytes, storage_options)
            if fault is not None:
                return _explained(dataset, fragment.fragment_id, file, fault)
    return None


def _fault(
    uri: str, key: str, size_bytes: int | None, storage_options: Mapping[str, str] | None
) -> tuple[str, str] | None:
    """Return what is wrong with a file, in words, and the kind of that."""
    root = local_path(uri)
    try:
        if root is None:
            found = open_door(uri, dict(storage_options or {})).head(key)[0]
        else:
            with open(os.path.join(root, key), "rb") as opened:
                found = os.fstat(opened.fileno()).st_size
    except FileNotFoundError:
        return "is missing", "not found"
    except PermissionError as error:
        return f"cannot be read: {error.strerror}", "invalid argument"
    except HostError as error:
        return ("is missing", "not found") if error.leman_kind == "not found" else None
    except OSError:
        return None
    if size_bytes and found != size_bytes:
        return f"has {found} bytes, and the table's manifest says {size_bytes}", "corrupt"
    return None


def _explained(dataset: lance.LanceDataset, fragment_id: int, file: Any, fault: tuple[str, str]) -> HostError:
    what, kind = fault
    told = f"data file {dataset.uri.rstrip('/')}/data/{file.path} of fragment {fragment_id} {what}"
    if kind == "invalid argument":
        return HostError(kind, f"{told}; give the user that runs the job the right to read it, {_AGAIN}")
    if kind == "not found" and _was_cleaned_up(dataset, file.path):
        return HostError(
            "conflict",
            f"{told}: the table has moved on from version {dataset.version}, which the job reads, and that was cleaned "
            "up; run the same backfill again: it goes on from the newest version",
        )
    return HostError(
        kind,
        f"{told}; put the whole file back from a copy of the table, or take its rows out of the table (`restore()` an "
        f"earlier version, or delete them), {_AGAIN}",
    )


def _was_cleaned_up(dataset: lance.LanceDataset, path: str) -> bool:
    try:
        newest = dataset.checkout_version(dataset.latest_version)
        return all(file.path != path for fragment in newest.get_fragments() for file in fragment.metadata.files)
    except (ValueError, OSError):
        return False
