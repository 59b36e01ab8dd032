"""Data files of blob columns that the engine does not make itself.

Those of ``lance.blob.v2``, which say where blobs lie, and all where checkpoints' values cannot stay where they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .blob_column import is_blob_type
from .blob_outputs import LARGEST_KEY
from .lance_errors import HostError, translate
from .table_files import local_path

if TYPE_CHECKING:
    import lance
    from lance.file import LanceFileReader, LanceFileSession

Watch = Callable[[int], bool]

_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 8192
_LARGE_BYTES = 1 << 20
_PACK_BYTES = 1 << 30
# Lance's own: smaller blobs lie in the data file, larger ones have a file each, those between share files.
_INLINE_BYTES = 64 << 10
_DEDICATED_BYTES = 4 << 20
# How Lance says where a blob is: in the data file, or with others in a file beside it.
_INLINE = 0
_PACKED = 1
_NULL = (1 << 64) - 1
_PLACES_AT_ONCE = 1 << 20


def write_blob_data_file(
    sources: list[str],
    folder: str,
    name: str,
    dataset: lance.LanceDataset,
    column: str,
    watch: Watch,
    storage_options: Mapping[str, str] | None = None,
) -> int:
    """Write a fragment's data file; its blobs are read and written some megabytes, or one blob, at a time.

    Parameters
    ----------
    sources : list of str
        Checkpoints in row order: paths or URIs.
    folder : str
        The table's folder of data files, a path or URI.
    name : str
        Of the data file; blobs outside of it lie in the folder of that name without ``.lance``, as Lance has it.
    dataset : lance.LanceDataset
        For the column's form of blobs and the file version.
    column : str
        The column.
    watch : callable
        Told of bytes as they are written; False: stop.
    storage_options : mapping, optional
        For Lance.

    Returns
    -------
    int
        The bytes of the data file and of the files beside it.
    """
    from lance.file import LanceFileReader, LanceFileSession

    options = dict(storage_options or {}) or None
    session = LanceFileSession(folder, storage_options=options)
    version = dataset.data_storage_version
    field = dataset.schema.field(column)
    # A local file gets its name when it is complete; an object appears complete.
    written = f"{name}.tmp" if local_path(folder) is not None else name
    writer: Any = None
    blobs: Any = None
    try:
        blobs = _BlobsBeside(session, name, field) if is_blob_type(field.type) else _BlobsInside(field)
        writer = session.open_writer(written, schema=pa.schema([blobs.field]), version=version)
        for source in sources:
            for values in _values(LanceFileReader(source, storage_options=options)):
                writer.write_batch(pa.RecordBatch.from_arrays([blobs.stored(values)], schema=pa.schema([blobs.field])))
                go_on(watch, values.nbytes)
        blobs.finish()
        writer.close()
        size_bytes = int(writer.size_bytes or 0)
        if written != name:
            os.replace(os.path.join(folder, written), os.path.join(folder, name))
        return size_bytes + blobs.bytes_beside
    except Exception as error:
        writer = blobs = None  # What they have begun goes with them.
        if written != name:
            _remove(folder, written, name)
        raise translate(error, f"make data file {name}") from error


def write_blob_places(
    positions: bytes,
    sizes: bytes,
    path: str,
    dataset: lance.LanceDataset,
    column: str,
    storage_options: Mapping[str, str] | None = None,
) -> None:
    """Write the data file of a ``lance.blob.v2`` column whose blobs lie in file 1 beside it.

    Parameters
    ----------
    positions, sizes : bytes
        A little-endian uint64 for each row, in bytes; null rows have the size 2^64 - 1.
    path : str
        Of the data file: it appears complete or not at all.
    dataset : lance.LanceDataset
        For the file version.
    column : str
        The column.
    storage_options : mapping, optional
        For Lance.
    """
    from lance.file import LanceFileWriter

    is_local = local_path(path) is not None
    written = f"{path}.tmp" if is_local else path
    try:
        places = _places(positions, sizes, column)
        with LanceFileWriter(
            written,
            places.schema,
            version=dataset.data_storage_version,
            storage_options=dict(storage_options or {}) or None,
        ) as writer:
            for start in range(0, max(1, places.num_rows), _PLACES_AT_ONCE):
                writer.write_batch(places.slice(start, _PLACES_AT_ONCE))
        if is_local:
            os.replace(written, path)
    except Exception as error:
        if is_local and os.path.exists(written):
            os.unlink(written)
        raise translate(error, f"make data file {path}") from error


def _places(positions: bytes, sizes: bytes, column: str) -> pa.RecordBatch:
    import pyarrow.compute as pc
    from lance.blob import BlobDescriptorArrayBuilder

    empty = BlobDescriptorArrayBuilder(column)
    empty.finish()
    rows = len(sizes) // 8
    size = pa.Array.from_buffers(pa.uint64(), rows, [None, pa.py_buffer(sizes)])
    position = pa.Array.from_buffers(pa.uint64(), rows, [None, pa.py_buffer(positions)])
    null = pc.equal(size, pa.scalar(_NULL, pa.uint64()))
    # One without bytes lies nowhere: Lance keeps such blobs in the data file.
    inside = pc.equal(size, pa.scalar(0, pa.uint64()))
    outside = pc.and_not(pc.invert(inside), null)
    values = {
        "kind": pc.if_else(inside, pa.scalar(_INLINE, pa.uint8()), pa.scalar(_PACKED, pa.uint8())),
        "data": pc.if_else(inside, pa.scalar(b"", pa.large_binary()), pa.scalar(None, pa.large_binary())),
        "uri": pa.nulls(rows, pa.string()),
        "blob_id": pc.if_else(outside, pa.scalar(1, pa.uint32()), pa.scalar(None, pa.uint32())),
        "blob_size": pc.if_else(outside, size, pa.scalar(None, pa.uint64())),
        "position": pc.if_else(outside, position, pa.scalar(None, pa.uint64())),
    }
    fields = list(empty.field.type)
    stored = pa.StructArray.from_arrays([values[field.name] for field in fields], fields=fields, mask=null)
    return pa.RecordBatch.from_arrays([stored], schema=pa.schema([empty.field]))


def go_on(watch: Watch, size_bytes: int) -> None:
    """Tell of bytes that were written.

    Raises
    ------
    HostError
        Where the job is to stop.
    """
    if not watch(size_bytes):
        raise HostError("cancelled", "the job was stopped while it made a data file")


def _values(reader: LanceFileReader) -> Iterator[pa.Array]:
    """Yield the values of a checkpoint, few bytes at a time."""
    metadata = reader.metadata().schema.metadata or {}
    largest = int(metadata.get(LARGEST_KEY.encode(), _BATCH_BYTES))
    rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(largest, 1)))
    total = reader.num_rows()
    # Of a whole file Lance reads far ahead: by pages, which hold one large value each.
    step = rows if largest >= _LARGE_BYTES else total
    for start in range(0, total, step):
        found = reader.read_range(start, min(step, total - start), batch_size=rows, batch_readahead=1)
        for batch in found.to_batches():
            yield batch.column(0)


def _remove(folder: str, written: str, name: str) -> None:
    if os.path.exists(os.path.join(folder, written)):
        os.unlink(os.path.join(folder, written))
    shutil.rmtree(os.path.join(folder, name.removesuffix(".lance")), ignore_errors=True)


class _BlobsInside:
    """``lance-encoding:blob``: Lance's writer puts the values into the data file."""

    def __init__(self, field: pa.Field) -> None:
        metadata = {k: v for k, v in (field.metadata or {}).items() if not k.startswith(b"leman.")}
        self.field = field.with_metadata(metadata)
        self.bytes_beside = 0

    def stored(self, values: pa.Array) -> pa.Array:
        """Return what the data file's column gets for ``values``."""
        return values

    def finish(self) -> None:
        """Complete what was written beside the data file."""


