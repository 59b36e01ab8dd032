"""x + 1 that takes 20 ms a call and writes down each call: `<first x> <rows> <time>` in the file $BENCH_CALLS."""

import os
import time

import pyarrow as pa
import pyarrow.compute as pc


def add_one_slowly(x: pa.Array) -> pa.Array:
    with open(os.environ["BENCH_CALLS"], "a") as calls:
        calls.write(f"{x[0].as_py()} {len(x)} {time.time()}\n")
    time.sleep(0.02)
    return pc.add(x, 1)
