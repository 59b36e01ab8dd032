"""Builders of worker groups: each method sets one thing, checks it at the call and returns the builder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..argument_checks import closest, integer
from .kubernetes_names import label_map
from .pod_group import (
    CPU_WORKER_SELECTOR,
    GPU_TOLERATION,
    GPU_WORKER_SELECTOR,
    LEAST_GPU_WORKER_BYTES,
    PodSettings,
    WorkerGroup,
    checked_setting,
    group_name,
    warn_about_size,
)
from .quantity import gibibytes

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULT_MAX_REPLICAS = 100
_DEFAULT_IDLE_TIMEOUT_SECONDS = 60
_MAX_REPLICAS = 2**31 - 1  # The schema's int32.
_SPOT = "cloud.google.com/gke-spot"


class _WorkerBuilder:
    """What CPU and GPU workers have in common."""

    _kind = ""

    def __init__(self, pod: PodSettings) -> None:
        self._pod = pod
        self._name: str | None = None
        self._replicas: int | None = None
        self._min_replicas = 0
        self._max_replicas = _DEFAULT_MAX_REPLICAS
        self._idle_timeout_seconds = _DEFAULT_IDLE_TIMEOUT_SECONDS

    if not TYPE_CHECKING:  # A type checker finds a slip by itself.

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(unknown_method(self, name, {}))

    def _set(self, argument: str, value: object) -> Self:
        self._pod = dataclasses.replace(self._pod, **checked_setting(argument, value))
        return self

    def name(self, name: str) -> Self:
        """Name the group; by default ``cpu`` or ``gpu``, numbered where there are several."""
        self._name = group_name(name)
        return self

    def image(self, image: str) -> Self:
        """Set the container image; by default the head's."""
        return self._set("image", image)

    def cpus(self, cpus: float | str) -> Self:
        """Set the CPUs of a pod, e.g. ``4``, ``0.5`` or ``"500m"``."""
        return self._set("cpus", cpus)

    def memory(self, memory: str | int) -> Self:
        """Set the memory of a pod, e.g. ``"8Gi"``, or in bytes."""
        return self._set("memory", memory)

    def service_account(self, service_account: str) -> Self:
        """Set the Kubernetes service account of the pods."""
        return self._set("service_account", service_account)

    def node_selector(self, node_selector: dict[str, str]) -> Self:
        """Set the labels that a node must have, in place of the default ones; ``{}`` takes any node."""
        return self._set("node_selector", node_selector)

    def labels(self, labels: dict[str, str]) -> Self:
        """Set labels of the pods; they become labels of the Ray nodes, too, which a job's label selector can name."""
        return self._set("labels", labels)

    def tolerations(self, tolerations: list[dict[str, object] | str]) -> Self:
        """Set the taints that the pods bear, in place of the default ones.

        Each is a dict as in a pod's manifest, or a taint as kubectl writes it: ``"dedicated=leman:NoSchedule"``.
        """
        return self._set("tolerations", tolerations)

    def env_vars(self, env_vars: dict[str, Any]) -> Self:
        """Set environment variables; values are str, or :class:`SecretKeyRef` for a secret."""
        return self._set("env_vars", env_vars)

    def spot(self) -> Self:
        """Use spot machines of GKE: their label is added to the node selector and their taint to the tolerations."""
        taint: dict[str, object] = {"key": _SPOT, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
        self._pod = dataclasses.replace(
            self._pod,
            node_selector={**self._pod.node_selector, _SPOT: "true"},
            tolerations=(*(entry for entry in self._pod.tolerations if entry != taint), taint),
        )
        return self

    def gke_node_pool(self, name: str) -> Self:
        """Use the nodes of one GKE node pool, by its name, in place of the default node selector."""
        return self._set("node_selector", label_map("name", {"cloud.google.com/gke-nodepool": name}))

    def replicas(self, replicas: int) -> Self:
        """Set the pods at the start (1)."""
        self._replicas = _count("replicas", replicas)
        return self

    def min_replicas(self, min_replicas: int) -> Self:
        """Set the least pods that the autoscaler keeps (0)."""
        self._min_replicas = _count("min_replicas", min_replicas)
        return self

    def max_replicas(self, max_replicas: int) -> Self:
        """Set the most pods that the autoscaler makes (100)."""
        self._max_replicas = _count("max_replicas", max_replicas)
        return self

    def idle_timeout_seconds(self, idle_timeout_seconds: int) -> Self:
        """Set how long the autoscaler leaves an idle pod (60 s)."""
        self._idle_timeout_seconds = _count("idle_timeout_seconds", idle_timeout_seconds)
        return self

    def build(self) -> WorkerGroup:
        """Return the group.

        Raises
        ------
        ValueError
            Where the numbers of replicas contradict each other.

        Warns
        -----
        UserWarning
            Above 100 GB of memory, or 16 GiB a CPU.
        """
        low, high = self._min_replicas, self._max_replicas
        if low > high:
            raise ValueError(f"min_replicas={low}: more than max_replicas={high}; raise .max_replicas()")
        replicas = min(max(1, low), high) if self._replicas is None else self._replicas
        if replicas > high:
            raise ValueError(f"replicas={replicas}: more than max_replicas={high}; raise .max_replicas()")
        if replicas < low:
            raise ValueError(f"replicas={replicas}: less than min_replicas={low}; lower .min_replicas()")
        warn_about_size(f"worker group {self._name or self._kind!r}", self._pod, stacklevel=2)
        return WorkerGroup(self._name, self._kind, self._pod, replicas, low, high, self._idle_timeout_seconds)


class CpuWorkerBuilder(_WorkerBuilder):
    """Builds a group of workers without GPUs: 4 CPUs, 8 GiB, 1 replica of 0 to 100, 60 s idle.

    Examples
    --------
    >>> group = CpuWorkerBuilder().cpus(8).memory("16Gi").max_replicas(20).build()
    >>> group.replicas, group.min_replicas, group.max_replicas
    (1, 0, 20)
    """

    _kind = "cpu"

    def __init__(self) -> None:
        super().__init__(PodSettings(4000, 8 * 2**30, node_selector=dict(CPU_WORKER_SELECTOR)))


class GpuWorkerBuilder(_WorkerBuilder):
    """Builds a group of workers with GPUs: 8 CPUs, 16 GiB, 1 GPU, 1 replica of 0 to 100, 60 s idle.

    Parameters
    ----------
    gpus : int
        GPUs of a pod.

    Examples
    --------
    >>> GpuWorkerBuilder().accelerator("nvidia-l4").build().pod.gpus
    1
    """

    _kind = "gpu"

    def __init__(self, gpus: int = 1) -> None:
        super().__init__(
            PodSettings(
                8000, 16 * 2**30, 1, node_selector=dict(GPU_WORKER_SELECTOR), tolerations=(dict(GPU_TOLERATION),)
            )
        )
        self.gpus(gpus)

    def gpus(self, gpus: int) -> Self:
        """Set the GPUs of a pod (1)."""
        return self._set("gpus", integer("gpus", gpus, minimum=1))

    def memory(self, memory: str | int) -> Self:
        """Set the memory of a pod; at least 4 GiB, which CUDA libraries and a model's loading need."""
        settings = checked_setting("memory", memory)
        if settings["memory_bytes"] < LEAST_GPU_WORKER_BYTES:
            raise ValueError(
                f"memory={memory!r}: that is {gibibytes(settings['memory_bytes'])}; a GPU worker needs at least 4 GiB"
            )
        self._pod = dataclasses.replace(self._pod, **settings)
        return self

    def accelerator(self, accelerator: str) -> Self:
        """Use nodes of GKE with that GPU, e.g. ``"nvidia-l4"``: its label is added to the node selector."""
        label = label_map("accelerator", {"cloud.google.com/gke-accelerator": accelerator})
        self._pod = dataclasses.replace(self._pod, node_selector={**self._pod.node_selector, **label})
        return self


def unknown_method(builder: object, name: str, not_needed: Mapping[str, str]) -> str:
    """Return what to say of a method that a builder does not have."""
    kind = type(builder).__name__
    if name in not_needed:
        return f"{kind} has no {name!r}, and needs none: {not_needed[name]}"
    return f"{kind} has no {name!r}.{closest(name, [entry for entry in dir(type(builder)) if entry[0] != '_'])}"


def _count(argument: str, value: object) -> int:
    count = integer(argument, value, minimum=0)
    if count > _MAX_REPLICAS:
        raise ValueError(f"{argument}={count}: expected at most {_MAX_REPLICAS}")
    return count