class _BlobsBeside:
    """``lance.blob.v2``: the column holds where each value lies: inside, in a shared file, or in a file of its own."""

    def __init__(self, session: LanceFileSession, name: str, field: pa.Field) -> None:
        from lance.blob import BlobDescriptorArrayBuilder

        metadata = field.metadata or {}
        self._session = session
        self._name = name
        self._column = field.name
        self._inline = int(metadata.get(b"lance-encoding:blob-inline-size-threshold", _INLINE_BYTES))
        self._dedicated = int(metadata.get(b"lance-encoding:blob-dedicated-size-threshold", _DEDICATED_BYTES))
        self._pack_limit = int(metadata.get(b"lance-encoding:blob-pack-file-size-threshold", _PACK_BYTES))
        self._next_id = 1
        self._pack: Any = None
        self._pack_bytes = 0
        self.bytes_beside = 0
        empty = BlobDescriptorArrayBuilder(self._column)
        empty.finish()
        self.field: pa.Field = empty.field

    def stored(self, values: pa.Array) -> pa.Array:
        """Write large values beside the data file; return what its column gets."""
        from lance.blob import BlobDescriptorArrayBuilder

        builder = BlobDescriptorArrayBuilder(self._column)
        for value in values:
            if not value.is_valid:
                builder.append_null()
                continue
            content = value.as_py()
            if len(content) > self._inline:
                self.bytes_beside += len(content)
            if len(content) > self._dedicated:
                builder.append_dedicated(self._write_alone(content), len(content))
            elif len(content) > self._inline:
                builder.extend_packed(*self._write_packed(content))
            else:
                builder.append_inline(content)
        return builder.finish()

    def _write_alone(self, content: bytes) -> int:
        blob_id = self._new_id()
        writer = self._session.open_dedicated_blob_writer(self._name, blob_id)
        writer.write(content)
        writer.finish()
        return blob_id

    def _write_packed(self, content: bytes) -> tuple[int, list[int], list[int]]:
        if self._pack is not None and self._pack_bytes + len(content) > self._pack_limit:
            self.finish()
        if self._pack is None:
            self._pack = self._session.open_packed_blob_writer(self._name, self._new_id())
        offset = self._pack_bytes
        self._pack.write_blob(content)
        self._pack_bytes += len(content)
        return self._pack.blob_id, [offset], [len(content)]

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def finish(self) -> None:
        """Complete the shared file."""
        if self._pack is not None:
            self._pack.finish()
        self._pack, self._pack_bytes = None, 0
