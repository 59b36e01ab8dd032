"""One Kubernetes with KubeRay's definitions and operator for all tests, and a namespace for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leman.cluster import KubernetesApi

# The clusters and KubeRay's definitions of the unit tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "python"))

from kuberay import kuberay_crds
from local_kubernetes import LocalKubernetes, wait_for

_PLURALS = ("rayclusters", "rayjobs", "rayservices", "raycronjobs")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKubernetes]:
    """Run Kubernetes; KubeRay's definitions may or may not be there."""
    running = LocalKubernetes(tmp_path_factory.mktemp("kubernetes"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def kubernetes_with_kuberay(bare: LocalKubernetes) -> LocalKubernetes:
    """Add KubeRay's definitions, from its Go module."""
    from kubernetes import client

    # Not by the client's own classes for definitions: they take seconds for one as large as these.
    objects, place = client.CustomObjectsApi(bare.client()), ("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    for plural in _PLURALS:
        objects.create_cluster_custom_object(*place, kuberay_crds.definition(plural))

    def is_served(plural: str) -> bool:
        found = objects.get_cluster_custom_object(*place, f"{plural}.ray.io")
        conditions = found.get("status", {}).get("conditions", ())
        return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

    for plural in _PLURALS:
        wait_for(f"{plural} are served", lambda plural=plural: is_served(plural))
    return bare


@pytest.fixture
def namespace(kubernetes_with_kuberay: LocalKubernetes, request: pytest.FixtureRequest) -> str:
    """Make a namespace of the test's own, with the service accounts of the clusters in it."""
    from kubernetes import client

    core = client.CoreV1Api(kubernetes_with_kuberay.client())
    name = request.node.name.replace("_", "-").split("[")[0][:63].rstrip("-")
    made = core.create_namespace({"metadata": {"generateName": f"{name[:50]}-"}}).metadata.name
    for account in ("leman", "runner"):
        core.create_namespaced_service_account(made, {"metadata": {"name": account}})
    return str(made)


@pytest.fixture
def api(kubernetes_with_kuberay: LocalKubernetes) -> KubernetesApi:
    """Return the API as admin."""
    return KubernetesApi(kubernetes_with_kuberay.client())


@pytest.fixture
def operator(kubernetes_with_kuberay: LocalKubernetes) -> Iterator[Any]:
    """Run KubeRay's operator for one test."""
    kubernetes_with_kuberay.start_operator()
    yield kubernetes_with_kuberay
    kubernetes_with_kuberay.stop_operator()
