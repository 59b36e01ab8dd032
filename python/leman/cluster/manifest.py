"""The Kubernetes objects of a cluster and of a job, as KubeRay's API ``ray.io/v1`` defines them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from .. import ray_node_types
from ..errors import KubernetesError
from .environment import SecretKeyRef, environment_entries
from .quantity import cpu_text, memory_text

if TYPE_CHECKING:
    from .kuberay_cluster import KubeRayCluster
    from .kuberay_job import KubeRayJob
    from .pod_group import PodSettings, WorkerGroup

API_GROUP = "ray.io"
API_VERSION = "v1"
MANAGED_BY = "app.kubernetes.io/managed-by"
_PORTS = (("gcs", 6379), ("dashboard", 8265), ("client", 10001))
# Ray starts its workers at niceness 15, which starves a function beside anything else on the node.
_EVERYWHERE: dict[str, str | SecretKeyRef] = {"RAY_worker_niceness": "0"}
# The driver runs on the head: there `leman backfill` takes the cluster without being told to.
_ON_THE_HEAD: dict[str, str | SecretKeyRef] = {"LEMAN_EXECUTOR": "ray"}
_CONFIG_FOLDER = "/etc/leman"


def cluster_manifest(cluster: KubeRayCluster) -> dict[str, Any]:
    """Return the RayCluster object."""
    return {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": "RayCluster",
        "metadata": {"name": cluster.name, "namespace": cluster.namespace, "labels": {MANAGED_BY: "leman"}},
        "spec": _cluster_spec(cluster),
    }


def job_manifest(job: KubeRayJob) -> dict[str, Any]:
    """Return the RayJob object."""
    spec: dict[str, Any] = {
        "entrypoint": job.entrypoint,
        "backoffLimit": job.retries,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": job.keep_seconds,
    }
    if job.deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = job.deadline_seconds
    if job.runtime_env:
        spec["runtimeEnvYAML"] = json.dumps(job.runtime_env, sort_keys=True)  # JSON is YAML.
    spec["rayClusterSpec"] = _cluster_spec(job.cluster)
    return {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": "RayJob",
        "metadata": {"name": job.name, "namespace": job.namespace, "labels": {MANAGED_BY: "leman"}},
        "spec": spec,
    }


def _cluster_spec(cluster: KubeRayCluster) -> dict[str, Any]:
    autoscaled = cluster.is_autoscaled
    spec: dict[str, Any] = {"rayVersion": cluster.ray_version}
    if cluster.token_authentication:
        spec["authOptions"] = {"mode": "token"}
    if autoscaled:
        # Only the second version of Ray's autoscaler has an idle time for each group.
        spec["enableInTreeAutoscaling"] = True
        spec["autoscalerOptions"] = {"version": "v2", "upscalingMode": "Default"}
    spec["headGroupSpec"] = _head_group(cluster.head, autoscaled, _node_types(cluster) if autoscaled else {})
    image = cluster.head.image
    spec["workerGroupSpecs"] = [_worker_group(group, image, autoscaled) for group in cluster.worker_groups]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        for index, (path, claim) in enumerate(cluster.shared_volumes.items()):
            volume = {"persistentVolumeClaim": {"claimName": claim}}
            _mount(f"shared-{index}", path, volume, group["template"]["spec"])
    if cluster.keys_secret is not None:
        # Where it is missing the head still starts, and a job says which key it misses.
        head = spec["headGroupSpec"]["template"]["spec"]
        _mount(
            "keys",
            f"{_CONFIG_FOLDER}/trusted_keys",
            {"secret": {"secretName": cluster.keys_secret, "optional": True}},
            head,
        )
        head["containers"][0]["env"] += environment_entries({"LEMAN_CONFIG_DIR": _CONFIG_FOLDER})
    return spec


def _mount(name: str, path: str, volume: dict[str, Any], pod: dict[str, Any]) -> None:
    is_secret = "secret" in volume
    pod.setdefault("volumes", []).append({"name": name, **volume})
    mount = {"name": name, "mountPath": path, **({"readOnly": True} if is_secret else {})}
    pod["containers"][0].setdefault("volumeMounts", []).append(mount)


def _node_types(cluster: KubeRayCluster) -> dict[str, str | SecretKeyRef]:
    """Return the variable that tells a driver on the head what the autoscaler could make."""
    types = []
    for group in cluster.worker_groups:
        # KubeRay gives Ray whole CPUs.
        resources: dict[str, float] = {"CPU": math.ceil(group.pod.cpu_millis / 1000), "memory": group.pod.memory_bytes}
        if group.pod.gpus:
            resources["GPU"] = group.pod.gpus
        if group.max_replicas:
            types.append((resources, {"ray.io/node-group": str(group.name), **group.pod.labels}))
    return {ray_node_types.VARIABLE: ray_node_types.node_types_text(types)}


def _head_group(head: PodSettings, autoscaled: bool, more: dict[str, str | SecretKeyRef]) -> dict[str, Any]:
    container = _container("ray-head", head, head.image, {**_EVERYWHERE, **_ON_THE_HEAD, **more, **head.env_vars})
    container["ports"] = [{"name": name, "containerPort": port} for name, port in _PORTS]
    template = _pod_template(head, container, autoscaled)
    # The node that the head runs on must not be taken away because it looks idle.
    template["metadata"]["annotations"] = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    # No CPUs for Ray, so no function runs here; the dashboard is reached through the head's service in the cluster.
    group: dict[str, Any] = {"rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"}, "template": template}
    if head.labels:
        group["labels"] = dict(head.labels)
    return group


def _worker_group(group: WorkerGroup, head_image: str | None, autoscaled: bool) -> dict[str, Any]:
    pod = group.pod
    container = _container("ray-worker", pod, pod.image or head_image, {**_EVERYWHERE, **pod.env_vars})
    template = _pod_template(pod, container, autoscaled)
    template["spec"]["automountServiceAccountToken"] = False  # Only the autoscaler, on the head, talks to Kubernetes.
    described: dict[str, Any] = {
        "groupName": group.name,
        "replicas": group.replicas,
        "minReplicas": group.min_replicas,
        "maxReplicas": group.max_replicas,
    }
    if autoscaled:
        described["idleTimeoutSeconds"] = group.idle_timeout_seconds
    if pod.labels:
        described["labels"] = dict(pod.labels)
    return {**described, "rayStartParams": {}, "template": template}


def _container(name: str, pod: PodSettings, image: str | None, variables: dict[str, Any]) -> dict[str, Any]:
    amounts = {"cpu": cpu_text(pod.cpu_millis), "memory": memory_text(pod.memory_bytes)}
    if pod.gpus:
        amounts["nvidia.com/gpu"] = str(pod.gpus)
    return {
        "name": name,
        "image": image,
        "env": environment_entries(variables),
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _pod_template(pod: PodSettings, container: dict[str, Any], autoscaled: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"serviceAccountName": pod.service_account}
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [dict(entry) for entry in pod.tolerations]
    if autoscaled:
        spec["restartPolicy"] = "Never"  # KubeRay's rule for the second version of the autoscaler.
    spec["containers"] = [container]
    return {"metadata": {"labels": dict(pod.labels)} if pod.labels else {}, "spec": spec}


def to_yaml(manifest: dict[str, Any]) -> str:
    """Return a manifest as YAML.

    Raises
    ------
    KubernetesError
        Where the extra is not installed.
    """
    return str(_import_yaml().safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120))


def from_yaml(text: str) -> Any:
    """Return the one document of a YAML text.

    Raises
    ------
    ValueError
        Where it is not YAML, or holds several documents.
    KubernetesError
        Where the extra is not installed.
    """
    yaml = _import_yaml()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not one YAML document: {error}") from None


def _import_yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise KubernetesError(
            "YAML needs a package that is not installed: pip install 'leman[kubernetes]'. JSON needs none."
        ) from None
    return yaml
