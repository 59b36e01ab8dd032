"""What a value of an installed package holds, as text that is equal for equal values on every machine.

For values that functions use as constants: dates, paths, tables of pandas. Of other objects (a model, a client) nothing
is said: what they hold cannot be told from how they came to be.
"""

from __future__ import annotations

import hashlib
import pathlib
import re
import sys
from typing import Any

_TOLD_BY_REPR = ("datetime", "decimal", "fractions", "ipaddress", "uuid", "zoneinfo")


def value_digest(value: Any) -> tuple[str, ...]:
    """Return texts that tell ``value`` from others of its class; none where its class is not known.

    Parameters
    ----------
    value : object
        Of a class that is not the user's own.
    """
    cls = type(value)
    package = cls.__module__.split(".")[0]
    if isinstance(value, re.Pattern):
        return (str(value.pattern), str(value.flags))
    if isinstance(value, pathlib.PurePath):
        return (value.name,)  # Its folder may be another one on another machine.
    if package in _TOLD_BY_REPR or isinstance(value, (range, slice)):
        return (repr(value),)
    if package == "numpy" and hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return (str(value.dtype), str(value.shape), _sha256(value.tobytes()))
    if package == "pyarrow":
        return _of_arrow(value)
    if package == "pandas":
        return _of_pandas(value)
    if package == "polars" and hasattr(value, "to_arrow"):
        return _of_arrow(value.to_arrow())
    return ()


def _of_arrow(value: Any) -> tuple[str, ...]:
    import pyarrow as pa

    if isinstance(value, (pa.DataType, pa.Field, pa.Schema)):
        return (str(value),)
    if isinstance(value, pa.Scalar):
        return (str(value.type), repr(value.as_py()))
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        value = pa.table({"": value})
    elif isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if not isinstance(value, pa.Table):
        return ()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, value.schema) as writer:
        for batch in value.combine_chunks().to_batches():
            writer.write_batch(batch)
    return (_sha256(sink.getvalue()),)


def _of_pandas(value: Any) -> tuple[str, ...]:
    pandas = sys.modules["pandas"]
    if isinstance(value, (pandas.Timestamp, pandas.Timedelta)):
        return (repr(value),)
    if not isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index)):
        return ()
    try:
        hashes = pandas.util.hash_pandas_object(value, index=True)
    except TypeError:  # Something in it has no hash: a list.
        return (repr(value.shape),)
    named = value.dtypes.to_string() if isinstance(value, pandas.DataFrame) else f"{value.name} {value.dtype}"
    return (named, _sha256(hashes.to_numpy().tobytes()))


def _sha256(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()
