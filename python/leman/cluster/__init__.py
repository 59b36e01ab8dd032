"""Ray clusters on Kubernetes, made by KubeRay: defined, rendered as manifests, applied, watched and deleted.

>>> from leman.cluster import KubeRayClusterBuilder
>>> cluster = (
...     KubeRayClusterBuilder.create("embeddings")
...     .head_group(image="registry.example.com/leman:1.0")
...     .add_worker_group(KubeRayClusterBuilder.cpu_worker().cpus(8).memory("16Gi"))
...     .build()
... )
>>> cluster.to_manifest()["kind"]
'RayCluster'

Defining and rendering need nothing but Leman; YAML and the Kubernetes API need the extra ``leman[kubernetes]``.
"""

from __future__ import annotations

from .deployment import apply, delete, list_states, status
from .environment import SecretKeyRef
from .kuberay_cluster import K8sConfigMethod, KubeRayCluster, KubeRayClusterBuilder
from .kuberay_job import KubeRayJob
from .kubernetes_api import KubernetesApi
from .object_state import ObjectState
from .pod_group import PodSettings, WorkerGroup
from .running_cluster import ExitMode, running
from .worker_builder import CpuWorkerBuilder, GpuWorkerBuilder

__all__ = [
    "CpuWorkerBuilder",
    "ExitMode",
    "GpuWorkerBuilder",
    "K8sConfigMethod",
    "KubeRayCluster",
    "KubeRayClusterBuilder",
    "KubeRayJob",
    "KubernetesApi",
    "ObjectState",
    "PodSettings",
    "SecretKeyRef",
    "WorkerGroup",
    "apply",
    "delete",
    "list_states",
    "running",
    "status",
]
