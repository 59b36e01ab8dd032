"""Gathers what ``leman clean`` decides on: files, jobs, and what the versions of a table refer to.

The decision is the engine's (``src/job/cleanup.cc``); the rules are in ``docs/formats/leftovers.md``.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .column_metadata import PREFIX
from .jobs import Job, read_record
from .lance_errors import translate
from .object_door import open_remote
from .table_files import TableFiles, local_path

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .object_door import ObjectDoor

GRACE_S = 600.0
PAYLOAD_GRACE_S = 86400.0
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LEASE = re.compile(r"[0-9a-f]{16}")
_COMPUTATION = re.compile(r"[0-9a-f]{32}")
_DETACHED_MANIFEST = re.compile(r"d(\d+)\.manifest")
# Blobs beside a data file lie in a folder of its name.
_BLOBS_OF = "leman-"
_OWN_FOLDERS = ("jobs", "errors", "leases", "udfs")
_PAYLOAD_KEY = (PREFIX + "payload").encode()


@dataclasses.dataclass(frozen=True)
class _File:
    key: str
    size_bytes: int
    changed_micros: int


@dataclasses.dataclass
class _Listing:
    files: list[_File] = dataclasses.field(default_factory=list)
    emptied_folders: dict[Path, int] = dataclasses.field(default_factory=dict)

    def entries(self) -> list[tuple[str, int, int]]:
        return [(file.key, file.size_bytes, file.changed_micros) for file in self.files]

    def keys_before(self, micros: int) -> set[str]:
        return {file.key for file in self.files if file.changed_micros < micros}


def clean_table(
    table_uri: str,
    storage_options: Mapping[str, str] | None = None,
    dry_run: bool = False,
    *,
    jobs_older_than_days: float | None = None,
    checkpoint_root: str | None = None,
    grace_s: float = GRACE_S,
    payload_grace_s: float = PAYLOAD_GRACE_S,
) -> dict[str, Any]:
    """Remove what dead jobs left beside a table; safe beside running jobs.

    Parameters
    ----------
    table_uri : str
        The table.
    storage_options : mapping, optional
        For Lance.
    dry_run : bool
        Only say what would go.
    jobs_older_than_days : float, optional
        Remove the records of jobs that ended longer ago, too.
    checkpoint_root : str, optional
        Another folder of the table's checkpoints, to be looked through as the table itself.
    grace_s : float
        Data files of no version that are younger stay: a job on another machine may be about to commit them.
    payload_grace_s : float
        The same for stored functions.

    Returns
    -------
    dict
        ``files`` and ``bytes`` that went, and ``kept``: leftovers that may still be needed. With ``dry_run`` what would
        go, and the files one by one: ``would_remove`` and ``would_keep``, each with ``file``, ``bytes`` and ``reason``.

    Raises
    ------
    OSError
        Where files could not be removed; the others were.
    """
    table = _Site(table_uri, storage_options)
    elsewhere = None if checkpoint_root is None else _Site(checkpoint_root, storage_options)
    inputs, listing, listing_elsewhere = _gather(
        table.place, elsewhere, table_uri, storage_options or {}, grace_s, payload_grace_s
    )
    if jobs_older_than_days is not None:
        inputs["jobs_older_than_micros"] = _micros(jobs_older_than_days * 86400)
    cleaned = table.clean(inputs, listing, dry_run)
    if elsewhere is not None:
        # What else lies there is none of the table's; its leases were dealt with.
        files = [entry for entry in listing_elsewhere.entries() if entry[0].startswith("_leman/checkpoints/")]
        more = elsewhere.clean({**inputs, "files": files, "leases": []}, listing_elsewhere, dry_run)
        for items in (more.get("would_remove", ()), more.get("would_keep", ())):
            for item in items:
                item["file"] = f"{checkpoint_root}/{item['file']}"
        cleaned = {key: cleaned[key] + more[key] for key in cleaned}
    return cleaned


class _Site:
    """A folder or prefix with files of a table."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None) -> None:
        self._uri = uri
        self._root = local_path(uri)
        self._door = open_remote(uri, storage_options)
        self.place: _Place = _Bucket(self._door) if self._door is not None else _Folder(self._root or Path())

    def clean(self, inputs: dict[str, Any], listing: _Listing, dry_run: bool) -> dict[str, Any]:
        from . import _engine

        if dry_run:
            plan = _engine.plan_cleanup(inputs)
            return {
                "files": len(plan["remove"]),
                "bytes": sum(size for _, size, _ in plan["remove"]),
                "kept": len(plan["keep"]),
                "would_remove": [_described(item) for item in plan["remove"]],
                "would_keep": [_described(item) for item in plan["keep"]],
            }
        done = _engine.clean_table(str(self._root or ""), inputs, self._door)
        if not any(job["alive"] for job in inputs["jobs"]):
            _remove_empty(listing.emptied_folders, inputs["now_micros"] - inputs["grace_micros"])
        if done["failed"]:
            raise OSError(
                f"{self._uri!r}: {done['files']} leftover file(s) were removed, and {done['failed']} could not be: "
                f"{done['error']}"
            )
        return {"files": done["files"], "bytes": done["bytes"], "kept": len(done["keep"])}


