"""The environment of workers: ``runtime_env`` reaches them, and versions that differ are told once."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long_cluster


def wheel(folder: Path, name: str) -> Path:
    """Write a wheel of one module, which pip installs without any index."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"NAME = {name!r}\n")
        file.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{information}/RECORD", "")
    return path


def module(folder: Path, name: str) -> Path:
    """Write a folder that holds one module."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(f"NAME = {name!r}\n")
    return folder


def test_files_packages_and_variables_reach_the_workers(jobs: Any, tmp_path: Path) -> None:
    jobs.numbers(rows=40, fragments=2)
    package = tmp_path / "in_py_modules"
    package.mkdir()
    (package / "__init__.py").write_text("NAME = 'in_py_modules'\n")
    environment = {
        "working_dir": str(module(tmp_path / "work", "in_working_dir")),
        "py_modules": [str(package)],
        "pip": {"packages": [str(wheel(tmp_path, "in_wheel"))], "pip_install_options": ["--no-index"]},
        "env_vars": {"LEMAN_TEST_GREETING": "hello"},
        "config": {"eager_install": False},
    }
    # On one node: those of the tests share a folder, where two of them would make the same environment at once.
    told = jobs.run("equipped", concurrency=2, cluster={"runtime_env": environment}, label_selector={"zone": "a"})
    assert told["status"] == "DONE", told.get("error", told["err"])
    assert jobs.values() == [f"in_working_dir in_py_modules in_wheel hello {x}" for x in range(40)]


def test_other_versions_are_told_once_with_both_sides(jobs: Any, tmp_path: Path) -> None:
    jobs.numbers(rows=200, fragments=2)
    other = tmp_path / "other"
    (other / "pylance-0.0.1.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: pylance\nVersion: 0.0.1\n"
    (other / "pylance-0.0.1.dist-info" / "METADATA").write_text(metadata)
    told = jobs.run("slow", concurrency=3, cluster={"runtime_env": {"working_dir": str(other)}})
    assert told["status"] == "FAILED"
    assert "other versions" in told["error"]
    assert told["error"].count("pylance 0.0.1") == 1
    assert told["error"].count("pylance ") == 2
    assert not jobs.calls()
