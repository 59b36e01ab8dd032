"""The C++ programs of ``tests/cpp_api``, built once against the package that is tested."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import leman
from leman.native_project import cmake_folder

SOURCES = Path(__file__).resolve().parents[2] / "cpp_api"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built programs."""
    library = Path(leman.__file__).parent / "lib" / "libleman.so"
    if not library.exists():
        pytest.skip(f"{library} is missing: a checkout's package has it only as a link to the build")
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    folder = tmp_path_factory.mktemp("cpp_api")
    configure = ["cmake", "-S", str(SOURCES), "-B", str(folder), "-G", "Ninja", f"-Dleman_DIR={cmake_folder()}"]
    for command in (configure, ["cmake", "--build", str(folder)]):
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What programs run in: nothing of this test's interpreter, signing keys of the test's own."""
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(tmp_path / "config"))
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "VIRTUAL_ENV"))}