def _described(item: tuple[str, int, str]) -> dict[str, Any]:
    return {"file": item[0], "bytes": item[1], "reason": item[2]}


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _gather(
    place: _Place,
    elsewhere: _Site | None,
    table_uri: str,
    storage_options: Mapping[str, str],
    grace_s: float,
    payload_grace_s: float,
) -> tuple[dict[str, Any], _Listing, _Listing]:
    # The order matters: a file that is committed meanwhile is not listed, or its job is seen, or it is referred to.
    listing = place.list_files()
    listing_elsewhere = _Listing() if elsewhere is None else elsewhere.place.list_files()
    now_micros = _micros(time.time())
    old = listing.keys_before(now_micros - _micros(GRACE_S))
    files = TableFiles(table_uri, storage_options)
    jobs = _read_jobs(files, old, table_uri)
    leases = _read_leases(files, old, jobs)
    try:
        dataset = _open(table_uri, storage_options)
        for job in jobs:
            _add_types(job, dataset)
        branches = list(_branches(dataset, place))
        old_payloads = {
            file.key.rpartition("/")[2][: -len(".pkl")]
            for file in listing.files
            if file.key.endswith(".pkl") and file.changed_micros <= now_micros - _micros(payload_grace_s)
        }
        inputs = {
            "now_micros": now_micros,
            "files": listing.entries(),
            "referred_data": {name for branch in branches for name in _referred_data(branch)},
            "referred_payloads": _referred_payloads(branches, old_payloads),
            "jobs": jobs,
            "leases": leases,
            "grace_micros": _micros(grace_s),
            "payload_grace_micros": _micros(payload_grace_s),
            "jobs_older_than_micros": None,
        }
    except Exception as error:
        raise translate(error, f"table {table_uri!r}: find what its versions refer to; nothing was removed") from error
    return inputs, listing, listing_elsewhere


