"""One cluster for all tests that leave it as they found it, and tables beside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster_jobs import Jobs, one_node, small_cluster
from ray_nodes import RayNodes, cluster_python

FULL = "full"


def is_full() -> bool:
    """Say whether the long tests run, too."""
    return os.environ.get("LEMAN_CLUSTER_TESTS") == FULL


@pytest.hookimpl(tryfirst=True)  # Before pytest-xdist looks at the groups.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run, and say how many; the long ones run by ``make test-cluster``."""
    here = [item for item in items if Path(item.fspath).is_relative_to(Path(__file__).parent)]
    for item in here:
        item.add_marker(pytest.mark.xdist_group("cluster"))  # One of several pytest processes has the cluster.
    if cluster_python() is None:
        for item in here:
            item.add_marker(pytest.mark.skip(reason="Ray is not installed; 'tools/bootstrap cluster' does that"))
        return
    if not is_full():
        for item in here:
            if item.get_closest_marker("long_cluster") is not None:
                item.add_marker(pytest.mark.skip(reason="long; 'make test-cluster' runs it"))


@pytest.fixture(autouse=True)
def config_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own keys out of this."""
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[RayNodes]:
    """Tests leave it as it was: of one node where only the short ones run, which need no more."""
    cluster = small_cluster() if is_full() else one_node()
    yield cluster
    cluster.close()


@pytest.fixture
def jobs(shared_cluster: RayNodes, tmp_path: Path) -> Iterator[Jobs]:
    yield Jobs(shared_cluster, tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def own_jobs(tmp_path: Path) -> Iterator[Jobs]:
    """A cluster that the test may break."""
    cluster = small_cluster()
    yield Jobs(cluster, tmp_path)
    cluster.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def head_jobs(tmp_path: Path) -> Iterator[Jobs]:
    """A cluster that has only its head yet, which has no CPUs."""
    yield from _on_a_head_alone(tmp_path)


@pytest.fixture(params=[1, 2], ids=["first", "second"])
def autoscaled_jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jobs]:
    """A cluster whose autoscaler adds nodes as they are asked for; Ray has two of them."""
    gpu = {"resources": {"CPU": 2, "GPU": 1}, "max_workers": 1}
    types = {"cpu": {"resources": {"CPU": 2}, "max_workers": 2}, "gpu": gpu}
    yield from _on_a_head_alone(tmp_path, node_types=types, autoscaler=request.param)


def _on_a_head_alone(folder: Path, **head: Any) -> Iterator[Jobs]:
    python = cluster_python()
    assert python is not None
    cluster = RayNodes(python)
    try:
        cluster.add_node(cpus=0, **head)
        cluster.await_nodes(1)
        yield Jobs(cluster, folder)
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
