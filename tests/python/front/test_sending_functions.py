"""A pickled function can be loaded where its module cannot be imported."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import cloudpickle
import numpy as np
import pyarrow as pa
import pytest

import leman
from leman.user_function import pickle_function, restore

LOAD = "import sys, pickle; f = pickle.load(sys.stdin.buffer); print(f.name, f.version, f.instantiate()(*{args!r}))"


def load_elsewhere(payload: bytes, *args: object) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(leman.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(args=args)],
        input=payload,
        env=environment,
        capture_output=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


def write_script(folder: Path, ending: str) -> list[str]:
    (folder / "neighbour.py").write_text("BASE = 40\ndef shift(x):\n    return x + BASE\n")
    (folder / "functions.py").write_text(
        "import leman, neighbour\nfrom neighbour import shift\n"
        "@leman.udf\ndef f(x: int) -> int:\n    return shift(x) + neighbour.BASE\n"
        "@leman.udf\nclass C:\n    def __init__(self, k): self.k = k\n"
        "    def __call__(self, x: int) -> int:\n        return shift(x) * self.k\n"
    )
    (folder / "script.py").write_text(ending)
    environment = {**os.environ, "PYTHONPATH": str(Path(leman.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("dumps", ["cloudpickle.dumps", "pickle.dumps", "leman.user_function.pickle_function"])
def test_a_function_of_a_module_beside_the_script_travels_with_its_helpers(tmp_path: Path, dumps: str) -> None:
    ending = (
        "import cloudpickle, pickle, leman.user_function, functions\n"
        f"print({dumps}(functions.f).hex(), functions.f.version)"
    )
    payload, version = write_script(tmp_path, ending)
    assert load_elsewhere(bytes.fromhex(payload), 1) == ["f", version, "81"]


def test_a_class_of_such_a_module_travels_as_class_and_arguments(tmp_path: Path) -> None:
    ending = "import leman.user_function as u, functions\nprint(u.pickle_function(functions.C(k=2)).hex())"
    (payload,) = write_script(tmp_path, ending)
    assert load_elsewhere(bytes.fromhex(payload), 1)[2] == "82"


def test_a_function_of_main_travels_and_may_call_itself(tmp_path: Path) -> None:
    ending = (
        "from __future__ import annotations\nimport cloudpickle, leman\n"
        "@leman.udf\ndef fib(n: int) -> int:\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "print(cloudpickle.dumps(fib).hex())"
    )
    (payload,) = write_script(tmp_path, ending)
    assert load_elsewhere(bytes.fromhex(payload), 10)[2] == "55"


class Holder:
    def __init__(self, name: str, thing: object) -> None:
        self.thing = thing

    def __call__(self, x: int) -> int:
        return x


def test_the_argument_that_cannot_be_pickled_is_named() -> None:
    with pytest.raises(TypeError, match=r"function 'Holder' cannot be sent .*: its argument 'thing' \(lock\): "):
        pickle_function(leman.udf(Holder)("a", threading.Lock()))
    with pytest.raises(TypeError, match=r": its argument 'thing' \(lock\): "):
        pickle_function(leman.udf(data_type=pa.int64())(functools.partial(lambda x, thing: x, thing=threading.Lock())))


def test_what_makes_a_function_large_is_named() -> None:
    table = np.zeros(5_000_000)
    small = "x"

    def look_up(x: int) -> float:
        return float(table[x]) if small else 0.0

    expected = r"function 'look_up' takes 38\.1 MiB along: it uses 'table' \(ndarray, 38\.1 MiB\)"
    with pytest.warns(UserWarning, match=expected):
        pickle_function(leman.udf(look_up))
    with pytest.warns(UserWarning, match=r"its argument 'thing' \(ndarray, "):
        pickle_function(leman.udf(Holder)("a", thing=table))


def test_a_function_typed_into_a_prompt_travels(tmp_path: Path) -> None:
    code = (
        "import leman, pickle\n@leman.udf\ndef f(x: int) -> int: return x + 1\n\n"
        "print('PAYLOAD', pickle.dumps(f).hex())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(leman.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-"], input=code, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert load_elsewhere(bytes.fromhex(done.stdout.split("PAYLOAD")[1].strip()), 1)[2] == "2"


def test_options_survive() -> None:
    @leman.udf(num_cpus=2, on_error=leman.Skip(ValueError), batch_size=5)
    def f(x: int) -> int:
        return x

    loaded = cloudpickle.loads(cloudpickle.dumps(f))
    assert (loaded.num_cpus, loaded.on_error, loaded.batch_size) == (2.0, (leman.Skip(ValueError),), 5)
    assert loaded.version == f.version
    assert loaded.data_type == f.data_type


def test_two_functions_in_one_pickle_both_survive() -> None:
    @leman.udf
    def f(x: int) -> int:
        return x

    loaded = pickle.loads(pickle.dumps({"a": f, "b": [f]}))
    assert loaded["a"](3) == loaded["b"][0](3) == 3


def test_what_cannot_be_sent_is_explained() -> None:
    import threading

    lock = threading.Lock()

    @leman.udf
    def f(x: int) -> int:
        with lock:
            return x

    told = r"function 'f' cannot be sent to worker processes: it uses 'lock' \(lock\): .*setup\(\) of a class"
    with pytest.raises(TypeError, match=told):
        pickle_function(f)


def test_restore_takes_only_functions() -> None:
    with pytest.raises(TypeError, match=r"expected a pickled leman\.UserFunction, got int"):
        restore(pickle.dumps(3))


def test_source_lines_of_cells_are_put_into_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    import linecache

    from leman.source_lines import with_source_lines

    cell = "<ipython-input-1-0971>"
    monkeypatch.setitem(linecache.cache, cell, (20, None, ["def f(x):\n", "    return 1 // x\n"], cell))
    text = f'row 1: no\nTraceback (most recent call last):\n  File "{cell}", line 2, in f\nZeroDivisionError: no'
    complete = text.replace("in f\n", "in f\n    return 1 // x\n")
    assert with_source_lines(text) == complete
    assert with_source_lines(complete) == complete
    assert with_source_lines(text.replace(cell, "<string>")) == text.replace(cell, "<string>")
