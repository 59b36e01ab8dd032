"""Merges files of the same columns by decoding and encoding again, with bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .blob_column import fills_blobs
from .blob_data_file import Watch, go_on, write_blob_data_file
from .lance_errors import translate
from .lance_worker import data_cache_bytes, file_schema

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .backfill_spec import BackfillSpec

_BATCH_ROWS = 8192
_READAHEAD_BATCHES = 2
_BATCH_BYTES = 16 << 20


def reencode(
    paths: list[str], output_path: str, dataset: lance.LanceDataset, columns: tuple[str, ...], watch: Watch
) -> int:
    """Write the values of ``paths``, in that order, into one file.

    Parameters
    ----------
    paths : list of str
        Checkpoints.
    output_path : str
        The file to make; it appears complete or not at all.
    dataset : lance.LanceDataset
        For the columns' schema and the file version.
    columns : tuple of str
        The columns of each file.
    watch : callable
        Told of bytes as they are written; False: stop.

    Returns
    -------
    int
        The bytes written.
    """
    from lance.file import LanceFileReader, LanceFileWriter

    if fills_blobs(dataset, columns):
        return write_blob_data_file(paths, *os.path.split(output_path), dataset, columns[0], watch)
    temporary = f"{output_path}.tmp"
    try:
        schema = file_schema(dataset, columns)
        writer = LanceFileWriter(
            temporary,
            schema,
            version=dataset.data_storage_version,
            data_cache_bytes=data_cache_bytes(schema, dataset.data_storage_version),
        )
        with writer:
            for path in paths:
                reader = LanceFileReader(path)
                for batch in reader.read_all(batch_size=_BATCH_ROWS, batch_readahead=_READAHEAD_BATCHES).to_batches():
                    writer.write_batch(batch)
                    go_on(watch, batch.nbytes)
        size_bytes = int(writer.size_bytes or os.path.getsize(temporary))
        os.replace(temporary, output_path)
        return size_bytes
    except Exception as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise translate(error, f"make data file {output_path}") from error


def reencode_objects(
    keys: list[str], output_key: str, dataset: lance.LanceDataset, spec: BackfillSpec, watch: Watch
) -> int:
    """Do the same in the object store of a table.

    Parameters
    ----------
    keys : list of str
        Checkpoints, relative to the table.
    output_key : str
        The object to make; it appears complete or not at all.
    dataset : lance.LanceDataset
        For the column's schema and the file version.
    spec : BackfillSpec
        For where the table lies.
    watch : callable
        Told of bytes as they are written; False: stop.

    Returns
    -------
    int
        The bytes written.
    """
    from lance.file import LanceFileReader, LanceFileWriter

    root, options = spec.table_uri.rstrip("/"), spec.storage_options or None
    if fills_blobs(dataset, spec.columns):
        folder, name = os.path.split(f"{root}/{output_key}")
        sources = [f"{root}/{key}" for key in keys]
        return write_blob_data_file(sources, folder, name, dataset, spec.columns[0], watch, options)
    schema = file_schema(dataset, spec.columns)
    try:
        # An object appears when its writer is closed; one that is dropped leaves nothing that a reader sees.
        writer = LanceFileWriter(
            f"{root}/{output_key}",
            schema,
            version=dataset.data_storage_version,
            data_cache_bytes=data_cache_bytes(schema, dataset.data_storage_version),
            storage_options=options,
        )
        for key in keys:
            reader = LanceFileReader(f"{root}/{key}", storage_options=options)
            for batch in reader.read_all(batch_size=_BATCH_ROWS, batch_readahead=_READAHEAD_BATCHES).to_batches():
                writer.write_batch(batch)
                go_on(watch, batch.nbytes)
        writer.close()
        return int(writer.size_bytes or 0)
    except Exception as error:
        raise translate(error, f"make data file {output_key}") from error


def take_rows(
    source: str,
    rows: list[tuple[int, int]],
    size_bytes: int,
    target: str,
    version: str,
    options: dict[str, str] | None,
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
    options : dict, optional
        Of the storage.
    watch : callable
        Told of bytes as they are written; False: stop.

    Returns
    -------
    int
        The size of the file.
    """
    from lance.file import LanceFileReader, LanceFileWriter

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
