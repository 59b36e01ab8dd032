"""Where a table's checkpoints lie, if not in the table; see ``docs/formats/checkpoint_place.md``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from .errors import CorruptDataError
from .lance_errors import HostError
from .object_door import SCHEMES, open_remote
from .secret_redaction import redact
from .table_files import TableFiles, local_path

if TYPE_CHECKING:
    from .connection import Connection

VARIABLE = "LEMAN_CHECKPOINT_URI"
#: The folder of no computation, for what a driver shows its workers.
_NO_COMPUTATION = "0" * 32
_PLACE = "checkpoint_place.json"
_TABLE_ID = re.compile(r"[0-9a-f]{32}")
_EXPECTED = f"a folder, or {', '.join(f'{scheme}://bucket/prefix' for scheme in ('s3', 'gs', 'az'))}"


def given_place(checkpoint_uri: object) -> tuple[str, str] | None:
    """Return where checkpoints are to lie and what says so, the argument or the environment; None: in the table.

    Parameters
    ----------
    checkpoint_uri : object
        As the caller of ``leman.connect`` gave it.

    Raises
    ------
    TypeError, ValueError
        Where it is no folder or object store prefix.
    """
    if checkpoint_uri is None:
        value = os.environ.get(VARIABLE)
        return (_checked(value, VARIABLE), VARIABLE) if value else None
    if not isinstance(checkpoint_uri, (str, os.PathLike)):
        raise TypeError(f"checkpoint_uri={checkpoint_uri!r}: expected {_EXPECTED}, got {type(checkpoint_uri).__name__}")
    return _checked(str(os.fspath(checkpoint_uri)), "checkpoint_uri"), "checkpoint_uri"


def _checked(uri: str, source: str) -> str:
    shown = f"{source}={redact(uri)!r}"
    if not uri.strip() or uri != uri.strip():
        raise ValueError(f"{shown}: expected {_EXPECTED}")
    folder = local_path(uri)
    if folder is not None:
        path = os.path.abspath(folder)
        if os.path.isdir(os.path.join(path, "_versions")):
            raise ValueError(f"{shown} is a table; expected {_EXPECTED} where every table gets a folder of its own")
        if os.path.exists(path) and not os.path.isdir(path):
            raise ValueError(f"{shown} is a file; expected {_EXPECTED}")
        return path
    try:
        parsed = urlparse(uri)
        password, query = parsed.password, parsed.query or parsed.fragment
    except ValueError as error:
        raise ValueError(f"{shown}: {error}; expected {_EXPECTED}") from None
    if password is not None or query:
        raise ValueError(
            f"{source}={parsed.scheme}://…: credentials and settings do not belong into it; give them in "
            f"storage_options or the environment, and expected is {_EXPECTED}"
        )
    if parsed.scheme not in SCHEMES:
        raise ValueError(f"{shown}: expected {_EXPECTED}")
    if not parsed.netloc:
        raise ValueError(f"{shown} names no bucket: expected {_EXPECTED}")
    return uri.rstrip("/")


def root_for_job(connection: Connection, name: str, *, for_plan: bool = False) -> str | None:
    """Return the folder that holds the checkpoints of a table's jobs; None where that is the table itself.

    Parameters
    ----------
    connection : Connection
        Of the table.
    name : str
        The table's name.
    for_plan : bool
        Write nothing: of a table that has no folder yet, return one that nothing lies in.

    Raises
    ------
    OSError
        Where nothing can be written there.
    CorruptDataError
        Where the table's record of its folder cannot be read.
    """
    if connection.checkpoint_uri is None:
        return None
    files = TableFiles(connection.table_uri(name), connection.storage_options)
    table_id = _table_id(files)
    if table_id is None:
        table_id = secrets.token_hex(16)
        content = json.dumps({"format": 1, "table_id": table_id}).encode()
        if not for_plan and not files.write_if_absent(_PLACE, content):
            table_id = _table_id(files)
    root = f"{connection.checkpoint_uri}/{name}-{table_id}"
    if not for_plan and root not in connection.proven_places:
        _prove(connection, name, root)
        connection.proven_places.add(root)
    return root


def existing_root(connection: Connection, name: str) -> str | None:
    """Return the folder of a table where the connection's place may have one; None: the table has none."""
    if connection.checkpoint_uri is None:
        return None
    table_id = _table_id(TableFiles(connection.table_uri(name), connection.storage_options))
    return None if table_id is None else f"{connection.checkpoint_uri}/{name}-{table_id}"


def _table_id(files: TableFiles) -> str | None:
    content = files.read(_PLACE)
    if content is None:
        return None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        place = json.loads(content)
        if place["format"] == 1 and _TABLE_ID.fullmatch(place["table_id"]):
            return str(place["table_id"])
    raise CorruptDataError(
        f"{files.uri}/{_PLACE} does not say where the table's checkpoints lie: expected format 1 and a table_id. "
        "Without the file, the next job makes another one, and does not find the checkpoints of those before it"
    )


def _prove(connection: Connection, name: str, root: str) -> None:
    """Write who the folder belongs to."""
    uri, storage_options = connection.table_uri(name), connection.storage_options
    content = {"format": 1, "table_name": name, "table_uri": redact(uri)}
    try:
        TableFiles(root, storage_options).write("table.json", json.dumps(content).encode())
    except (OSError, HostError) as error:
        kind = ConnectionError if getattr(error, "leman_kind", "") == "retryable" else OSError
        raise kind(
            f"{connection.checkpoint_source}={connection.checkpoint_uri!r}: checkpoints cannot be written there: "
            f"{redact(str(error))}. Expected {_EXPECTED} that this process may write"
        ) from None


@contextlib.contextmanager
def shown_to_workers(root: str | None, job_id: str) -> Iterator[str | None]:
    """Hold a file by which workers see that a local folder is the one that the driver sees; yield its path."""
    if root is None or local_path(root) is None:
        yield None
        return
    files = TableFiles(root, {})
    path = f"checkpoints/{_NO_COMPUTATION}/tmp-{job_id}"
    files.write(path, json.dumps({"job_id": job_id}).encode())
    try:
        yield f"{files.uri}/{path}"
    finally:
        with contextlib.suppress(OSError):
            files.remove(path)
            os.rmdir(f"{files.uri}/checkpoints/{_NO_COMPUTATION}")


def remove_all(root: str, storage_options: Mapping[str, str]) -> None:
    """Remove a table's folder of checkpoints."""
    door = open_remote(root, storage_options)
    if door is None:
        shutil.rmtree(Path(root), ignore_errors=True)
        return
    for key, _ in door.pending_uploads("_leman"):
        door.delete(key)
    for key in door.all_keys():
        door.delete(key)
