"""Clusters and jobs on a real Kubernetes API server: accepted, given defaults, watched, changed and deleted."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kuberay.clusters import IMAGE, everything, fixed_size, smallest
from local_kubernetes import REPOSITORY, SOMEBODY, Kubelet, LocalKubernetes, wait_for

from leman.cluster import KubeRayCluster, KubeRayClusterBuilder, KubernetesApi, apply, delete, list_states, status
from leman.cluster.deployment import Follow
from leman.errors import KubernetesError, KubernetesNotFoundError


def placed(cluster: KubeRayCluster, namespace: str) -> KubeRayCluster:
    return dataclasses.replace(cluster, namespace=namespace)


def set_status(api: KubernetesApi, found: dict[str, Any], status: dict[str, Any]) -> None:
    """Write a status as an operator does."""
    metadata, plural = found["metadata"], {"RayCluster": "rayclusters", "RayJob": "rayjobs"}[found["kind"]]
    place = ("ray.io", "v1", metadata["namespace"], plural, metadata["name"])
    live = api._objects.get_namespaced_custom_object(*place)
    live["status"] = (
        {"observedGeneration": live["metadata"]["generation"], **status} if plural == "rayclusters" else status
    )
    api._objects.replace_namespaced_custom_object_status(*place, live)


class Operator(threading.Thread):
    """Stands in for KubeRay's: gives an object one status after the other, each when the line before it was said."""

    def __init__(
        self, api: KubernetesApi, found: dict[str, Any], steps: list[dict[str, Any] | Callable[[], None]]
    ) -> None:
        super().__init__()
        self._api, self._found, self._steps = api, found, steps
        self._lines: list[str] = []
        self._news = threading.Condition()

    def say(self, line: str) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()

    def run(self) -> None:
        self._seen = 1  # "created" or "is there already"
        for step in self._steps:
            with self._news:
                self._news.wait_for(lambda: len(self._lines) > self._seen, timeout=30)
                self._seen = len(self._lines)
            if callable(step):
                step()
            else:
                set_status(self._api, self._found, step)

    @property
    def lines(self) -> list[str]:
        return [line.strip().partition("  ")[2] for line in self._lines]


@pytest.mark.parametrize("make", [smallest, everything, fixed_size])
def test_every_manifest_is_taken_strictly_and_given_defaults(
    make: Callable[[], KubeRayCluster], api: KubernetesApi, namespace: str
) -> None:
    cluster = placed(make(), namespace)
    lines: list[str] = []
    apply(cluster, api=api, dry_run=True, follow=Follow(lines.append))
    assert list_states(namespace, api=api) == []
    apply(cluster, api=api, wait=False, follow=Follow(lines.append))
    live = api.get("RayCluster", namespace, cluster.name)
    assert live is not None
    assert all(group["numOfHosts"] == 1 for group in live["spec"]["workerGroupSpecs"])
    apply(cluster, api=api, wait=False, follow=Follow(lines.append))
    assert lines[-1].endswith("is there already")
    job = cluster.job("nightly", "leman backfill gs://b/d t c", retries=2)
    apply(job, api=api, wait=False, follow=Follow(lines.append))
    live = api.get("RayJob", namespace, "nightly")
    assert live is not None
    assert live["spec"]["submissionMode"] == "K8sJobMode"
    assert live["spec"]["backoffLimit"] == 2
    apply(job, api=api, wait=False, follow=Follow(lines.append))
    assert lines[-1].endswith("is there already")


