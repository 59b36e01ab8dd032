"""The actor that is a worker on a Ray cluster, and what its driver and it have to agree on."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_SAME_EVERYWHERE = ("leman", "pyarrow", "pylance")
_SHARED_WAIT_S = 5.0


class ClusterSetupError(Exception):
    """Something about the cluster has to be changed before any worker can work; a retry does not help."""


def versions() -> str:
    """Return the versions that have to be the same in the driver and on every node."""
    from . import __version__

    found = {"leman": __version__}
    for package in _SAME_EVERYWHERE[1:]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "is not installed"
    python = f"python {sys.version_info.major}.{sys.version_info.minor}"
    return ", ".join([*(f"{name} {found[name]}" for name in _SAME_EVERYWHERE), python])


def seal(token: bytes, payload: bytes) -> bytes:
    """Return a payload with the proof that the holder of the job's token packed it."""
    return hmac.digest(token, payload, hashlib.sha256) + payload


def unseal(token: bytes, sealed: bytes) -> bytes:
    """Return the payload that :func:`seal` was given.

    Raises
    ------
    ClusterSetupError
        Where another one packed it: it is not to be unpickled.
    """
    proof, payload = sealed[:32], sealed[32:]
    if not hmac.compare_digest(proof, hmac.digest(token, payload, hashlib.sha256)):
        raise ClusterSetupError("the coordinator sent a function that the driver of this job did not pack")
    return payload


class RayWorker:
    """One worker process; made by ``leman.ray_launcher`` with options of its own for each job."""

    def ping(self) -> int:
        """Return the process's id, also while it serves."""
        return os.getpid()

    def serve(self, order: dict[str, Any]) -> None:
        """Be a worker until the coordinator says stop.

        Parameters
        ----------
        order : dict
            ``host``, ``port``, ``token`` and ``worker`` of the coordinator, ``timeout_s`` to reach it, ``markers``:
            files that the driver wrote beside the table and where checkpoints lie, and ``job_id``, which is in them.

        Raises
        ------
        ClusterSetupError
            Where this node lacks something.
        """
        import ray

        _take_normal_priority()
        address = ray.util.get_node_ip_address()
        for marker in order["markers"]:
            check_storage(marker, order["job_id"], address)
        try:
            from . import _engine
            from .lance_worker import WorkerSession
        except ImportError as error:
            raise ClusterSetupError(
                f"node {address} cannot load leman ({error}); install the same leman on every node, or pass "
                "runtime_env={'pip': [...]} to leman.ray_cluster"
            ) from error
        token = order["token"]
        node = ray.get_runtime_context().get_node_id()
        _engine.serve_remote_worker(
            {**order, "node": node, "versions": versions()}, lambda sealed: WorkerSession(unseal(token, sealed))
        )


def check_storage(marker: str, job_id: str, node: str) -> None:
    """Check that this process sees the same files as the driver.

    Raises
    ------
    ClusterSetupError
        Where it does not.
    """
    deadline_s = time.monotonic() + _SHARED_WAIT_S
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(marker, "rb") as file:
            if json.load(file)["job_id"] == job_id:
                return
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.1)
    folder = marker.split("/_leman/")[0]
    what, whole = (
        ("checkpoints' folder", "checkpoints have") if "/_leman/checkpoints/" in marker else ("table", "table has")
    )
    raise ClusterSetupError(
        f"node {node} does not see the {what} {folder}: what the driver wrote there is missing or not what it wrote. "
        f"On a cluster of several machines the {whole} to be on storage that all of them share, at the same path "
        "(NFS, Filestore, …)"
    )


def _take_normal_priority() -> None:
    # Ray starts workers at niceness 15 unless told otherwise; only root may go back.
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) > 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
