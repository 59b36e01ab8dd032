"""A cluster for as long as a block of Python runs."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator

from ..errors import KubernetesError, KubernetesNotFoundError
from .deployment import DEFAULT_TIMEOUT_S, TO_STDOUT, Follow, apply, delete
from .kuberay_cluster import KubeRayCluster
from .kubernetes_api import KubernetesApi
from .object_state import ObjectState


class ExitMode(enum.Enum):
    """What becomes of a cluster at the end of ``with running(...)``; the names are those of Geneva's documentation."""

    DELETE = "delete"
    """It is deleted, whatever happened."""
    RETAIN_ON_FAILURE = "retain_on_failure"
    """It is deleted, unless the body raised: then it stays, to be looked at."""
    RETAIN = "retain"
    """It stays."""


@contextlib.contextmanager
def running(
    cluster: KubeRayCluster,
    *,
    api: KubernetesApi | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    on_exit: ExitMode = ExitMode.DELETE,
    follow: Follow = TO_STDOUT,
) -> Iterator[ObjectState]:
    """Have a cluster for as long as the body runs: it is applied, waited for, and deleted.

    Workers connect to the driver, so the body must run where pods can reach it: in a pod of the same cluster.

    Parameters
    ----------
    cluster : KubeRayCluster
        The cluster; ``cluster.ray_address`` is where Ray answers.
    api, timeout_s, follow
        As for :func:`apply`.
    on_exit : ExitMode
        What becomes of it at the end (``ExitMode.DELETE``).

    Yields
    ------
    ObjectState
        The cluster, ready.

    Raises
    ------
    KubernetesError
        As for :func:`apply`; a cluster that did not come up is deleted too, unless it is to stay.
    TypeError
        Where an argument is of the wrong type.

    Examples
    --------
    >>> with running(features), leman.ray_cluster(features.ray_address):  # doctest: +SKIP
    ...     table.backfill("embedding")
    """
    if not isinstance(cluster, KubeRayCluster):
        raise TypeError(f"cluster={cluster!r}: expected a KubeRayCluster, got {type(cluster).__name__}")
    if not isinstance(on_exit, ExitMode):
        raise TypeError(f"on_exit={on_exit!r}: expected {', '.join(f'ExitMode.{mode.name}' for mode in ExitMode)}")
    api = api or KubernetesApi.connect(cluster.config_method)
    failed = True
    try:
        yield apply(cluster, api=api, timeout_s=timeout_s, follow=follow)
        failed = False
    finally:
        if on_exit is ExitMode.DELETE or (on_exit is ExitMode.RETAIN_ON_FAILURE and not failed):
            with contextlib.suppress(KubernetesNotFoundError):
                _delete_at_the_end(cluster, api, timeout_s, follow, failed)
        elif failed:
            follow.say(
                f"raycluster/{cluster.name} in namespace {cluster.namespace} stays, and costs what its pods cost"
            )


def _delete_at_the_end(
    cluster: KubeRayCluster, api: KubernetesApi, timeout_s: float, follow: Follow, failed: bool
) -> None:
    try:
        delete(f"raycluster/{cluster.name}", cluster.namespace, api=api, timeout_s=timeout_s, follow=follow)
    except KubernetesError as error:
        if not failed or isinstance(error, KubernetesNotFoundError):
            raise
        follow.say(str(error))  # What the body raised matters more.
