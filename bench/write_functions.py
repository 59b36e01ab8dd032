"""What `make bench-write` computes: values of known size, made from the row's number alone, as fast as that goes."""

from __future__ import annotations

import dataclasses
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

BLOB_BYTES = 1_000_000
VECTOR_TYPE = pa.list_(pa.float32(), 384)
TEXT_BYTES = 200
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz      ", np.uint8)
_clock_fd: int | None = None


def _note_call() -> None:
    """Writes down when a value was last made, for the measurement of the tail; microseconds a call."""
    global _clock_fd
    folder = os.environ.get("LEMAN_BENCH_CLOCK")
    if not folder:
        return
    if _clock_fd is None:
        _clock_fd = os.open(Path(folder) / str(os.getpid()), os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(_clock_fd, struct.pack("d", time.time()), 0)


def last_call(folder: Path) -> float:
    """The time of the last call of any process."""
    return max(struct.unpack("d", path.read_bytes())[0] for path in folder.iterdir())


def make_blob(x: int) -> bytes:
    """One megabyte."""
    value = np.random.SFC64(x).random_raw(BLOB_BYTES // 8).tobytes()
    _note_call()
    return value


def make_vectors(x: pa.Array) -> pa.Array:
    """384 floats a row."""
    random = np.random.Generator(np.random.SFC64(int(x[0].as_py())))
    values = pa.FixedSizeListArray.from_arrays(pa.array(random.random(len(x) * 384, dtype=np.float32)), 384)
    _note_call()
    return values


def make_texts(x: pa.Array) -> pa.Array:
    """200 letters and blanks a row."""
    raw = np.random.SFC64(int(x[0].as_py())).random_raw(len(x) * TEXT_BYTES // 8)
    letters = _LETTERS[raw.view(np.uint8) & 31]
    offsets = np.arange(len(x) + 1, dtype=np.int32) * TEXT_BYTES
    values = pa.StringArray.from_buffers(len(x), pa.py_buffer(offsets), pa.py_buffer(letters))
    _note_call()
    return values


@dataclasses.dataclass(frozen=True)
class Work:
    """One thing to write."""

    name: str
    title: str
    rows: int
    type: pa.DataType
    function: Callable[[Any], Any]
    scalar: bool = False
    blob_version: str | None = None  # Of the table's files, whose column is one of Lance's blobs.

    @property
    def annotated(self) -> Any:
        """The function as a Leman UDF."""
        import leman

        blob = {"lance-encoding:blob": "true"} if self.blob_version else None
        return leman.udf(data_type=self.type, field_metadata=blob)(self.function)

    def arrays(self, start: int, end: int) -> Iterator[pa.Array]:
        """The values of rows [start, end), in arrays of about 32 MB at most."""
        step = 32 if self.scalar else 10_240
        for first in range(start, end, step):
            last = min(end, first + step)
            if self.scalar:
                yield pa.array([self.function(row) for row in range(first, last)], self.type)
            else:
                yield self.function(pa.array(range(first, last)))


WORKS = {
    work.name: work
    for work in (
        Work("blobs", "2,000 rows of 1 MB random bytes", 2_000, pa.binary(), make_blob, scalar=True),
        Work(
            "blobs-inside",
            "the same in a column of blobs, file version 2.1",
            2_000,
            pa.large_binary(),
            make_blob,
            scalar=True,
            blob_version="2.1",
        ),
        Work(
            "blobs-beside",
            "the same in a column of blobs, file version 2.2",
            2_000,
            pa.large_binary(),
            make_blob,
            scalar=True,
            blob_version="2.2",
        ),
        Work("vectors", "5 M vectors of 384 float32", 5_000_000, VECTOR_TYPE, make_vectors),
        Work("texts", "5 M texts of 200 bytes", 5_000_000, pa.string(), make_texts),
    )
}