def test_a_cluster_is_watched_until_it_is_ready(api: KubernetesApi, namespace: str) -> None:
    cluster = placed(smallest(), namespace)
    head = {"type": "HeadPodReady", "status": "True", "reason": "r", "message": "", "lastTransitionTime": _now()}
    operator = Operator(
        api,
        cluster.to_manifest(),
        [
            {"desiredWorkerReplicas": 1},
            {"desiredWorkerReplicas": 1, "conditions": [head]},
            {"desiredWorkerReplicas": 1, "readyWorkerReplicas": 1, "conditions": [head], "state": "ready"},
        ],
    )
    operator.start()
    state = apply(cluster, api=api, timeout_s=60, follow=Follow(operator.say))
    operator.join()
    assert state.phase == "ready"
    assert operator.lines[1:] == [
        "raycluster/smallest is starting: KubeRay has not looked at it yet",
        "raycluster/smallest is starting: head not ready yet, 0 of 1 workers ready",
        "raycluster/smallest is starting: head ready, 0 of 1 workers ready",
        "raycluster/smallest is ready: 1 of 1 workers ready",
    ]
    # A change makes what the operator said old, until it has looked again.
    bigger = KubeRayClusterBuilder.create("smallest").namespace(namespace).head_group(image=IMAGE, cpus=2)
    bigger.add_worker_group(KubeRayClusterBuilder.cpu_worker())
    assert apply(bigger.build(), api=api, wait=False, follow=Follow(operator.say)).phase == "starting"


