"""Functions stored beside a table: written signed, and run only when their author is trusted."""

from __future__ import annotations

import dataclasses
import hashlib
import sys

from .column_metadata import PLAN_OPTIONS, ColumnFunction
from .errors import UntrustedFunctionError
from .signing_key import config_folder, own_key, trusted_keys
from .table_files import TableFiles
from .user_function import UserFunction, pickle_function, restore


def store_function(
    files: TableFiles, function: UserFunction, input_columns: tuple[str, ...] | None, done_version: str | None
) -> ColumnFunction:
    """Write a function's payload beside the table and return its signed description.

    Parameters
    ----------
    files : TableFiles
        The table's own files.
    function : UserFunction
        What to store.
    input_columns : tuple of str or None
        Columns in argument order; None for the whole row.
    done_version : str or None
        See ``docs/formats/column_metadata.md``.
    """
    payload = pickle_function(function)
    digest = hashlib.sha256(payload).hexdigest()
    path = _payload_path(digest)
    # A damaged file of that name is put right too.
    if files.read(path) != payload:
        files.write(path, payload)
    key = own_key()
    described = ColumnFunction(
        name=function.name,
        version=function.version,
        kind=function.kind,
        input_columns=input_columns,
        payload=digest,
        signer=key.signer,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        done_version=done_version,
        options={name: getattr(function, name) for name in PLAN_OPTIONS if getattr(function, name) is not None},
    )
    return dataclasses.replace(described, signature=key.sign(described.message()))


def load_function(
    files: TableFiles, column: str, described: ColumnFunction, *, trust_stored_udfs: bool = False
) -> UserFunction:
    """Verify a stored function and load it.

    Raises
    ------
    UntrustedFunctionError
        Where its bytes are not the ones that were signed, or the signer is not trusted.
    FileNotFoundError
        Where the payload is gone.
    RuntimeError
        Where it is trusted but cannot be loaded here.
    """
    path = _payload_path(described.payload)
    payload = files.read(path)
    if payload is None:
        raise FileNotFoundError(
            f"column {column!r}: the stored function {described.name!r} is missing ({path}); pass the function as "
            "udf=, or register it again with alter_columns"
        )
    if hashlib.sha256(payload).hexdigest() != described.payload:
        raise UntrustedFunctionError(
            f"column {column!r}: the stored function {described.name!r} was changed after it was signed by "
            f"{described.signer!r} ({path} does not have the hash in its name); it is not run. Register the "
            "function again with alter_columns"
        )
    if not trust_stored_udfs:
        _check_signature(column, described)
    try:
        return restore(payload)
    except Exception as error:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = f"; it was stored by Python {described.python!r}, this is {here}" if described.python != here else ""
        raise RuntimeError(
            f"column {column!r}: the stored function {described.name!r} cannot be loaded here: "
            f"{type(error).__name__}: {error}{python}. Install what it imports, or pass the function as udf="
        ) from error


def _check_signature(column: str, described: ColumnFunction) -> None:
    signer = described.signer or "nobody"
    advice = (
        "pass your own function as udf=, or connect with trust_stored_udfs=True (--trust) if you trust everyone who "
        f"can write this table, or put the signer's key into {config_folder() / 'trusted_keys'}"
    )
    key = trusted_keys().get(described.signer.rsplit("/", 1)[-1])
    if key is None:
        raise UntrustedFunctionError(
            f"column {column!r}: the stored function {described.name!r} is signed by {signer!r}, a key that you do not "
            f"trust, so it is not run; {advice}"
        )
    if not key.verifies(described.message(), described.signature):
        raise UntrustedFunctionError(
            f"column {column!r}: the signature of the stored function {described.name!r} by {signer!r} is not valid "
            f"(its description was changed after signing), so it is not run; {advice}"
        )


def _payload_path(digest: str) -> str:
    return f"udfs/{digest}.pkl"
