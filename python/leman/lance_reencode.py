"""Merges files of the same columns by decoding and encoding again, with bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .lance_errors import translate
from .lance_worker import data_cache_bytes, file_schema

if TYPE_CHECKING:
    import lance

_BATCH_ROWS = 8192
_READAHEAD_BATCHES = 2


def reencode(paths: list[str], output_path: str, dataset: lance.LanceDataset, columns: tuple[str, ...]) -> int:
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

    Returns
    -------
    int
        The file's size in bytes.
    """
    from lance.file import LanceFileReader, LanceFileWriter

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
        size_bytes = int(writer.size_bytes or os.path.getsize(temporary))
        os.replace(temporary, output_path)
        return size_bytes
    except Exception as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise translate(error, f"make data file {output_path}") from error
