"""A Ray cluster as the place where backfills run: ``with leman.ray_cluster(...)``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from . import executors
from .checkpoint_place import shown_to_workers
from .executors import Workers
from .ray_standby import StandbyWorkers
from .table_files import local_path

if TYPE_CHECKING:
    import contextvars

    from .backfill_spec import BackfillSpec
    from .cluster import ExitMode, KubeRayCluster
    from .cluster.kuberay_context import KubeRayContext

_CONNECT_TIMEOUT_S = 5.0
_NO_NODE_PATIENCE_S = 8.0
_lock = threading.Lock()
_shared: RayCluster | None = None


def ray_cluster(
    address: str | None = None,
    *,
    runtime_env: Mapping[str, Any] | None = None,
    driver_address: str | None = None,
    beat_s: float = 1.0,
    lease_s: float = 4.0,
    **unknown: object,
) -> RayCluster:
    """Run backfills on a Ray cluster: ``with leman.ray_cluster("auto"): table.backfill(...)``.

    Parameters
    ----------
    address : str, optional
        ``"auto"``: the cluster that this machine belongs to. ``"host:port"`` or ``"ray://host:10001"``: another one.
        ``"local"``: Ray is started on this machine, and stopped at the end. By default Ray's own rule: the connection
        that this process has already, ``RAY_ADDRESS``, a cluster on this machine, or else a new one.
    runtime_env : mapping, optional
        Environment of the workers, as ``ray.init`` takes it: ``pip``, ``working_dir``, ``py_modules``, ``env_vars``, …
    driver_address : str, optional
        ``host`` or ``host:port`` of this process as the workers see it; they connect to it. By default this node's
        address, or loopback where the cluster is this machine alone.
    beat_s, lease_s : float
        Workers and driver tell each other that they live every ``beat_s`` seconds; a worker that was silent for
        ``lease_s`` seconds is given up and its rows go to others.

    Returns
    -------
    RayCluster
        A context manager; also a value for ``executor=`` of ``Table.backfill``.

    Raises
    ------
    TypeError, ValueError
        Where an argument is unknown or wrong.
    ModuleNotFoundError
        Where Ray is not installed.
    """
    known = ("address", "runtime_env", "driver_address", "beat_s", "lease_s")
    check.reject_unknown("ray_cluster", unknown, known)
    if address is not None:
        address = check.text("address", address)
    if runtime_env is not None and not isinstance(runtime_env, Mapping):
        raise TypeError(
            f"runtime_env={runtime_env!r}: expected a dict as of ray.init, got {type(runtime_env).__name__}"
        )
    if driver_address is not None:
        driver_address = check.text("driver_address", driver_address)
        _split_address(driver_address)
    beat = check.number("beat_s", beat_s, above=0.0)
    lease = check.number("lease_s", lease_s, above=0.0)
    if lease < 2 * beat:
        raise ValueError(f"beat_s={beat:g}, lease_s={lease:g}: expected a lease of at least two beats")
    require_ray()
    return RayCluster(address, dict(runtime_env) if runtime_env else None, driver_address, beat, lease)


def cluster_of(
    cluster: object,
    manifest: object = None,
    on_exit: ExitMode | None = None,
    clusters: Mapping[str, RayCluster | KubeRayCluster] = MappingProxyType({}),
    manifests: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> RayCluster | KubeRayContext:
    """Return what ``Connection.context(cluster, manifest, on_exit)`` means; names are looked up in the last two.

    Raises
    ------
    ConnectionError
        Where the cluster is one on Kubernetes, and this process does not run in a pod.
    TypeError, ValueError
        Naming the argument, its value and what was expected.
    """
    environment = _manifest_of(manifest, manifests)
    if isinstance(cluster, str) and cluster in clusters:
        cluster = clusters[cluster]
    if isinstance(cluster, str) and cluster not in ("auto", "local") and ":" not in cluster:
        raise ValueError(
            f"cluster={cluster!r}: expected a cluster, an address ('auto', 'local', 'host:port' or "
            f"'ray://host:10001'), or a name of define_cluster, which this connection has for "
            f"{', '.join(clusters) or 'none'}.{check.closest(cluster, clusters)}"
        )
    if cluster is not None and not isinstance(cluster, str):
        cluster = checked_cluster(cluster)
        if not isinstance(cluster, RayCluster):
            from .cluster import ExitMode
            from .cluster.kuberay_context import KubeRayContext

            return KubeRayContext(cluster, environment, ExitMode.DELETE if on_exit is None else on_exit)
    if on_exit is not None:
        raise ValueError(f"on_exit={on_exit!r}: only for a cluster on Kubernetes, which cluster={cluster!r} is not")
    if isinstance(cluster, RayCluster):
        if environment is not None:
            raise ValueError(f"manifest={manifest!r}: say it as runtime_env of the leman.ray_cluster(...) instead")
        return cluster
    return ray_cluster(cluster, runtime_env=environment)


def checked_cluster(cluster: object) -> RayCluster | KubeRayCluster:
    """Return a cluster that ``Connection.context`` takes.

    Raises
    ------
    TypeError
        Where it is none.
    """
    from .cluster import KubeRayCluster, KubeRayClusterBuilder

    if isinstance(cluster, (RayCluster, KubeRayCluster)):
        return cluster
    hint = "; call its build()" if isinstance(cluster, KubeRayClusterBuilder) else ""
    raise TypeError(
        f"cluster={cluster!r}: expected a leman.ray_cluster(...) or a KubeRayCluster, got "
        f"{type(cluster).__name__}{hint}"
    )


def _manifest_of(manifest: object, manifests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if isinstance(manifest, str):
        if manifest not in manifests:
            raise ValueError(
                f"manifest={manifest!r}: expected a dict as of ray.init(runtime_env=...), or a name of "
                f"define_manifest, which this connection has for {', '.join(manifests) or 'none'}."
                f"{check.closest(manifest, manifests)}"
            )
        return manifests[manifest]
    if manifest is not None and not isinstance(manifest, Mapping):
        raise TypeError(f"manifest={manifest!r}: expected a dict as of ray.init(runtime_env=...)")
    return manifest


def require_ray() -> None:
    """Check that Ray is installed.

    Raises
    ------
    ModuleNotFoundError
        Saying how to install it.
    """
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise ModuleNotFoundError("running on Ray needs the package ray: pip install 'leman[ray]'", name="ray")


def shared_cluster() -> RayCluster:
    """Return the cluster that ``executor="ray"`` means outside of ``with leman.ray_cluster(...)``."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = ray_cluster()
        return _shared


