"""A Ray cluster on Kubernetes as a value, and its builder."""

from __future__ import annotations

import dataclasses
import enum
import posixpath
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .. import argument_checks
from .kuberay_job import KubeRayJob
from .kubernetes_names import MAX_CLUSTER_NAME, dns_label, object_name
from .manifest import cluster_manifest, to_yaml
from .pod_group import (
    DEFAULT_SERVICE_ACCOUNT,
    HEAD_SELECTOR,
    PodSettings,
    WorkerGroup,
    checked_setting,
    warn_about_size,
)
from .worker_builder import CpuWorkerBuilder, GpuWorkerBuilder, unknown_method

DEFAULT_NAMESPACE = "leman"
# Methods that Geneva's builder has and this one does not need.
_NOT_NEEDED = {
    "ray_init_kwargs": "a runtime environment is the job's: .job(runtime_env=…), or leman.ray_cluster(runtime_env=…)",
    "aws_config": "a kubeconfig knows its cluster: `aws eks update-kubeconfig` makes one",
    "portforwarding": "the driver runs inside of Kubernetes, where it reaches Ray",
}
RAY_VERSION = "2.60.0"  # That of the extra `leman[ray]`.


class K8sConfigMethod(enum.Enum):
    """Where the address and credentials of the Kubernetes API come from."""

    LOCAL = "local"
    """The kubeconfig: ``$KUBECONFIG``, or ``~/.kube/config``."""
    IN_CLUSTER = "in-cluster"
    """The service account of the pod that this runs in."""


@dataclasses.dataclass(frozen=True)
class KubeRayCluster:
    """A Ray cluster that KubeRay makes; built by :class:`KubeRayClusterBuilder`.

    Attributes
    ----------
    name, namespace : str
        The RayCluster object's name and namespace.
    head : PodSettings
        The head's pod.
    worker_groups : tuple of WorkerGroup
        The workers.
    ray_version : str
        The version of Ray in the images.
    token_authentication : bool
        Whether Ray asks for a token; KubeRay makes it and hands it to the pods.
    config_method : K8sConfigMethod
        How ``leman.cluster.apply`` finds the Kubernetes API; not part of the manifest.
    shared_volumes : dict of str to str
        Folder of every pod: PersistentVolumeClaim that is mounted there.
    keys_secret : str or None
        The Secret with the keys whose functions the driver on the head trusts.
    """

    name: str
    namespace: str
    head: PodSettings
    worker_groups: tuple[WorkerGroup, ...]
    ray_version: str = RAY_VERSION
    token_authentication: bool = True
    config_method: K8sConfigMethod = K8sConfigMethod.LOCAL
    shared_volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    keys_secret: str | None = None

    @property
    def is_autoscaled(self) -> bool:
        """Whether any group may change its size."""
        return any(group.min_replicas < group.max_replicas for group in self.worker_groups)

    @property
    def ray_address(self) -> str:
        """The address for a Ray client in the same Kubernetes cluster, ``ray://…``."""
        return f"ray://{self.name}-head-svc.{self.namespace}.svc.cluster.local:10001"

    def to_manifest(self) -> dict[str, Any]:
        """Return the RayCluster object, ready for ``kubectl apply`` or the Kubernetes API."""
        return cluster_manifest(self)

    def to_yaml(self) -> str:
        """Return the manifest as YAML; needs the extra ``leman[kubernetes]``."""
        return to_yaml(self.to_manifest())

    def job(self, name: str, entrypoint: str | Sequence[str], **options: Any) -> KubeRayJob:
        """Return a job that makes this cluster, runs one command on its head, and removes it again.

        Parameters
        ----------
        name : str
            The RayJob object's name, at most 47 characters.
        entrypoint : str or sequence of str
            The command, e.g. ``"leman backfill gs://bucket/db texts embedding"``.
        **options
            ``retries``, ``deadline_seconds``, ``keep_seconds``, ``runtime_env``: see :class:`KubeRayJob`.

        Raises
        ------
        TypeError, ValueError
            Where an argument is not valid, or the command holds a secret.
        """
        known = ("retries", "deadline_seconds", "keep_seconds", "runtime_env")
        argument_checks.reject_unknown("job", {key: 0 for key in options if key not in known}, known)
        return KubeRayJob.create(self, name, entrypoint, **options)


