"""Functions of the cluster tests. They write down their calls, one line each: row, process, node, time."""

from __future__ import annotations

import os
import time

import pyarrow as pa

import leman


def note(x: int | str) -> None:
    """Append a line to the file that ``LEMAN_CLUSTER_CALLS`` names; a short append is atomic."""
    path = os.environ.get("LEMAN_CLUSTER_CALLS")
    if path:
        node = os.environ.get("LEMAN_TEST_CLUSTER", "").rsplit("-", 1)[-1]
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        line = f"{x} {os.getpid()} {node} {time.time():.3f} [{gpus}] {os.nice(0)}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)


@leman.udf
def plain(x: int, text: str) -> float:
    """Be cheap and exact."""
    return x / 7 + len(text)


@leman.udf(data_type=pa.list_(pa.float32(), 4))
def vector(x: pa.Array) -> pa.Array:
    """Make a vector of each value."""
    import numpy as np

    values = x.to_numpy(zero_copy_only=False).astype(np.float32)
    flat = np.repeat(values, 4) * np.tile(np.arange(1, 5, dtype=np.float32), len(values)) / 3
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), 4)


@leman.udf
def slow(x: int) -> int:
    """Take 5 ms, and say so."""
    note(x)
    time.sleep(0.005)
    return x * x


@leman.udf(label_selector={"zone": "b"})
def placed(x: int) -> int:
    """Ask for a place itself."""
    note(x)
    return x * x


@leman.udf
def gated(x: int) -> int:
    """Say so, and go on once the test has opened the gate."""
    note(x)
    while not os.path.exists(os.environ["LEMAN_CLUSTER_CALLS"] + ".open"):
        time.sleep(0.02)
    return x * x


@leman.udf
def failing(x: int) -> int:
    """Fail at one row."""
    if x == 777:
        raise ValueError("no sevens")
    return x


@leman.udf
def equipped(x: int) -> str:
    """Say what the environment that the driver asked for has."""
    import in_py_modules
    import in_wheel
    import in_working_dir

    return f"{in_working_dir.NAME} {in_py_modules.NAME} {in_wheel.NAME} {os.environ['LEMAN_TEST_GREETING']} {x}"
