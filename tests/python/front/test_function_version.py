"""The default version changes with the code, and with nothing else."""

from __future__ import annotations

import datetime
import decimal
import os
import pickle
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import leman
from leman.value_digest import value_digest

FEATURES = '''
import re
import leman
from helpers import clean

LIMIT = 10
STOP = {"a", "the", "of", "and", "to"}
PATTERN = re.compile("[a-z]+", re.I)

def shorten(text):
    return text[:LIMIT]

@leman.udf(num_cpus=1)
def n_words(text: str) -> int:
    """Count."""
    # every word
    return sum(len(w) for w in PATTERN.findall(shorten(clean(text))) if w not in STOP)

@leman.udf
class Embed:
    SIZE = 4
    def __init__(self, model="x"):
        self.model = model
    def __call__(self, text: str) -> list[float]:
        return [float(len(shorten(text)))] * self.SIZE

@leman.udf
def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)
'''
HELPERS = """
import unicodedata
FORM = "NFC"
def clean(text):
    return unicodedata.normalize(FORM, text)
def unused(text):
    return text
"""


def versions(
    folder: Path, features: str = FEATURES, helpers: str = HELPERS, seed: str = "1", main: bool = False
) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.py").write_text(features)
    (folder / "helpers.py").write_text(helpers)
    show = "print(n_words.version, Embed().version, Embed('y').version, fib.version)"
    if main:
        (folder / "features.py").write_text(features + "\n" + show)
        command = [sys.executable, str(folder / "features.py")]
    else:
        command = [sys.executable, "-c", f"from features import *; {show}"]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(leman.__file__).parents[1])]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return versions(tmp_path_factory.mktemp("reference"))


def test_it_is_the_same_in_another_process_with_another_hash_seed_and_path(
    reference: list[str], tmp_path: Path
) -> None:
    assert versions(tmp_path / "elsewhere", seed="77") == reference
    assert all(version.startswith("auto-") for version in reference)
    assert len(set(reference)) == 4


def test_it_is_the_same_in_a_script_and_in_a_module(reference: list[str], tmp_path: Path) -> None:
    assert versions(tmp_path, main=True) == reference


def test_comments_docstrings_layout_and_resources_do_not_change_it(reference: list[str], tmp_path: Path) -> None:
    changed = (
        FEATURES.replace('"""Count."""', '"""Count the words.\n    All of them."""')
        .replace("# every word", "\n    # each word, ünïcode\n")
        .replace("num_cpus=1", "num_cpus=2, batch_size=7")
        .replace("    return text[:LIMIT]", "        return text[ :LIMIT ]  # cut")
    )
    assert versions(tmp_path, changed) == reference


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("in STOP)", "in STOP) + 1"),
        ("LIMIT = 10", "LIMIT = 11"),
        ('"of", ', ""),
        ("[a-z]+", "[a-z0-9]+"),
        ("re.I)", "0)"),
        ("return text[:LIMIT]", "return text[1:LIMIT]"),
    ],
)
def test_it_changes_with_the_code_and_what_it_refers_to(
    reference: list[str], tmp_path: Path, old: str, new: str
) -> None:
    assert old in FEATURES
    assert versions(tmp_path, FEATURES.replace(old, new))[0] != reference[0]


def test_it_changes_with_a_helper_in_another_module(reference: list[str], tmp_path: Path) -> None:
    changed = versions(tmp_path, helpers=HELPERS.replace('"NFC"', '"NFKC"'))
    assert changed[0] != reference[0]
    assert changed[3] == reference[3]


def test_what_is_not_referred_to_does_not_change_it(reference: list[str], tmp_path: Path) -> None:
    assert (
        versions(
            tmp_path, helpers=HELPERS.replace("def unused(text):\n    return text", "def unused(t):\n    return t * 2")
        )
        == reference
    )


