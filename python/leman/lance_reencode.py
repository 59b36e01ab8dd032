"""Merges files of the same columns by decoding and encoding again, with bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .blob_column import fills_blobs
from .blob_data_file import Watch, go_on, write_blob_data_file
from .lance_errors import translate
from .lance_worker import data_cache_bytes, file_schema
from .table_files import local_path

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .backfill_spec import BackfillSpec

_BATCH_ROWS = 8192
_READAHEAD_BATCHES = 2
_BATCH_BYTES = 16 << 20


def reencode(sources: list[str], output: str, dataset: lance.LanceDataset, spec: BackfillSpec, watch: Watch) -> int:
    """Write the values of ``sources``, in that order, into one file.

    Parameters
    ----------
    sources : list of str
        Paths or addresses of checkpoints.
    output : str
        The file to make; it appears complete or not at all.
    dataset : lance.LanceDataset
        For the columns' schema and the file version.
    spec : BackfillSpec
        For the columns of each file, and the options of the storage.
    watch : callable
        Told of bytes as they are written; False: stop.

    Returns
    -------
    int
        The bytes written.
    """
    from lance.file import LanceFileReader, LanceFileWriter

    options = spec.storage_options or None
    if fills_blobs(dataset, spec.columns):
        return write_blob_data_file(sources, *os.path.split(output), dataset, spec.columns[0], watch, options)
    # An object appears when its writer is closed; one that is dropped leaves nothing that a reader sees.
    is_local = local_path(output) is not None
    written = f"{output}.tmp" if is_local else output
    try:
        schema = file_schema(dataset, spec.columns)
        writer = LanceFileWriter(
            written,
            schema,
            version=dataset.data_storage_version,
            data_cache_bytes=data_cache_bytes(schema, dataset.data_storage_version),
            storage_options=None if is_local else options,
        )
        for source in sources:
            reader = LanceFileReader(source, storage_options=None if local_path(source) is not None else options)
            for batch in reader.read_all(batch_size=_BATCH_ROWS, batch_readahead=_READAHEAD_BATCHES).to_batches():
                writer.write_batch(batch)
                go_on(watch, batch.nbytes)
        writer.close()
        size_bytes = int(writer.size_bytes or (os.path.getsize(written) if is_local else 0))
        if is_local:
            os.replace(written, output)
        return size_bytes
    except Exception as error:
        if is_local and os.path.exists(written):
            os.unlink(written)
        raise translate(error, f"make data file {output}") from error


def take_rows(
    source: str,
    rows: list[tuple[int, int]],
    size_bytes: int,
    target: str,
    version: str,
    storage_options: dict[str, str],
    watch: Watch,
) -> int:
    """Write some rows of a checkpoint into a checkpoint of their own.

    Parameters
    ----------
    source, target : str
        Paths or addresses of files.
    rows : list of (int, int)
        Ranges of rows of ``source``, in order.
    size_bytes : int
        Of ``source``.
    version : str
        The table's file version.
    storage_options : dict
        Of the storage.
    watch : callable
        Told of bytes as they are written; False: stop.

    Returns
    -------
    int
        The size of the file.
    """
    from lance.file import LanceFileReader, LanceFileWriter

    options = storage_options if storage_options and local_path(source) is None else None
    try:
        reader = LanceFileReader(source, storage_options=options)
        schema: pa.Schema = reader.metadata().schema
        own = {k: v for k, v in (schema.metadata or {}).items() if k.startswith(b"leman.")}
        row_bytes = max(1, size_bytes // max(1, reader.num_rows()))
        batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // row_bytes))
        schema = schema.with_metadata({k: v for k, v in (schema.metadata or {}).items() if k not in own} or None)
        cache = data_cache_bytes(schema, version)
        writer = LanceFileWriter(target, schema, version=version, data_cache_bytes=cache, storage_options=options)
        first, end = rows[0][0], rows[-1][1]
        results = reader.read_range(
            first, end - first, batch_size=batch_rows, batch_readahead=_READAHEAD_BATCHES
        ).to_batches()
        at = first
        for batch in results:
            taken = _taken(batch, at, rows)
            at += batch.num_rows
            if taken.num_rows:
                writer.write_batch(taken)
            go_on(watch, taken.nbytes)
        for key, value in own.items():
            if key != b"leman.rows":
                writer.add_schema_metadata(key.decode(), value.decode())
        writer.close()
        return int(writer.size_bytes or os.path.getsize(target))
    except Exception as error:
        raise translate(error, f"take rows of {source}") from error


def _taken(batch: pa.RecordBatch, first: int, rows: list[tuple[int, int]]) -> pa.RecordBatch:
    """Return the rows of a batch, which begins at row ``first``, that lie in any of the ranges."""
    import numpy as np

    starts = np.array([start for start, _ in rows])
    ends = np.array([end for _, end in rows])
    numbers = np.arange(first, first + batch.num_rows)
    range_of = np.searchsorted(starts, numbers, side="right") - 1
    mask = (range_of >= 0) & (numbers < ends[range_of])
    return batch if mask.all() else batch.take(np.flatnonzero(mask))
