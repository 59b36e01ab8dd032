"""Random arrays of every type, seeded."""

from __future__ import annotations

import datetime as dt
import decimal
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa

Make = Callable[[random.Random], Any]


def _text(rng: random.Random) -> str:
    return "".join(rng.choice("abcäöü€漢🙂 ") for _ in range(rng.choice([0, 1, 5, 11, 12, 13, 40])))


def _blob(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 11, 12, 13, 60]))


def _day(rng: random.Random) -> dt.date:
    return dt.date(1, 1, 2) + dt.timedelta(days=rng.randrange(3_652_000))


def _moment(rng: random.Random) -> dt.datetime:
    return dt.datetime(1, 1, 3) + dt.timedelta(
        days=rng.randrange(3_652_000), microseconds=rng.randrange(86_400_000_000)
    )


def _modern(rng: random.Random) -> dt.datetime:
    return dt.datetime(1950, 1, 1) + dt.timedelta(
        seconds=rng.randrange(3_000_000_000), microseconds=rng.randrange(10**6)
    )


def _integer(bits: int, signed: bool) -> Make:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return lambda rng: rng.choice([low, high, 0, 1, rng.randint(low, high)])


def _clock(rng: random.Random) -> dt.time:
    return dt.time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.randrange(10**6))


def _span(rng: random.Random) -> dt.timedelta:
    return dt.timedelta(days=rng.randrange(-1000, 1000), microseconds=rng.randrange(86_400_000_000))


def _many(item: Make, low: int = 0, high: int = 6) -> Make:
    return lambda rng: [None if rng.random() < 0.1 else item(rng) for _ in range(rng.randint(low, high))]


def _float(rng: random.Random) -> float:
    return rng.choice([0.0, -0.0, float("inf"), -float("inf"), 1.5, -2.25, rng.randint(-2000, 2000) / 8])


NATIVE: dict[pa.DataType, Make] = {
    pa.bool_(): lambda rng: rng.random() < 0.5,
    pa.int8(): _integer(8, True),
    pa.int16(): _integer(16, True),
    pa.int32(): _integer(32, True),
    pa.int64(): _integer(64, True),
    pa.uint8(): _integer(8, False),
    pa.uint16(): _integer(16, False),
    pa.uint32(): _integer(32, False),
    pa.uint64(): _integer(64, False),
    pa.float16(): _float,
    pa.float32(): _float,
    pa.float64(): lambda rng: rng.uniform(-1e300, 1e300),
    pa.string(): _text,
    pa.large_string(): _text,
    pa.string_view(): _text,
    pa.binary(): _blob,
    pa.large_binary(): _blob,
    pa.binary_view(): _blob,
    pa.binary(7): lambda rng: rng.randbytes(7),
    pa.date32(): _day,
    pa.date64(): _day,
    pa.time32("s"): lambda rng: _clock(rng).replace(microsecond=0),
    pa.time32("ms"): lambda rng: _clock(rng).replace(microsecond=rng.randrange(1000) * 1000),
    pa.time64("us"): _clock,
    pa.time64("ns"): _clock,
    pa.timestamp("s"): lambda rng: _moment(rng).replace(microsecond=0),
    pa.timestamp("ms"): lambda rng: _moment(rng).replace(microsecond=rng.randrange(1000) * 1000),
    pa.timestamp("us"): _moment,
    pa.timestamp("ns"): _modern,
    pa.timestamp("us", "UTC"): _modern,
    pa.timestamp("ms", "Europe/Paris"): _modern,
    pa.timestamp("us", "+05:30"): _modern,
    pa.duration("s"): lambda rng: dt.timedelta(seconds=rng.randrange(-(10**9), 10**9)),
    pa.duration("ms"): lambda rng: dt.timedelta(milliseconds=rng.randrange(-(10**12), 10**12)),
    pa.duration("us"): _span,
    pa.duration("ns"): _span,
    pa.list_(pa.float32()): _many(_float),
    pa.list_(pa.int64()): _many(_integer(64, True)),
    pa.large_list(pa.int16()): _many(_integer(16, True)),
    pa.list_(pa.float64(), 4): _many(_float, 4, 4),
    pa.list_(pa.bool_()): _many(lambda rng: rng.random() < 0.5),
    pa.list_(pa.string()): _many(_text),
    pa.list_(pa.list_(pa.int8())): _many(_many(_integer(8, True))),
    pa.list_(pa.list_(pa.int32(), 2), 3): _many(_many(_integer(32, True), 2, 2), 3, 3),
    pa.list_(pa.timestamp("us")): _many(_moment),
    pa.struct([("a", pa.int32()), ("b", pa.string())]): lambda rng: {"a": rng.randrange(99), "b": _text(rng)},
    pa.struct([("v", pa.list_(pa.float32())), ("s", pa.struct([("t", pa.date32())]))]): lambda rng: {
        "v": _many(_float)(rng),
        "s": rng.choice([None, {"t": _day(rng)}]),
    },
    pa.list_(pa.struct([("k", pa.string()), ("n", pa.uint8())])): _many(
        lambda rng: {"k": _text(rng), "n": rng.randrange(256)}
    ),
}

# Converted by pyarrow, alone and inside of others.
LEFT_TO_PYARROW: dict[pa.DataType, Make] = {
    pa.decimal128(12, 3): lambda rng: decimal.Decimal(rng.randrange(-(10**9), 10**9)).scaleb(-3),
    pa.map_(pa.string(), pa.int64()): lambda rng: [(f"k{i}", rng.randrange(9)) for i in range(rng.randrange(4))],
    pa.null(): lambda rng: None,
    pa.dictionary(pa.int32(), pa.string()): lambda rng: rng.choice(["red", "green", "blue"]),
    pa.month_day_nano_interval(): lambda rng: pa.MonthDayNano([rng.randrange(9), rng.randrange(9), 5000]),
    pa.list_(pa.decimal128(9, 2)): _many(lambda rng: decimal.Decimal(rng.randrange(10**6)).scaleb(-2)),
    pa.struct([("d", pa.decimal128(9, 2)), ("n", pa.int64())]): lambda rng: {
        "d": decimal.Decimal(rng.randrange(10**6)).scaleb(-2),
        "n": rng.randrange(10**6),
    },
    pa.list_view(pa.int32()): _many(_integer(32, True)),
}

EVERY = NATIVE | LEFT_TO_PYARROW


def values_of(kind: pa.DataType, count: int, seed: int = 7, nulls: float = 0.2) -> list[Any]:
    rng = random.Random(f"{kind}{seed}")
    return [None if rng.random() < nulls else EVERY[kind](rng) for _ in range(count)]


def array_of(kind: pa.DataType, count: int, seed: int = 7, nulls: float = 0.2) -> pa.Array:
    return pa.array(values_of(kind, count, seed, nulls), type=kind)
