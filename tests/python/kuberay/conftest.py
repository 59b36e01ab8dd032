"""A fake Kubernetes API for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_api import FakeApi, RunningFake


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """Run the fake, and let the kubeconfig name it."""
    pytest.importorskip("kubernetes", reason="the Kubernetes API needs leman[kubernetes]")
    running = RunningFake(tmp_path)
    # The client reads it when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(running.kubeconfig))
    yield running.api
    running.stop()
