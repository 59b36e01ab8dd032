"""The pods of a Ray cluster: one head, and groups of workers that are all alike."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

from ..argument_checks import integer
from .environment import SecretKeyRef, environment
from .kubernetes_names import dns_label, image_reference, label_map, object_name, tolerations
from .quantity import cpu_millis, cpu_text, gibibytes, memory_bytes

# The defaults and thresholds are those of the page "Distributed Job Performance and Cluster Sizing".
DEFAULT_SERVICE_ACCOUNT = "leman"
HEAD_SELECTOR = {"leman/ray-head": "true"}
CPU_WORKER_SELECTOR = {"leman/ray-worker-cpu": "true"}
GPU_WORKER_SELECTOR = {"leman/ray-worker-gpu": "true"}
GPU_TOLERATION: dict[str, object] = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
LEAST_GPU_WORKER_BYTES = 4 * 2**30
LARGE_MEMORY_BYTES = 100 * 10**9
LARGE_BYTES_PER_CPU = 16 * 2**30


@dataclasses.dataclass(frozen=True)
class PodSettings:
    """What every pod of a group is: its image, resources, place and environment.

    Attributes
    ----------
    cpu_millis : int
        CPUs in thousandths; both the request and the limit.
    memory_bytes : int
        Memory in bytes; both the request and the limit.
    gpus : int
        GPUs (``nvidia.com/gpu``).
    image : str or None
        Container image; ``None`` for a worker means the head's.
    service_account : str
        Kubernetes service account, which on a cloud carries the right to read and write the bucket.
    node_selector, labels : dict of str to str
        Labels that a node must have, and labels of the pods and Ray nodes.
    tolerations : tuple of dict
        Taints that the pods bear.
    env_vars : dict of str to str or SecretKeyRef
        Environment variables.
    """

    cpu_millis: int
    memory_bytes: int
    gpus: int = 0
    image: str | None = None
    service_account: str = DEFAULT_SERVICE_ACCOUNT
    node_selector: dict[str, str] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    tolerations: tuple[dict[str, object], ...] = ()
    env_vars: dict[str, str | SecretKeyRef] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class WorkerGroup:
    """A group of worker pods, as :class:`CpuWorkerBuilder` and :class:`GpuWorkerBuilder` make it.

    Attributes
    ----------
    name : str or None
        The group's name; ``None`` lets the cluster name it ``cpu`` or ``gpu``.
    kind : str
        ``"cpu"`` or ``"gpu"``.
    pod : PodSettings
        What each pod is.
    replicas, min_replicas, max_replicas : int
        Pods at the start, and the autoscaler's bounds.
    idle_timeout_seconds : int
        How long the autoscaler leaves an idle pod.
    """

    name: str | None
    kind: str
    pod: PodSettings
    replicas: int
    min_replicas: int
    max_replicas: int
    idle_timeout_seconds: int


# How each setting of a pod is checked; the keys are the public argument names.
def checked_setting(argument: str, value: object) -> dict[str, Any]:
    """Check one public argument of a pod and return the fields of :class:`PodSettings` that it sets."""
    if argument == "cpus":
        return {"cpu_millis": cpu_millis(argument, value)}
    if argument == "memory":
        return {"memory_bytes": memory_bytes(argument, value)}
    if argument == "gpus":
        return {"gpus": integer(argument, value, minimum=0)}
    check = {
        "image": image_reference,
        "service_account": object_name,
        "node_selector": label_map,
        "labels": label_map,
        "tolerations": tolerations,
        "env_vars": environment,
    }[argument]
    return {argument: check(argument, value)}


def warn_about_size(group: str, pod: PodSettings, stacklevel: int) -> None:
    """Warn where a pod's memory is probably a mistake."""
    if pod.memory_bytes > LARGE_MEMORY_BYTES:
        warnings.warn(
            f"{group}: memory of {gibibytes(pod.memory_bytes)} is more than 100 GB; a node of the pool must have that "
            "much free, or its pods stay pending",
            stacklevel=stacklevel + 1,
        )
    if pod.memory_bytes * 1000 > LARGE_BYTES_PER_CPU * pod.cpu_millis:
        warnings.warn(
            f"{group}: {gibibytes(pod.memory_bytes)} for {cpu_text(pod.cpu_millis)} CPUs is more than 16 GiB a CPU, "
            "which few machine types have; check cpus and memory",
            stacklevel=stacklevel + 1,
        )


def group_name(value: object) -> str:
    """Return a worker group's name."""
    name = dns_label("name", value, 40)
    if name == "headgroup":  # KubeRay labels the head's pod so.
        raise ValueError("name='headgroup': that is the name of the head's group; choose another")
    return name
