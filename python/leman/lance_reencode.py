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

    from .backfill_spec import BackfillSpec

_BATCH_ROWS = 8192
_READAHEAD_BATCHES = 2


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
            f"{root}/{output_key}", schema, version=dataset.data_storage_version, storage_options=options
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