class _Place(Protocol):
    """Where a table's files lie."""

    def list_files(self) -> _Listing: ...

    def names(self, folder: str) -> list[str]: ...


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def list_files(self) -> _Listing:
        """List what may be Leman's."""
        listing = _Listing()
        own = self._root / "_leman"
        folders = [self._root / "data", *(own / name for name in _OWN_FOLDERS)]
        for name, status in _entries(own / "checkpoints"):
            if stat.S_ISDIR(status.st_mode) and _COMPUTATION.fullmatch(name):
                folders.append(own / "checkpoints" / name)
                listing.emptied_folders[folders[-1]] = status.st_mtime_ns // 1000
        for name, status in _entries(self._root / "data"):
            if stat.S_ISDIR(status.st_mode) and name.startswith(_BLOBS_OF):
                folders.append(self._root / "data" / name)
                listing.emptied_folders[folders[-1]] = status.st_mtime_ns // 1000
        for folder in folders:
            prefix = folder.relative_to(self._root).as_posix()
            for name, status in _entries(folder):
                if stat.S_ISREG(status.st_mode):
                    # A checkpoint that becomes a data file under another name keeps its bytes' time; ctime tells.
                    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
                    if folder.name == "udfs":
                        changed_ns = status.st_mtime_ns
                    listing.files.append(_File(f"{prefix}/{name}", status.st_size, changed_ns // 1000))
        return listing

    def names(self, folder: str) -> list[str]:
        """Return the names of the entries of a folder."""
        return [name for name, _ in _entries(self._root / folder)]


class _Bucket:
    def __init__(self, door: ObjectDoor) -> None:
        self._door = door

    def list_files(self) -> _Listing:
        """List what may be Leman's, and uploads that nobody completed under the names that they were to have."""
        listing = _Listing()
        computations = [name for name in self._door.folders("_leman/checkpoints") if _COMPUTATION.fullmatch(name)]
        folders = ["data", *(f"_leman/{name}" for name in _OWN_FOLDERS)]
        folders += [f"_leman/checkpoints/{name}" for name in computations]
        folders += [f"data/{name}" for name in self._door.folders("data") if name.startswith(_BLOBS_OF)]
        for folder in folders:
            listing.files += [_File(f"{folder}/{name}", *rest) for name, *rest in self._door.entries(folder)]
        known = {file.key for file in listing.files}
        announced = self._door.announced_uploads(key for key in known if key.endswith(".upload"))
        for folder in ("data", "_leman/checkpoints"):
            for key, begun_micros in self._door.pending_uploads(folder, announced):
                if key not in known and key.rpartition("/")[0] in folders:
                    listing.files.append(_File(key, 0, begun_micros))
                    known.add(key)
        return listing

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects of a folder."""
        return [name for name, _, _ in self._door.entries(folder)]


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    # No file of Leman's has a name that is not text.
                    entry.name.encode()
                    yield entry.name, entry.stat(follow_symlinks=False)
                except (FileNotFoundError, UnicodeEncodeError):
                    continue
    except (FileNotFoundError, NotADirectoryError):
        return


def _read_jobs(files: TableFiles, old: set[str], table_uri: str) -> list[dict[str, Any]]:
    known = []
    for name in files.names("jobs", ".json"):
        job_id = name[: -len(".json")]
        content = files.read(f"jobs/{name}") if _JOB_ID.fullmatch(job_id) else None
        if content is not None:
            job = read_record(job_id, content, "", table_uri)
            known.append(_known_job(job, f"_leman/jobs/{name}" not in old))
    return known


def _known_job(job: Job, is_young: bool) -> dict[str, Any]:
    # What cannot be read may be the record of a newer Leman's job.
    unreadable = job.error_type == "CorruptRecord"
    alive = is_young if unreadable else not job.is_over
    launched = job.launched_at
    return {
        "job_id": job.job_id,
        "alive": alive,
        "launched_micros": None if unreadable or launched is None else _micros(launched.timestamp()),
        "column": job.column,
        "udf_version": job.udf_version,
        "where": job.where,
        "output_types": [],
        "read_version": job.read_version,
    }


def _add_types(job: dict[str, Any], dataset: lance.LanceDataset) -> None:
    # The record has no type; the column has the one it had in the version that the job read.
    read_version = job.pop("read_version")
    if not job["alive"]:
        return
    schemas = [dataset.schema]
    known = {entry["version"] for entry in dataset.version_refs()}
    if isinstance(read_version, int) and read_version in known:
        schemas.append(dataset.checkout_version(read_version).schema)
    job["output_types"] = sorted(
        {str(schema.field(job["column"]).type) for schema in schemas if job["column"] in schema.names}
    )
    if not job["output_types"]:
        job["launched_micros"] = None


def _read_leases(files: TableFiles, old: set[str], jobs: list[dict[str, Any]]) -> list[tuple[str, bytes, bool]]:
    """Return key, content and whether it is held of each lease; holders without a running record join ``jobs``."""
    running = {job["job_id"] for job in jobs if job["alive"]}
    leases = []
    for name in files.names("leases", ".json"):
        content = files.read(f"leases/{name}") if _LEASE.fullmatch(name[: -len(".json")]) else None
        if content is None:
            continue
        key = f"_leman/leases/{name}"
        holder = _known_job(_holder(content), key not in old)
        leases.append((key, content, holder["alive"]))
        if holder["alive"] and holder["job_id"] not in running:
            jobs.append(holder)
    return leases


def _holder(content: bytes) -> Job:
    """Return the job that holds a lease, judged as its record would be; of unknown start."""
    try:
        lease = json.loads(content)
        holder = lease["holder"]
        renewed = datetime.datetime.fromtimestamp(lease["renewed_at_us"] / 1e6, datetime.timezone.utc)
        job_id = str(lease["job_id"])
        record = {
            "format": lease["format"],
            "job_id": job_id,
            "status": "RUNNING",
            "updated_at": renewed.isoformat(),
            "driver": {
                "pid": holder["pid"],
                "host": holder["host"],
                "boot_id": holder.get("boot_id") or None,
                "start_ticks": holder.get("start_ticks") or None,
            },
        }
        return read_record(job_id, json.dumps(record).encode(), "", "")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError):
        return read_record("lease", b"", "", "")


def _open(table_uri: str, storage_options: Mapping[str, str]) -> lance.LanceDataset:
    import lance

    return lance.dataset(table_uri, storage_options=dict(storage_options) or None)


@dataclasses.dataclass(frozen=True)
class _Branch:
    newest: lance.LanceDataset
    place: _Place
    folder: str

    def detached(self) -> Iterator[lance.LanceDataset]:
        """Yield the versions that are in no line of versions; ``tracked_files`` passes them over."""
        for name in self.place.names(f"{self.folder}_versions"):
            found = _DETACHED_MANIFEST.fullmatch(name)
            if found:
                yield self.newest.checkout_version(int(found[1]))

    def versions(self) -> Iterator[lance.LanceDataset]:
        for entry in self.newest.version_refs():
            yield self.newest.checkout_version(entry["version"])
        yield from self.detached()


def _branches(dataset: lance.LanceDataset, place: _Place) -> Iterator[_Branch]:
    yield _Branch(dataset, place, "")
    for name in dataset.branches.list():
        # A dataset that was checked out says nothing of its folder.
        yield _Branch(dataset.checkout_version((name, None)), place, f"tree/{name}/")


def _referred_data(branch: _Branch) -> Iterator[str]:
    """Yield the names of the data files of every version of a branch; those that are not Leman's may be missing."""
    import pyarrow.compute as pc

    for batch in branch.newest.tracked_files():
        paths = batch.column("path")
        for path in pc.unique(paths.filter(pc.match_substring(paths, "leman-"))).to_pylist():
            yield path.rpartition("/")[2]
    for version in branch.detached():
        for fragment in version.get_fragments():
            yield from (file.path.rpartition("/")[2] for file in fragment.metadata.files)


def _referred_payloads(branches: list[_Branch], wanted: set[str]) -> set[str]:
    """Return the stored functions that the newest versions name, and those of ``wanted`` that any version names."""
    referred = {payload for branch in branches for payload in _payloads_of(branch.newest.schema)}
    for branch in branches:
        # Looking at every version takes its time, and mostly there is nothing to look for.
        for version in branch.versions() if wanted - referred else ():
            referred.update(_payloads_of(version.schema))
    return referred


def _payloads_of(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        payload = (field.metadata or {}).get(_PAYLOAD_KEY)
        if payload is not None:
            yield payload.decode(errors="replace")


def _remove_empty(folders: Mapping[Path, int], changed_before: int) -> None:
    for folder, changed_micros in folders.items():
        # One that has changed lately may be of a job that begins.
        if changed_micros <= changed_before:
            try:
                folder.rmdir()
            except OSError:
                continue
