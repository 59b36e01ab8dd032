"""``Connection.context`` of a cluster on Kubernetes: made, used and deleted by one ``with``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import leman
from leman import executors, ray_executor
from leman.cluster import ExitMode, KubeRayClusterBuilder
from leman.cluster.kuberay_context import KubeRayContext
from leman.ray_executor import RayCluster

from .clusters import smallest
from .fake_api import FakeApi
from .test_deployment import READY


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> leman.Connection:
    monkeypatch.setattr(ray_executor, "require_ray", lambda: None)
    return leman.connect(tmp_path)


@pytest.fixture
def in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")


class Connections:
    """What a ``RayCluster`` did instead of connecting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
        self.addresses: list[Any] = []

        def connect(cluster: RayCluster) -> None:
            if fails:
                raise ConnectionError("address='ray://…': no Ray cluster there (timed out)")
            self.addresses.append(cluster._address)

        monkeypatch.setattr(RayCluster, "connect", connect)
        monkeypatch.setattr(RayCluster, "disconnect", lambda cluster: self.addresses.append(None))


@pytest.mark.parametrize("on_exit", [None, ExitMode.RETAIN])
def test_backfills_in_the_block_run_on_a_cluster_that_is_made_for_it(
    on_exit: ExitMode | None, database: leman.Connection, in_a_pod: None, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = Connections(monkeypatch)
    fake.statuses = [READY]
    database.define_cluster("features", smallest())
    with database.context(cluster="features", manifest={"pip": ["torch"]}, on_exit=on_exit) as cluster:
        assert fake.objects
        assert executors.choose(None) is cluster
        assert cluster._runtime_env == {"pip": ["torch"]}
    assert executors.choose(None) is None
    assert connections.addresses == [smallest().ray_address, None]
    assert bool(fake.objects) == (on_exit is ExitMode.RETAIN)


def test_outside_of_kubernetes_it_is_refused_before_anything_is_made(
    database: leman.Connection, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConnectionError, match=r"cluster='smallest': workers connect to.*leman cluster apply"):
        database.context(cluster=smallest())
    assert fake.objects == {}


def test_a_head_that_does_not_answer_is_told_with_what_to_look_at_and_the_cluster_goes(
    database: leman.Connection, in_a_pod: None, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connections(monkeypatch, fails=True)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    fake.statuses = [READY]
    with (
        pytest.raises(ConnectionError, match=r"is up, but its head.*smallest-head-svc.*NetworkPolicy.*RAY_AUTH_TOKEN"),
        database.context(cluster=smallest()),
    ):
        pytest.fail("the body must not run")
    assert fake.objects == {}


def test_wrong_arguments(database: leman.Connection, in_a_pod: None) -> None:
    with pytest.raises(TypeError, match=r"on_exit='delete': expected ExitMode.DELETE"):
        KubeRayContext(smallest(), on_exit="delete")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got KubeRayClusterBuilder; call its build\(\)"):
        database.define_cluster("features", KubeRayClusterBuilder.create("features"))  # type: ignore[arg-type]
