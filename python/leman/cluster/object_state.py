"""What a RayCluster, a RayJob and their pods are doing, read from their status; pure functions of the API's JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .environment import redacted_text

NOT_SEEN_YET = "KubeRay has not looked at it yet"
_WAITING_IS_AN_ERROR = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)


@dataclasses.dataclass(frozen=True)
class ObjectState:
    """The state of a RayCluster or a RayJob.

    Attributes
    ----------
    kind, name, namespace : str
        Which object.
    phase : str
        For a cluster ``starting``, ``ready``, ``suspended`` or ``failed``; for a job ``starting``, ``running``,
        ``retrying``, ``suspended``, ``succeeded``, ``stopped`` or ``failed``.
    detail : str
        Workers that are ready, or what Ray says of the job.
    cluster_name : str
        The Ray cluster whose pods these are; empty while a job has none yet.
    deleting : bool
        Whether it is being removed.
    """

    kind: str
    name: str
    namespace: str
    phase: str
    detail: str = ""
    cluster_name: str = ""
    deleting: bool = False

    @property
    def reference(self) -> str:
        """``raycluster/NAME`` or ``rayjob/NAME``."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def is_up(self) -> bool:
        """Whether the cluster is ready, or the job runs or has ended."""
        return self.phase in ("ready", "running") or self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.phase in ("succeeded", "stopped", "failed")

    def __str__(self) -> str:
        text = f"{self.reference} is {self.phase}" + (f": {self.detail}" if self.detail else "")
        return text + (" (being deleted)" if self.deleting else "")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a plain dict."""
        return dataclasses.asdict(self)


def state_of(found: Mapping[str, Any]) -> ObjectState:
    """Return the state of a RayCluster or a RayJob as the API gave it."""
    metadata, status = found.get("metadata", {}), found.get("status") or {}
    read = _job_state if found.get("kind") == "RayJob" else _cluster_state
    phase, detail, cluster_name = read(metadata, status)
    return ObjectState(
        str(found.get("kind")),
        str(metadata.get("name")),
        str(metadata.get("namespace")),
        phase,
        redacted_text(detail),
        cluster_name,
        "deletionTimestamp" in metadata,
    )


def _cluster_state(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[str, str, str]:
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or () if entry.get("status") == "True"}
    ready, wanted = status.get("readyWorkerReplicas", 0), status.get("desiredWorkerReplicas", 0)
    workers = f"{ready} of {wanted} workers ready"
    # The operator has not yet seen the last change, so what it says is of the one before.
    is_old = status.get("observedGeneration", metadata.get("generation")) != metadata.get("generation")
    if "ReplicaFailure" in conditions:
        return "failed", str(conditions["ReplicaFailure"].get("message", "")), str(metadata.get("name"))
    if status.get("state") == "failed":
        return "failed", str(status.get("reason", "")), str(metadata.get("name"))
    if status.get("state") == "suspended" or "RayClusterSuspended" in conditions:
        return "suspended", "", str(metadata.get("name"))
    if not status or is_old:
        return "starting", NOT_SEEN_YET, str(metadata.get("name"))
    is_provisioned = "RayClusterProvisioned" in conditions and "HeadPodReady" in conditions
    if status.get("state") == "ready" or is_provisioned:
        return "ready", workers, str(metadata.get("name"))
    head = "head ready" if "HeadPodReady" in conditions else "head not ready yet"
    return "starting", f"{head}, {workers}", str(metadata.get("name"))


def _job_state(_: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[str, str, str]:
    deployment, job = status.get("jobDeploymentStatus", ""), status.get("jobStatus", "")
    cluster_name = str(status.get("rayClusterName", ""))
    said = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    if deployment == "Complete":
        return ("stopped" if job == "STOPPED" else "failed" if job == "FAILED" else "succeeded"), said, cluster_name
    if deployment in ("Failed", "ValidationFailed"):
        return "failed", said or str(deployment), cluster_name
    if deployment in ("Suspended", "Suspending"):
        return "suspended", said, cluster_name
    if deployment == "Retrying":
        return "retrying", said or "on a new cluster; it resumes from storage", cluster_name
    if deployment == "Running":
        return "running", f"Ray says {job}" if job else "", cluster_name
    if not deployment:
        return "starting", NOT_SEEN_YET, cluster_name
    return "starting", f"cluster {cluster_name}" if cluster_name else said, cluster_name


def pod_problems(pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what keeps pods from running, one line for each kind of trouble, with what to do.

    Parameters
    ----------
    pods : sequence of dict
        Pods as the API gave them.

    Returns
    -------
    list of str
        Nothing where all is well.
    """
    by_problem: dict[str, list[str]] = {}
    for pod in pods:
        problem = _pod_problem(pod)
        if problem:
            by_problem.setdefault(problem, []).append(_pod_name(pod))
    return [f"{_listed(names)}: {problem}" for problem, names in by_problem.items()]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} pods ({names[0]}, …)"


def _pod_name(pod: Mapping[str, Any]) -> str:
    return str(pod.get("metadata", {}).get("name"))


def _pod_problem(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _unschedulable(pod, str(condition.get("message", "")))
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and ended.get("reason") == "OOMKilled":
            limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "its limit")
            return f"killed for more memory than {limit}; give the group more memory, or the job smaller batches"
        if waiting.get("reason") in _WAITING_IS_AN_ERROR:
            said = redacted_text(str(waiting.get("message", ""))).strip()
            return f"{waiting['reason']}{': ' if said else ''}{said}{_advice(str(waiting['reason']))}"
    return None


def _unschedulable(pod: Mapping[str, Any], said: str) -> str:
    selector = pod.get("spec", {}).get("nodeSelector")
    advice = "; where the node pool grows by itself, a node takes some minutes"
    if selector and ("node affinity" in said or "node selector" in said):
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        advice += f"; if none comes, check that a node pool has the labels {labels}, or set node_selector"
    if "taint" in said:
        advice += "; a taint that no node pool of yours should keep it from needs .tolerations()"
    return f"no node takes it: {said}{advice}"


def _advice(reason: str) -> str:
    if "Image" in reason and "Container" not in reason:
        return "; check the image's name, and that the nodes may read its registry"
    if reason == "CreateContainerConfigError":
        return "; a Secret, or a key in it, that env_vars name is probably not there"
    return ""
