"""What the autoscaler could make: told by the manifest to the driver on the head, who waits for it or does not."""

from __future__ import annotations

from typing import Any

import pytest

from leman.cluster import KubeRayClusterBuilder
from leman.ray_capacity import ClusterCapacity
from leman.ray_node_types import VARIABLE, declared_node_types
from leman.ray_resources import WorkerNeeds

from .clusters import IMAGE, everything, fixed_size

GIB = 2**30
HEAD = {"Alive": True, "Resources": {"memory": 8.0 * GIB}, "Labels": {}, "NodeManagerAddress": "10.0.0.1"}


def head_environment(manifest: dict[str, Any]) -> dict[str, str]:
    container = manifest["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


@pytest.fixture
def on_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, head_environment(everything().to_manifest())[VARIABLE])


@pytest.mark.parametrize(
    ("resources", "labels", "may"),
    [
        ({"CPU": 4}, {}, True),  # 3.5, which KubeRay rounds up for Ray.
        ({"CPU": 1, "GPU": 2}, {}, True),
        ({"CPU": 8, "memory": 16 * GIB}, {}, True),
        ({"CPU": 1, "GPU": 3}, {}, False),
        ({"CPU": 9}, {}, False),
        ({"CPU": 1, "memory": 17 * GIB}, {}, False),
        ({"CPU": 1, "TPU": 1}, {}, False),
        ({"CPU": 1}, {"leman/pool": "cheap"}, True),
        ({"CPU": 1}, {"leman/pool": "dear"}, False),
        ({"CPU": 1, "GPU": 1}, {"ray.io/node-group": "gpu"}, True),
        ({"CPU": 1, "GPU": 1}, {"ray.io/node-group": "cheap"}, False),
    ],
)
def test_a_driver_on_the_head_knows_what_the_autoscaler_could_make(
    resources: dict[str, float], labels: dict[str, str], may: bool, on_the_head: None
) -> None:
    declared = declared_node_types()
    assert declared is not None
    assert any(WorkerNeeds(resources, labels).fit(node) for node in declared) == may


def test_a_job_waits_for_a_node_that_may_come_and_not_for_one_that_may_not(
    on_the_head: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    failed: list[str] = []
    waits = ClusterCapacity(WorkerNeeds({"CPU": 1, "GPU": 1}, {}), 0.0, said.append, failed.append)
    for _ in range(3):
        waits.look([HEAD], 1)
    assert "waiting for the autoscaler" in said[0]
    assert failed == []
    fails = ClusterCapacity(WorkerNeeds({"CPU": 64}, {}), 0.0, said.append, failed.append)
    for _ in range(3):
        fails.look([HEAD], 1)
    assert "no node of the cluster can hold a worker" in failed[0]


def test_a_group_that_may_have_no_pod_and_a_cluster_of_fixed_size_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert VARIABLE not in head_environment(fixed_size().to_manifest())
    builder = (
        KubeRayClusterBuilder.create("c").head_group(image=IMAGE).add_worker_group(KubeRayClusterBuilder.cpu_worker())
    )
    cluster = builder.add_worker_group(KubeRayClusterBuilder.gpu_worker().max_replicas(0)).build()
    monkeypatch.setenv(VARIABLE, head_environment(cluster.to_manifest())[VARIABLE])
    declared = declared_node_types()
    assert declared is not None
    assert [node["Resources"] for node in declared] == [{"CPU": 4, "memory": 8 * GIB}]


def test_another_value_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("yes", "{}x", '[{"CPU": 4}]', "[1]"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(ValueError, match=f"{VARIABLE}=.*expected JSON"):
            declared_node_types()
    monkeypatch.delenv(VARIABLE)
    assert declared_node_types() is None
