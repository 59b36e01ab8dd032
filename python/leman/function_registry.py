"""Functions that this process bound to columns: used again without loading anything from the table."""

from __future__ import annotations

import os
import threading

from .table_files import local_path
from .user_function import UserFunction

_lock = threading.Lock()
_bound: dict[tuple[str, str], UserFunction] = {}


def remember(table_uri: str, column: str, function: UserFunction) -> None:
    """Note that this process bound a function to a column."""
    with _lock:
        _bound[_key(table_uri, column)] = function


def recall(table_uri: str, column: str, version: str) -> UserFunction | None:
    """Return the function bound here, if the column still has that version."""
    with _lock:
        function = _bound.get(_key(table_uri, column))
    return function if function is not None and function.version == version else None


def _key(table_uri: str, column: str) -> tuple[str, str]:
    folder = local_path(table_uri)
    return (table_uri if folder is None else os.path.realpath(folder), column)
