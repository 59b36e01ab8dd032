"""A job on a Ray cluster of its own: KubeRay makes the cluster, runs one command, and removes the cluster."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..argument_checks import integer, text
from .environment import check_command, environment
from .kubernetes_names import MAX_JOB_NAME, dns_label
from .manifest import job_manifest, to_yaml

if TYPE_CHECKING:
    from .kuberay_cluster import KubeRayCluster

_DEFAULT_RETRIES = 1
_DEFAULT_KEEP_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class KubeRayJob:
    """A RayJob; made by :meth:`KubeRayCluster.job`.

    A retry starts a new cluster. Nothing is lost by that: what was acknowledged lies in storage, beside the table, and
    the same ``leman backfill`` goes on from there.

    Attributes
    ----------
    cluster : KubeRayCluster
        The cluster that is made for the job; its own name is not used.
    name : str
        The RayJob object's name.
    entrypoint : str
        The command, run by a shell on the head.
    retries : int
        How often the job is tried again, each time on a new cluster (1).
    deadline_seconds : int or None
        When KubeRay ends the job, counted from its start; ``None``: never.
    keep_seconds : int
        How long the cluster and its logs stay after the end (300).
    runtime_env : dict or None
        Ray's runtime environment for the command: ``pip``, ``working_dir``, ``py_modules``, ``env_vars``.
    """

    cluster: KubeRayCluster
    name: str
    entrypoint: str
    retries: int = _DEFAULT_RETRIES
    deadline_seconds: int | None = None
    keep_seconds: int = _DEFAULT_KEEP_SECONDS
    runtime_env: dict[str, Any] | None = None

    @staticmethod
    def create(
        cluster: KubeRayCluster,
        name: str,
        entrypoint: str | Sequence[str],
        *,
        retries: int = _DEFAULT_RETRIES,
        deadline_seconds: int | None = None,
        keep_seconds: int = _DEFAULT_KEEP_SECONDS,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> KubeRayJob:
        """Check the arguments and return the job; see :meth:`KubeRayCluster.job`."""
        dns_label("name", name, MAX_JOB_NAME)
        if isinstance(entrypoint, (str, bytes)) or not isinstance(entrypoint, Sequence):
            command = text("entrypoint", entrypoint).strip()
        else:
            command = shlex.join(text(f"entrypoint[{index}]", word) for index, word in enumerate(entrypoint))
            text("entrypoint", command)
        check_command("entrypoint", command)
        integer("retries", retries, minimum=0)
        integer("keep_seconds", keep_seconds, minimum=0)
        if deadline_seconds is not None:
            integer("deadline_seconds", deadline_seconds, minimum=1)
        return KubeRayJob(cluster, name, command, retries, deadline_seconds, keep_seconds, _runtime_env(runtime_env))

    @property
    def namespace(self) -> str:
        """The RayJob object's namespace."""
        return self.cluster.namespace

    def to_manifest(self) -> dict[str, Any]:
        """Return the RayJob object, ready for ``kubectl apply`` or the Kubernetes API."""
        return job_manifest(self)

    def to_yaml(self) -> str:
        """Return the manifest as YAML; needs the extra ``leman[kubernetes]``."""
        return to_yaml(self.to_manifest())


def _runtime_env(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"runtime_env={value!r}: expected a dict, got {type(value).__name__}")
    for name, content in environment("runtime_env['env_vars']", value.get("env_vars", {})).items():
        if not isinstance(content, str):
            raise TypeError(
                f"runtime_env['env_vars'][{name!r}]: a runtime environment cannot refer to a Secret; set it as "
                "env_vars of the head and worker groups"
            )
    working_dir = value.get("working_dir")
    if isinstance(working_dir, str) and "://" not in working_dir and not working_dir.startswith("/"):
        raise ValueError(
            f"runtime_env['working_dir']={working_dir!r}: KubeRay uploads no local folder; put it into the image and "
            "give its absolute path, or a zip in a bucket: 'gs://bucket/code.zip'"
        )
    try:
        json.dumps(value)
    except TypeError as error:
        raise TypeError(f"runtime_env: expected only str, numbers, lists and dicts in it: {error}") from None
    return dict(value)
