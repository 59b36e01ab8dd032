"""Leman's own small files beside a table: function payloads, job records, cancel requests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .lance_errors import HostError

if TYPE_CHECKING:
    from .object_door import ObjectDoor


def local_path(uri: str) -> Path | None:
    """Return the folder that a URI names, or None for an object store."""
    if uri.startswith("file://"):
        from urllib.parse import unquote, urlparse

        return Path(unquote(urlparse(uri).path))
    # "C:\db" has no "://" either.
    return None if "://" in uri else Path(os.path.expanduser(uri))


class TableFiles:
    """Files under ``<table>.lance/_leman``, addressed by relative paths such as ``jobs/<id>.json``.

    Parameters
    ----------
    table_uri : str
        Where the table lies.
    storage_options : mapping of str to str
        For object stores.
    """

    def __init__(self, table_uri: str, storage_options: Mapping[str, str]) -> None:
        self.uri = table_uri.rstrip("/") + "/_leman"
        self._folder = local_path(self.uri)
        self._options = dict(storage_options)
        self._open_door: ObjectDoor | None = None

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is no such file."""
        if self._folder is not None:
            try:
                return (self._folder / path).read_bytes()
            except FileNotFoundError:
                return None
        try:
            return self._door().get(path)
        except HostError as error:
            if error.leman_kind == "not found":
                return None
            raise

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place as a whole: a reader sees the old content or the new, never a part."""
        if self._folder is None:
            self._door().put(path, content)
            return
        target = self._folder / path
        temporary = _written_beside(target, content)
        try:
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise

    def write_if_absent(self, path: str, content: bytes) -> bool:
        """Put a file in place as a whole unless there is one; return whether it was put."""
        if self._folder is None:
            try:
                self._door().put_if_absent(path, content)
            except HostError as error:
                if error.leman_kind != "already exists":
                    raise
                return self.read(path) == content
            return True
        target = self._folder / path
        temporary = _written_beside(target, content)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        return True

    def remove(self, path: str) -> None:
        """Remove a file; that it is gone already is no error."""
        if self._folder is not None:
            (self._folder / path).unlink(missing_ok=True)
        else:
            self._door().delete(path)

    def exists(self, path: str) -> bool:
        """Say whether there is such a file."""
        if self._folder is not None:
            return (self._folder / path).is_file()
        try:
            self._door().head(path)
            return True
        except HostError as error:
            if error.leman_kind == "not found":
                return False
            raise

    def names(self, folder: str, suffix: str) -> list[str]:
        """Return the names of the files of a folder that end with ``suffix``, sorted; none where it is missing."""
        if self._folder is None:
            found = [name for name, _, _ in self._door().entries(folder)]
        else:
            try:
                found = os.listdir(self._folder / folder)
            except (FileNotFoundError, NotADirectoryError):
                found = []
        return sorted(name for name in found if name.endswith(suffix) and not name.startswith("."))

    def _door(self) -> ObjectDoor:
        if self._open_door is None:
            from .object_door import open_door

            self._open_door = open_door(self.uri, self._options)
        return self._open_door


def _written_beside(target: Path, content: bytes) -> str:
    """Write a file under a temporary name in the folder of ``target``; return its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read; the table's own files follow the umask.
        os.chmod(temporary, 0o666 & ~_umask())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