def test_a_class_changes_with_its_methods_attributes_and_what_they_call(reference: list[str], tmp_path: Path) -> None:
    for old, new in (("SIZE = 4", "SIZE = 5"), ("text[:LIMIT]", "text[2:LIMIT]"), ("float(len", "2 * float(len")):
        assert versions(tmp_path, FEATURES.replace(old, new))[1] != reference[1]


def test_it_depends_on_defaults_and_closures() -> None:
    def make(factor: int) -> leman.UserFunction:
        @leman.udf
        def scale(x: int) -> int:
            return x * factor

        return scale

    assert make(2).version == make(2).version
    assert make(2).version != make(3).version


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
        (datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1))),
        (decimal.Decimal("1.10"), decimal.Decimal("1.1")),
        (Path("/here/first.bin"), Path("/here/second.bin")),
        (uuid.UUID(int=1), uuid.UUID(int=2)),
        (slice(1), slice(2)),
        (np.float32(1), np.float32(2)),
        (pa.scalar(1), pa.scalar(2)),
        (pa.array([1, None]), pa.array([None, 1])),
        (pa.chunked_array([[1], [2]]), pa.chunked_array([[1], [3]])),
        (pa.table({"a": ["x"]}), pa.table({"b": ["x"]})),
    ],
)
def test_it_changes_with_constants_of_libraries(one: Any, other: Any) -> None:
    def version_with(constant: Any) -> str:
        @leman.udf(data_type=pa.int64())
        def f(x: int) -> Any:
            return constant

        return f.version

    assert version_with(one) == version_with(pickle.loads(pickle.dumps(one)))
    assert version_with(one) != version_with(other)


def test_it_changes_with_tables_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frames = [
        pandas.DataFrame({"a": [1, 2]}),
        pandas.DataFrame({"a": [1, 3]}),
        pandas.DataFrame({"b": [1, 2]}),
        pandas.DataFrame({"a": [1, 2]}, index=[5, 6]),
    ]
    assert len({value_digest(frame) for frame in frames}) == len(frames)
    assert value_digest(frames[0]) == value_digest(frames[0].copy())


def test_a_function_without_source_is_hashed_by_its_bytecode() -> None:
    def made(source: str) -> str:
        scope: dict[str, object] = {"leman": leman, "K": 3}
        exec(textwrap.dedent(source), scope)
        function = scope["f"]
        assert isinstance(function, leman.UserFunction)
        return function.version

    plain = made("@leman.udf\ndef f(x: int) -> int:\n    return x + K")
    assert plain == made("@leman.udf\ndef f(x: int) -> int:\n    'doc'\n    return x + K  # comment")
    assert plain != made("@leman.udf\ndef f(x: int) -> int:\n    return x - K")
    assert made("@leman.udf\ndef f(x: int) -> int:\n    return x + 1") != made(
        "@leman.udf\ndef f(x: int) -> int:\n    return x + 2"
    )


def test_what_another_decorator_does_around_the_function_is_part_of_it() -> None:
    import functools
    from collections.abc import Callable

    def plus_one(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapper(x: int) -> int:
            return function(x) + 1

        return wrapper

    def plus_two(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapper(x: int) -> int:
            return function(x) + 2

        return wrapper

    def f(x: int) -> int:
        return x

    assert leman.udf(plus_one(f)).version == leman.udf(plus_one(f)).version
    assert leman.udf(plus_one(f)).version != leman.udf(plus_two(f)).version


def test_a_given_version_is_taken_as_it_is() -> None:
    @leman.udf(version="2026-11")
    def f(x: int) -> int:
        return x

    assert f.version == "2026-11"


def test_large_and_cyclic_constants_are_hashed() -> None:
    import numpy as np

    table = np.arange(10)
    cyclic: list[object] = [1]
    cyclic.append(cyclic)

    @leman.udf
    def f(x: int) -> int:
        return int(table[x]) + len(cyclic)

    first = f.version
    table[0] = 5
    f._version = None
    assert f.version != first