class KubeRayClusterBuilder:
    """Builds a :class:`KubeRayCluster`; each method checks its arguments at the call and returns the builder.

    The names and defaults are those of Geneva's public documentation, so that a definition can be carried over; the
    default node selectors and service account are Leman's own.

    Examples
    --------
    >>> cluster = (
    ...     KubeRayClusterBuilder.create("embeddings")
    ...     .namespace("leman")
    ...     .head_group(image="registry.example.com/leman:1.0")
    ...     .add_worker_group(KubeRayClusterBuilder.cpu_worker().max_replicas(20))
    ...     .add_worker_group(KubeRayClusterBuilder.gpu_worker().accelerator("nvidia-l4").spot())
    ...     .build()
    ... )
    >>> [group.name for group in cluster.worker_groups]
    ['cpu', 'gpu']
    """

    def __init__(self, name: str) -> None:
        self._name = dns_label("name", name, MAX_CLUSTER_NAME)
        self._namespace = DEFAULT_NAMESPACE
        self._head = PodSettings(4000, 8 * 2**30, node_selector=dict(HEAD_SELECTOR))
        self._worker_groups: list[WorkerGroup] = []
        self._ray_version = RAY_VERSION
        self._token_authentication = True
        self._config_method = K8sConfigMethod.LOCAL
        self._shared_volumes: dict[str, str] = {}
        self._keys_secret: str | None = None

    if not TYPE_CHECKING:  # A type checker finds a slip by itself.

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(unknown_method(self, name, _NOT_NEEDED))

    @staticmethod
    def create(name: str) -> KubeRayClusterBuilder:
        """Return a builder of the cluster of that name: at most 53 lower-case letters, digits and ``-``."""
        return KubeRayClusterBuilder(name)

    @staticmethod
    def cpu_worker() -> CpuWorkerBuilder:
        """Return a builder of a group of CPU workers."""
        return CpuWorkerBuilder()

    @staticmethod
    def gpu_worker(gpus: int = 1) -> GpuWorkerBuilder:
        """Return a builder of a group of GPU workers."""
        return GpuWorkerBuilder(gpus)

    def namespace(self, namespace: str) -> KubeRayClusterBuilder:
        """Set the Kubernetes namespace (``leman``)."""
        self._namespace = dns_label("namespace", namespace)
        return self

    def config_method(self, config_method: K8sConfigMethod) -> KubeRayClusterBuilder:
        """Set how ``leman.cluster.apply`` finds the Kubernetes API (``K8sConfigMethod.LOCAL``)."""
        if not isinstance(config_method, K8sConfigMethod):
            raise TypeError(
                f"config_method={config_method!r}: expected K8sConfigMethod.LOCAL or .IN_CLUSTER. For EKS, "
                "`aws eks update-kubeconfig` makes a kubeconfig for LOCAL"
            )
        self._config_method = config_method
        return self

    def ray_version(self, ray_version: str) -> KubeRayClusterBuilder:
        """Set the version of Ray in the images (that of ``leman[ray]``)."""
        version = argument_checks.text("ray_version", ray_version)
        if not all(part.isdigit() for part in version.split(".")) or version.count(".") != 2:
            raise ValueError(f"ray_version={ray_version!r}: expected a version such as '2.60.0'")
        self._ray_version = version
        return self

    def token_authentication(self, enabled: bool) -> KubeRayClusterBuilder:
        """Set whether Ray asks for a token (True); that needs KubeRay 1.5 and Ray 2.52 or newer."""
        if not isinstance(enabled, bool):
            raise TypeError(f"enabled={enabled!r}: expected True or False, got {type(enabled).__name__}")
        self._token_authentication = enabled
        return self

    def shared_volume(self, claim: str, path: str) -> KubeRayClusterBuilder:
        """Mount a PersistentVolumeClaim in every pod, for tables on a file system that all nodes share.

        Parameters
        ----------
        claim : str
            The claim's name; it must allow ``ReadWriteMany``.
        path : str
            The folder where it appears, e.g. ``"/data"``.
        """
        folder = argument_checks.text("path", path)
        if not folder.startswith("/") or ":" in folder or len(folder) < 2 or folder != posixpath.normpath(folder):
            raise ValueError(f"path={path!r}: expected an absolute folder such as '/data'")
        if folder in self._shared_volumes:
            raise ValueError(f"path={path!r}: {self._shared_volumes[folder]!r} is mounted there already")
        self._shared_volumes[folder] = object_name("claim", claim)
        return self

    def trusted_keys(self, secret: str) -> KubeRayClusterBuilder:
        """Let a driver on the head run functions that are stored in tables, if one of these keys signed them.

        Parameters
        ----------
        secret : str
            A Kubernetes Secret of the namespace; each of its keys is a file of ``trusted_keys`` (docs/guide.md, Trust):
            ``kubectl create secret generic leman-keys --from-file me.json=$HOME/.config/leman/signing_key.json``.
        """
        self._keys_secret = object_name("secret", secret)
        return self

    def head_group(
        self,
        *,
        image: str | None = None,
        cpus: float | str = 4,
        memory: str | int = "8Gi",
        gpus: int = 0,
        service_account: str = DEFAULT_SERVICE_ACCOUNT,
        node_selector: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        tolerations: Sequence[dict[str, object] | str] = (),
        env_vars: dict[str, Any] | None = None,
    ) -> KubeRayClusterBuilder:
        """Set the head's pod, which runs Ray's control store, its dashboard and the driver, and no function.

        Parameters
        ----------
        image : str
            Container image with Ray, Leman and what the functions import; ``deploy/Dockerfile`` makes one. Workers use
            it unless they name another.
        cpus : float or str
            CPUs, e.g. ``4``, ``0.5`` or ``"500m"``.
        memory : str or int
            Memory, e.g. ``"8Gi"``, or in bytes.
        gpus : int
            GPUs.
        service_account : str
            Kubernetes service account.
        node_selector : dict of str to str, optional
            Labels that a node must have, by default ``{"leman/ray-head": "true"}``; ``{}`` takes any node.
        labels : dict of str to str, optional
            Labels of the pod and the Ray node.
        tolerations : sequence of dict or str
            Taints that the pod bears, as in a manifest or as ``"key=value:Effect"``.
        env_vars : dict of str to str or SecretKeyRef, optional
            Environment variables.

        Raises
        ------
        TypeError, ValueError
            Where an argument is not valid.

        Warns
        -----
        UserWarning
            Above 100 GB of memory, or 16 GiB a CPU.
        """
        given: dict[str, object] = {
            "cpus": cpus,
            "memory": memory,
            "gpus": gpus,
            "service_account": service_account,
            "node_selector": HEAD_SELECTOR if node_selector is None else node_selector,
            "labels": {} if labels is None else labels,
            "tolerations": tolerations,
            "env_vars": {} if env_vars is None else env_vars,
        }
        if image is not None:
            given["image"] = image
        settings: dict[str, Any] = {}
        for argument, value in given.items():
            settings.update(checked_setting(argument, value))
        self._head = PodSettings(**settings)
        warn_about_size("the head", self._head, stacklevel=2)
        return self

    def add_worker_group(self, group: WorkerGroup | CpuWorkerBuilder | GpuWorkerBuilder) -> KubeRayClusterBuilder:
        """Add workers: ``KubeRayClusterBuilder.cpu_worker()`` or ``gpu_worker()``, built or not."""
        built = group.build() if isinstance(group, (CpuWorkerBuilder, GpuWorkerBuilder)) else group
        if not isinstance(built, WorkerGroup):
            raise TypeError(
                f"group={group!r}: expected KubeRayClusterBuilder.cpu_worker() or gpu_worker(), "
                f"got {type(group).__name__}"
            )
        if built.name is not None and any(other.name == built.name for other in self._worker_groups):
            raise ValueError(f"group: a worker group is named {built.name!r} already; give this one another .name()")
        self._worker_groups.append(built)
        return self

    def build(self) -> KubeRayCluster:
        """Return the cluster.

        Raises
        ------
        ValueError
            Where no image is named, or there is no worker group.
        """
        if self._head.image is None:
            raise ValueError(
                "no image: set .head_group(image=...). It needs Ray, Leman and what your functions import, for Python "
                f"{sys.version_info.major}.{sys.version_info.minor}, this one; deploy/Dockerfile makes one"
            )
        if not self._worker_groups:
            raise ValueError(
                "no worker group: the head computes nothing. Add .add_worker_group(KubeRayClusterBuilder.cpu_worker())"
            )
        return KubeRayCluster(
            self._name,
            self._namespace,
            self._head,
            tuple(_named(self._worker_groups)),
            self._ray_version,
            self._token_authentication,
            self._config_method,
            dict(self._shared_volumes),
            self._keys_secret,
        )


def _named(groups: Sequence[WorkerGroup]) -> list[WorkerGroup]:
    """Give each group without a name its kind's, numbered from the second on."""
    taken = {group.name for group in groups}
    named = []
    for group in groups:
        if group.name is None:
            names = (group.kind if count == 1 else f"{group.kind}-{count}" for count in range(1, len(groups) + 2))
            name = next(name for name in names if name not in taken)
            taken.add(name)
            group = dataclasses.replace(group, name=name)
        named.append(group)
    return named
