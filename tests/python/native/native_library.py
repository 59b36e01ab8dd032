"""Builds native libraries for the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def build(source: Path, target: Path, *options: str) -> Path:
    """Compile one file to a shared library, with the headers of the checkout."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    command = [compiler, "-std=c++20", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'include'}", *options]
    subprocess.run([*command, str(source), "-o", str(target)], check=True, timeout=300)
    return target
