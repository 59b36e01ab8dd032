"""The functions of `bench/udf.py`."""

from __future__ import annotations

import asyncio
import zlib

import numpy as np
import pyarrow as pa


def plus_one(x: int) -> int:
    return x + 1


def half(x: float) -> float:
    return x * 0.5


def size(x: str) -> int:
    return len(x)


def shout(x: str) -> str:
    return x + "!"


def optional(x: int | None) -> int | None:
    return None if x is None else x + 1


def add(x: int, y: float) -> float:
    return x + y


def same(x: pa.Array) -> pa.Array:
    return x


VECTOR = np.arange(384, dtype=np.float32)
LIST = VECTOR.astype(float).tolist()


def vector(x: int) -> np.ndarray:
    return VECTOR


def floats(x: int) -> list:
    return LIST


PAYLOAD = np.random.default_rng(0).integers(0, 32, 1 << 20, dtype=np.uint8).tobytes()


def compress(x: int) -> int:
    return len(zlib.compress(PAYLOAD, 1))  # without the GIL


def count_up(x: int) -> int:
    total = 0
    for i in range(300_000):
        total += i & x
    return total


class Download:
    """GET over kept-alive connections, as few as are needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __call__(self, x: int) -> bytes:
        connection = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = connection
        writer.write(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % x)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        self.idle.append(connection)
        return body