def _now() -> str:
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_autoscalers_number_of_workers_survives_a_change(api: KubernetesApi, namespace: str) -> None:
    cluster = placed(smallest(), namespace)
    apply(cluster, api=api, wait=False, follow=Follow(_nothing))
    scaled = api.get("RayCluster", namespace, "smallest")
    assert scaled is not None
    scaled["spec"]["workerGroupSpecs"][0]["replicas"] = 7
    api.replace(scaled)
    lines: list[str] = []
    apply(cluster, api=api, wait=False, follow=Follow(lines.append))
    assert lines[-1].endswith("is there already")
    bigger = KubeRayClusterBuilder.create("smallest").namespace(namespace).head_group(image=IMAGE, cpus=2)
    bigger.add_worker_group(KubeRayClusterBuilder.cpu_worker())
    apply(bigger.build(), api=api, wait=False, follow=Follow(lines.append))
    live = api.get("RayCluster", namespace, "smallest")
    assert live is not None
    assert live["spec"]["workerGroupSpecs"][0]["replicas"] == 7
    assert live["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"


def _nothing(line: str) -> None:
    """Take a line and say nothing."""


def test_a_job_is_followed_through_a_retry_while_the_server_goes_away_and_comes_back(
    api: KubernetesApi, namespace: str, kubernetes_with_kuberay: LocalKubernetes
) -> None:
    def restart() -> None:
        kubernetes_with_kuberay.stop()
        kubernetes_with_kuberay.start()

    job = placed(smallest(), namespace).job("nightly", "leman backfill gs://b/d t c")
    operator = Operator(
        api,
        job.to_manifest(),
        [
            {"jobDeploymentStatus": "Initializing", "rayClusterName": "n-1"},
            {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "n-1"},
            restart,
            {"jobDeploymentStatus": "Retrying"},
            {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "n-2"},
            {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "rayClusterName": "n-2"},
        ],
    )
    operator.start()
    state = apply(job, api=api, timeout_s=120, follow=Follow(operator.say))
    operator.join()
    assert state.phase == "succeeded"
    assert any("trying again" in line for line in operator.lines)
    assert any("retrying" in line for line in operator.lines)


def test_delete_removes_it(api: KubernetesApi, namespace: str) -> None:
    apply(placed(smallest(), namespace), api=api, wait=False, follow=Follow(_nothing))
    lines: list[str] = []
    delete("smallest", namespace, api=api, timeout_s=30, follow=Follow(lines.append))
    assert lines[-1] == "raycluster/smallest is gone"
    with pytest.raises(KubernetesNotFoundError):
        status("smallest", namespace, api=api)


def test_an_unknown_field_and_a_wrong_value_are_refused(api: KubernetesApi, namespace: str) -> None:
    manifest = placed(smallest(), namespace).to_manifest()
    unknown = copy.deepcopy(manifest)
    unknown["spec"]["headGroupSpec"]["imagee"] = "x"
    with pytest.raises(KubernetesError, match=r'unknown field "spec.headGroupSpec.imagee".*older than'):
        apply(unknown, api=api, follow=Follow(_nothing))
    manifest["spec"]["authOptions"]["mode"] = "maybe"
    with pytest.raises(KubernetesError, match=r"refuses the manifest: .*authOptions.mode: Unsupported value"):
        apply(manifest, api=api, follow=Follow(_nothing))


def test_no_namespace_no_right_no_token(
    api: KubernetesApi, namespace: str, kubernetes_with_kuberay: LocalKubernetes
) -> None:
    with pytest.raises(KubernetesError, match=r"there is no namespace 'nowhere'.*kubectl create namespace nowhere"):
        apply(placed(smallest(), "nowhere"), api=api, follow=Follow(_nothing))
    somebody = KubernetesApi(kubernetes_with_kuberay.client(SOMEBODY))
    with pytest.raises(KubernetesError, match=r'forbidden: .*User "somebody" cannot get.*rbac.yaml'):
        apply(placed(smallest(), namespace), api=somebody, follow=Follow(_nothing))
    nobody = KubernetesApi(kubernetes_with_kuberay.client("token-of-nobody"))
    with pytest.raises(KubernetesError, match=r"does not know you: Unauthorized"):
        apply(placed(smallest(), namespace), api=nobody, follow=Follow(_nothing))


def test_the_role_in_deploy_is_all_that_is_needed(namespace: str, kubernetes_with_kuberay: LocalKubernetes) -> None:
    from kubernetes import client

    rights = client.RbacAuthorizationV1Api(kubernetes_with_kuberay.client())
    role = yaml.safe_load((REPOSITORY / "deploy/gke/rbac.yaml").read_text())
    role["metadata"]["namespace"] = namespace
    rights.create_namespaced_role(namespace, role)
    binding = {
        "metadata": {"name": "somebody"},
        "subjects": [{"kind": "User", "name": "somebody", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": role["metadata"]["name"], "apiGroup": "rbac.authorization.k8s.io"},
    }
    rights.create_namespaced_role_binding(namespace, binding)
    somebody = KubernetesApi(kubernetes_with_kuberay.client(SOMEBODY))
    cluster = placed(smallest(), namespace)
    wait_for("the right is known", lambda: _may(somebody, namespace))
    apply(cluster, api=somebody, wait=False, follow=Follow(_nothing))
    changed = dataclasses.replace(cluster, ray_version="2.59.0")
    apply(changed, api=somebody, wait=False, follow=Follow(_nothing))
    with pytest.raises(KubernetesError, match="did not come up within 1 s"):
        apply(changed, api=somebody, timeout_s=1, follow=Follow(_nothing))
    assert somebody.pods(namespace, "smallest") == []
    assert len(list_states(namespace, api=somebody)) == 1
    delete("smallest", namespace, api=somebody, timeout_s=30, follow=Follow(_nothing))


def _may(api: KubernetesApi, namespace: str) -> bool:
    try:
        return api.list_objects("RayCluster", namespace) == []
    except KubernetesError:
        return False


def test_without_kuberay_it_says_so(tmp_path: Path) -> None:
    without = LocalKubernetes(tmp_path)
    try:
        with pytest.raises(KubernetesError, match=r"knows no ray.io/v1: the KubeRay operator is not installed"):
            apply(placed(smallest(), "default"), api=KubernetesApi(without.client()), follow=Follow(_nothing))
    finally:
        without.close()


def test_kuberays_operator_makes_the_pods_and_the_cluster_gets_ready(
    api: KubernetesApi, namespace: str, operator: LocalKubernetes
) -> None:
    cluster = placed(everything(), namespace)
    lines: list[str] = []
    with Kubelet(operator.client(), namespace):
        state = apply(cluster, api=api, timeout_s=120, follow=Follow(lines.append))
        assert state.phase == "ready", lines
        assert state.detail == "3 of 3 workers ready"
        check_pods(api.pods(namespace, cluster.name))
        delete(cluster.name, namespace, api=api, timeout_s=60, follow=Follow(lines.append))
    assert api.pods(namespace, cluster.name) == []


def check_pods(pods: list[dict[str, Any]]) -> None:
    by_group: dict[str, list[dict[str, Any]]] = {}
    for pod in pods:
        by_group.setdefault(pod["metadata"]["labels"]["ray.io/group"], []).append(pod)
    assert {group: len(entries) for group, entries in by_group.items()} == {"headgroup": 1, "cheap": 2, "gpu": 1}
    head, cheap, gpu = (by_group[group][0]["spec"] for group in ("headgroup", "cheap", "gpu"))
    assert head["nodeSelector"] == {"pool": "head"}
    assert cheap["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert {"operator": "Exists"} in gpu["tolerations"]
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert {entry["name"] for entry in head["containers"]} == {"ray-head", "autoscaler"}
    # The token is KubeRay's, in a Secret; no pod has its value.
    for spec in (head, cheap, gpu):
        token = next(entry for entry in spec["containers"][0]["env"] if entry["name"] == "RAY_AUTH_TOKEN")
        assert "value" not in token
        assert token["valueFrom"]["secretKeyRef"]["name"] == "everything"
    start = " ".join(head["containers"][0]["args"])
    assert "--num-cpus=0" in start
    worker = " ".join(cheap["containers"][0]["args"])
    assert "--num-cpus=4" in worker  # 3.5, which Ray takes in whole numbers only.
    assert by_group["cheap"][0]["metadata"]["labels"]["leman/pool"] == "cheap"
    # What the manifest tells the driver of the nodes that may come is what the operator has Ray start.
    told = next(entry["value"] for entry in head["containers"][0]["env"] if entry["name"] == "LEMAN_RAY_NODE_TYPES")
    for kind, spec in zip(json.loads(told), (cheap, gpu), strict=True):
        flags = dict(re.findall(r"--(num-cpus|num-gpus|memory)=(\d+)", " ".join(spec["containers"][0]["args"])))
        started = {"CPU": flags["num-cpus"], "memory": flags["memory"]}
        if "num-gpus" in flags:
            started["GPU"] = flags["num-gpus"]
        assert {name: str(amount) for name, amount in kind["resources"].items()} == started


def test_kuberays_operator_finds_nothing_wrong_with_a_job_and_ends_it_at_its_deadline(
    api: KubernetesApi, namespace: str, operator: LocalKubernetes
) -> None:
    lines: list[str] = []
    job = placed(fixed_size(), namespace).job("nightly", "leman backfill gs://b/d t c", deadline_seconds=5, retries=0)
    with Kubelet(operator.client(), namespace), pytest.raises(KubernetesError, match="DeadlineExceeded"):
        apply(job, api=api, timeout_s=120, follow=Follow(lines.append))
    assert any("rayjob/nightly is starting: cluster nightly-" in line for line in lines)


@pytest.mark.parametrize("name", ["serviceaccount", "rbac", "raycluster", "job/rayjob"])
def test_the_example_in_deploy_is_taken(name: str, kubernetes_with_kuberay: LocalKubernetes, namespace: str) -> None:
    from kubernetes import client

    manifest = yaml.safe_load((REPOSITORY / f"deploy/gke/{name}.yaml").read_text())
    assert manifest["metadata"]["namespace"] == "leman"
    manifest["metadata"]["namespace"] = namespace
    api_client = kubernetes_with_kuberay.client()
    options: dict[str, Any] = {"dry_run": "All", "field_validation": "Strict"}
    if manifest["kind"] == "ServiceAccount":
        manifest["metadata"]["name"] = "another"
        client.CoreV1Api(api_client).create_namespaced_service_account(namespace, manifest, **options)
    elif manifest["kind"] == "Role":
        client.RbacAuthorizationV1Api(api_client).create_namespaced_role(namespace, manifest, **options)
    else:
        KubernetesApi(api_client).create(manifest, dry_run=True)
