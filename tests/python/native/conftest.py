"""Native libraries for the tests, built once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from native_library import ROOT, build


@pytest.fixture(scope="session")
def sample_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of every kind of function: ``tests/native/sample_udfs.cc``."""
    built = Path(os.environ.get("LEMAN_SCALAR_TEST_DIR", "build/scalar")).parent / "native_tests" / "libsample_udfs.so"
    if built.is_file():
        return built.resolve()
    folder = tmp_path_factory.mktemp("native")
    return build(ROOT / "tests" / "native" / "sample_udfs.cc", folder / "libsample.so")


@pytest.fixture(autouse=True)
def config_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing keys of the test's own."""
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
