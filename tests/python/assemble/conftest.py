"""The tool that carries out assemblies, as one process for all tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from assemble_tool import Engine, find_tool


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    tool = find_tool()
    if tool is None:
        pytest.skip("leman_assemble_check is not built (cmake -DLEMAN_BUILD_TESTS=ON)")
    process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Engine(process)
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=10) == 0
