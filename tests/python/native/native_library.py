"""Builds native libraries for the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import leman

ROOT = Path(__file__).resolve().parents[3]


def build(source: Path, target: Path, *options: str) -> Path:
    """Compile one file to a shared library, with the headers of the checkout."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    command = [compiler, "-std=c++20", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'include'}", *options]
    subprocess.run([*command, str(source), "-o", str(target)], check=True, timeout=300)
    return target


def called(name: str, values: list[Any], kind: pa.DataType, **params: Any) -> list[Any]:
    """What a built-in function makes of values; skips where the build left it out."""
    try:
        function = leman.builtin_udf(name, params=params)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return function.call_batch([pa.array(values, kind)]).to_pylist()
