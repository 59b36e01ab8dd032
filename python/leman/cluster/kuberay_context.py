"""A cluster on Kubernetes as the place where backfills run: made, used and deleted by one ``with``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .deployment import TO_STDOUT, Follow
from .kuberay_cluster import KubeRayCluster
from .running_cluster import ExitMode, running

if TYPE_CHECKING:
    from ..ray_executor import RayCluster

# Kubernetes sets it in every container.
_IN_A_POD = "KUBERNETES_SERVICE_HOST"


class KubeRayContext:
    """Has a cluster for as long as a ``with`` block runs, and runs the block's backfills there.

    Made by ``Connection.context(cluster=...)``.

    Parameters
    ----------
    cluster : KubeRayCluster
        The cluster.
    manifest : mapping, optional
        Environment of the workers: ``runtime_env`` of ``leman.ray_cluster``.
    on_exit : ExitMode
        What becomes of the cluster at the end.
    follow : Follow
        Where its coming up is told.

    Raises
    ------
    ConnectionError
        Where this process is no pod's: workers connect to the driver and could not reach it.
    TypeError
        Where ``on_exit`` is something else.
    """

    def __init__(
        self,
        cluster: KubeRayCluster,
        manifest: Mapping[str, Any] | None = None,
        on_exit: ExitMode = ExitMode.DELETE,
        follow: Follow = TO_STDOUT,
    ) -> None:
        if not isinstance(on_exit, ExitMode):
            raise TypeError(f"on_exit={on_exit!r}: expected {', '.join(f'ExitMode.{mode.name}' for mode in ExitMode)}")
        if not os.environ.get(_IN_A_POD):
            raise ConnectionError(
                f"cluster={cluster.name!r}: workers connect to the driver, and this process does not run in a pod, "
                "where they could reach it. Run the script in a pod of the same Kubernetes cluster, or run the job on "
                "the cluster's head: leman cluster apply FILE:NAME --entrypoint 'leman backfill …', or "
                "cluster.job(name, entrypoint)"
            )
        self._cluster = cluster
        self._manifest = manifest
        self._on_exit = on_exit
        self._follow = follow
        self._held: contextlib.ExitStack | None = None

    def __repr__(self) -> str:
        return f"KubeRayContext({self._cluster.name!r}, on_exit=ExitMode.{self._on_exit.name})"

    def __enter__(self) -> RayCluster:
        from ..ray_executor import ray_cluster

        address = self._cluster.ray_address
        ray = ray_cluster(address, runtime_env=self._manifest)
        with contextlib.ExitStack() as stack:
            stack.enter_context(running(self._cluster, on_exit=self._on_exit, follow=self._follow))
            try:
                stack.enter_context(ray)
            except ConnectionError as error:
                raise ConnectionError(self._unreachable(address, error)) from error
            self._held = stack.pop_all()
        return ray

    def __exit__(self, *exception: Any) -> None:
        held, self._held = self._held, None
        assert held is not None
        held.__exit__(*exception)

    def _unreachable(self, address: str, error: ConnectionError) -> str:
        token = ""
        if self._cluster.token_authentication and not os.environ.get("RAY_AUTH_TOKEN"):
            token = (
                "; this cluster asks for Ray's token, and this pod has none: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "
                f"from the key auth_token of the Secret {self._cluster.name!r}"
            )
        reason = str(error).strip().split("\n")[0]
        return (
            f"cluster={self._cluster.name!r} is up, but its head does not answer at {address}: {reason}. The pod of "
            "this process has to be of the same Kubernetes cluster, and no NetworkPolicy may keep it from the head"
            f"{token}"
        )