class RayCluster:
    """A Ray cluster and how workers run on it; made by :func:`leman.ray_cluster`.

    Connected to where it is first used, or at ``with``; at the end of ``with`` the connection is closed if it was
    opened there.
    """

    def __init__(
        self,
        address: str | None,
        runtime_env: dict[str, Any] | None,
        driver_address: str | None,
        beat_s: float,
        lease_s: float,
    ) -> None:
        self._address = address
        self._runtime_env = runtime_env
        self._driver_address = driver_address
        self._beat_s = beat_s
        self._lease_s = lease_s
        self._opened = False
        self._activations: list[contextvars.Token[Any]] = []
        self._standby = StandbyWorkers()

    def __repr__(self) -> str:
        return f"leman.ray_cluster({self._address!r})"

    def __enter__(self) -> RayCluster:
        self.connect()
        self._activations.append(executors.activate(self))
        self._standby.open()
        return self

    def __exit__(self, *exception: object) -> None:
        executors.deactivate(self._activations.pop())
        if not self._activations:
            self._standby.close()
            self.disconnect()

    def connect(self) -> None:
        """Connect to the cluster, or start one; nothing where this process is connected already.

        Raises
        ------
        ConnectionError
            Where there is no cluster at the address.
        ValueError
            Where this process is connected to another cluster than the one asked for.
        """
        import ray

        if ray.is_initialized():
            return
        # Read when Ray is started here; by default its workers yield to everything else on the machine.
        os.environ.setdefault("RAY_worker_niceness", "0")
        options = {"include_dashboard": False} if self._address == "local" else {}
        try:
            with warnings.catch_warnings():
                # True of a fork that goes on with Lance; Ray's only start other programs.
                warnings.filterwarnings("ignore", message="lance is not fork-safe")
                ray.init(address=self._address, runtime_env=self._runtime_env, logging_level="WARNING", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConnectionError(
                f"address={self._address!r}: no Ray cluster there ({_first_line(error)}); start one with "
                "'ray start --head', or pass address='local'"
            ) from error
        self._opened = True

    def disconnect(self) -> None:
        """Close the connection if this object opened it."""
        import ray

        if self._opened and ray.is_initialized():
            ray.shutdown()
        self._opened = False

    @contextlib.contextmanager
    def workers(self, spec: BackfillSpec) -> Iterator[Workers]:
        """Hold the source of the workers of one job."""
        from .ray_launcher import RayLauncher
        from .ray_resources import WorkerNeeds
        from .ray_standby import StandbyKey
        from .ray_worker import seal, versions

        self.connect()
        bind, advertised, only_node = self._endpoint()
        token = secrets.token_bytes(32)
        order: dict[str, Any] = {
            "host": advertised,
            "token": token,
            "timeout_s": _CONNECT_TIMEOUT_S,
            "markers": _markers(spec),
            "job_id": spec.job_id,
        }
        needs = WorkerNeeds.of(spec)
        runtime_env = None if self._opened else self._runtime_env
        key = StandbyKey(f"{needs}; {only_node}", repr(runtime_env), f"{spec.udf.name} {spec.udf_version}")
        self._standby.claim(key)
        launcher = RayLauncher(needs, order, runtime_env, only_node, _NO_NODE_PATIENCE_S, self._standby, key)
        remote = {
            "host": bind[0],
            "port": bind[1],
            "token": token,
            "versions": versions(),
            "beat_s": self._beat_s,
            "lease_s": self._lease_s,
            "launcher": launcher,
        }
        try:
            with shown_to_workers(spec.checkpoint_root, spec.job_id) as checkpoints:
                if checkpoints is not None:
                    order["markers"].append(checkpoints)
                yield Workers(-1, remote, lambda payload: seal(token, payload), launcher.take_message)
        finally:
            launcher.close()

    def _endpoint(self) -> tuple[tuple[str, int], str, str | None]:
        """Return where to listen, the host that workers connect to, and the only node that can reach it, if so."""
        import ray

        if self._driver_address is not None:
            host, port = _split_address(self._driver_address)
            return (host, port), host, None
        if ray.util.client.ray.is_connected():
            host = _address_towards(self._address or os.environ.get("RAY_ADDRESS", ""))
            return (host, 0), host, None
        here = ray.get_runtime_context().get_node_id()
        others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
        if not others and _started_here():
            return ("127.0.0.1", 0), "127.0.0.1", here
        host = ray.util.get_node_ip_address()
        return (host, 0), host, None


def _started_here() -> bool:
    """Say whether Ray was started by this process; a cluster of ``ray start`` may get more nodes at any time."""
    from ray._private import worker

    node = getattr(worker, "_global_node", None)
    return node is not None and bool(node.is_head())


def _split_address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        return address.strip("[]"), 0
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"driver_address={address!r}: expected host or host:port, e.g. 10.0.0.5 or 10.0.0.5:7001")
    return host.strip("[]"), int(port)


def _address_towards(address: str) -> str:
    """Return this machine's address on the way to a cluster; nothing is sent."""
    host, port = _split_address(address.removeprefix("ray://"))
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port or 10001, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostbyname(socket.gethostname())


def _markers(spec: BackfillSpec) -> list[str]:
    """Return the lease of the job's column, which the driver holds by then (``docs/formats/lease.md``)."""
    folder = local_path(spec.table_uri)
    if folder is None:
        return []
    return [f"{folder}/_leman/leases/{hashlib.sha256(spec.column.encode()).hexdigest()[:16]}.json"]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
