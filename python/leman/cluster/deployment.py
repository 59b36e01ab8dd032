"""Applies, watches and deletes Ray clusters and jobs on Kubernetes.

Every function may be called again: what is there already is found, and waited for.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..argument_checks import number
from ..errors import KubernetesError, KubernetesNotFoundError
from .environment import check_manifest, redacted_text
from .kuberay_cluster import DEFAULT_NAMESPACE, K8sConfigMethod, KubeRayCluster
from .kuberay_job import KubeRayJob
from .kubernetes_api import PLURALS, ConflictingChangeError, KubernetesApi, UnreachableError
from .manifest import MANAGED_BY
from .object_state import NOT_SEEN_YET, ObjectState, pod_problems, state_of

DEFAULT_TIMEOUT_S = 900.0
_WINDOW_S = 5  # How long one watch lasts before pods are looked at.
_REPEAT_S = 60.0  # How often a line is repeated while nothing changes.
_UNREACHABLE_S = 600.0  # The API server of a zonal GKE cluster is away that long while it is upgraded.
_RETRY_S = 5.0
_OUTPUT_OVERLAP_S = 30  # What was printed while we did not look, and clocks that differ.
_WRITE_ATTEMPTS = 5
_NO_OPERATOR = (
    "is the KubeRay operator running? kubectl get pods --all-namespaces -l app.kubernetes.io/name=kuberay-operator"
)
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Follow:
    """What waits for an object: where its lines go, and its clock, which tests replace."""

    say: Say = print
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


TO_STDOUT = Follow()


def apply(
    definition: KubeRayCluster | KubeRayJob | Mapping[str, Any],
    *,
    api: KubernetesApi | None = None,
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    dry_run: bool = False,
    follow: Follow = TO_STDOUT,
) -> ObjectState:
    """Make a cluster or a job, or change a cluster to what is wanted, and wait.

    A cluster is waited for until it is ready; a job until it has ended, and what its command prints is shown. A job of
    that name that runs already is waited
    for, if it is the same one.

    Parameters
    ----------
    definition : KubeRayCluster, KubeRayJob or mapping
        What is wanted, or its manifest.
    api : KubernetesApi, optional
        By default that of the definition's ``config_method``.
    wait : bool
        Whether to wait.
    timeout_s : float
        How long to wait in seconds until the cluster is ready, or the job runs. How long a job runs is not limited.
    dry_run : bool
        Whether the API server only checks the manifest.
    follow : Follow
        Where progress lines go.

    Returns
    -------
    ObjectState
        The last state seen.

    Raises
    ------
    KubernetesError
        Where Kubernetes cannot be reached or refuses, the job failed, or the time is over. What was made stays.
    TypeError, ValueError
        Where an argument is not valid.
    """
    manifest = _manifest_of(definition)
    number("timeout_s", timeout_s, above=0.0)
    if api is None:
        api = KubernetesApi.connect(_config_method_of(definition))
    made = _create_or_change(api, manifest, dry_run, follow.say)
    state = state_of(made)
    if dry_run or not wait:
        return state
    return _wait_until_up_and_ended(api, state, timeout_s, follow)


def _manifest_of(definition: object) -> dict[str, Any]:
    if isinstance(definition, (KubeRayCluster, KubeRayJob)):
        return definition.to_manifest()
    if not isinstance(definition, Mapping) or definition.get("kind") not in PLURALS:
        raise TypeError(f"definition={definition!r}: expected a KubeRayCluster, a KubeRayJob or the manifest of one")
    check_manifest(definition)
    manifest = copy.deepcopy(dict(definition))
    metadata = manifest.setdefault("metadata", {})
    metadata.setdefault("namespace", DEFAULT_NAMESPACE)
    metadata["labels"] = {MANAGED_BY: "leman", **metadata.get("labels", {})}
    return manifest


def _config_method_of(definition: object) -> K8sConfigMethod:
    cluster = definition.cluster if isinstance(definition, KubeRayJob) else definition
    return cluster.config_method if isinstance(cluster, KubeRayCluster) else K8sConfigMethod.LOCAL


def _create_or_change(api: KubernetesApi, manifest: dict[str, Any], dry_run: bool, say: Say) -> dict[str, Any]:
    kind, metadata = manifest["kind"], manifest["metadata"]
    reference = f"{kind.lower()}/{metadata['name']} in namespace {metadata['namespace']}"
    done = " (dry run)" if dry_run else ""
    for attempt in range(_WRITE_ATTEMPTS):
        live = api.get(kind, metadata["namespace"], metadata["name"])
        try:
            if live is None:
                made = api.create(manifest, dry_run=dry_run)
                say(f"{reference}: created{done}")
                return made
            wanted = _merged(live, manifest)
            if _contains(live["spec"], wanted["spec"]):
                say(f"{reference}: is there already{done}")
                return _same_job(live, reference)
            if kind == "RayJob":
                raise KubernetesError(
                    f"{reference} is another job, and KubeRay does not change one. Delete it (leman cluster delete "
                    f"rayjob/{metadata['name']} --namespace {metadata['namespace']}), or choose another --job-name"
                )
            made = api.replace(wanted, dry_run=dry_run)
            say(f"{reference}: changed{done}. Pods that run keep their old settings until they are made anew")
            return made
        except ConflictingChangeError:
            if attempt == _WRITE_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returned or raised")


def _same_job(live: dict[str, Any], reference: str) -> dict[str, Any]:
    state = state_of(live)
    if live["kind"] == "RayJob" and state.has_ended:
        raise KubernetesError(
            f"{reference} has ended already: it {state.phase}. To run it again, delete it first (leman cluster delete "
            f"{state.reference} --namespace {state.namespace}), or choose another --job-name; it resumes from storage"
        )
    return live


def _merged(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the wanted object on top of the live one; the number of workers stays the autoscaler's."""
    merged = {**copy.deepcopy(dict(live)), "spec": copy.deepcopy(manifest["spec"])}
    for key in ("labels", "annotations"):
        if manifest["metadata"].get(key):
            merged["metadata"][key] = {**merged["metadata"].get(key, {}), **manifest["metadata"][key]}
    if merged["spec"].get("enableInTreeAutoscaling"):
        of_name = {group["groupName"]: group for group in live["spec"].get("workerGroupSpecs") or ()}
        for group in merged["spec"].get("workerGroupSpecs") or ():
            now = of_name.get(group["groupName"], {})
            if "scaleStrategy" in now:
                group["scaleStrategy"] = now["scaleStrategy"]
            if isinstance(now.get("replicas"), int):
                group["replicas"] = min(max(now["replicas"], group["minReplicas"]), group["maxReplicas"])
    return merged


def _contains(live: Any, wanted: Any) -> bool:
    """Return whether the live value says all that is wanted; the API server adds defaults to it."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return all(key in live and _contains(live[key], value) for key, value in wanted.items())
    if isinstance(live, list) and isinstance(wanted, list):
        return len(live) == len(wanted) and all(map(_contains, live, wanted))
    return bool(live == wanted)


def _wait_until_up_and_ended(api: KubernetesApi, state: ObjectState, timeout_s: float, follow: Follow) -> ObjectState:
    """Wait until a cluster is ready, or a job has ended."""
    started = follow.clock()
    output = _JobOutput(api, follow)
    was_up = False
    for event, found in _changes(api, state, min(_WINDOW_S, math.ceil(timeout_s)), follow):
        if event == "DELETED":
            raise KubernetesNotFoundError(f"{state.reference} was deleted while it was waited for")
        state = state_of(found)
        was_up = was_up or state.is_up
        output.show(state)
        if state.phase == "failed":
            raise KubernetesError(f"{state}{_where_logs_are(state)}")
        if state.has_ended or (state.kind == "RayCluster" and state.is_up):
            return state
        if not was_up and follow.clock() - started > timeout_s:
            hints = [_NO_OPERATOR] if state.detail == NOT_SEEN_YET else _problems(api, state)
            problems = "".join(f"\n  {line}" for line in hints)
            raise KubernetesError(
                f"{state.reference} did not come up within {timeout_s:g} s; it is {state.phase}: {state.detail}"
                f"{problems}\nIt stays, and costs what its pods cost; remove it with: leman cluster delete "
                f"{state.reference} --namespace {state.namespace}"
            )
    raise AssertionError("changes do not end")


class _JobOutput:
    """Says what a job's command prints, each line once; nothing where one may not read it."""

    def __init__(self, api: KubernetesApi, follow: Follow) -> None:
        self._api, self._follow = api, follow
        self._last: set[str] = set()
        self._asked_at: float | None = None

    def show(self, state: ObjectState) -> None:
        """Say what is new."""
        if state.kind != "RayJob" or not state.is_up:
            return
        now = self._follow.clock()
        since_s = None if self._asked_at is None else math.ceil(now - self._asked_at) + _OUTPUT_OVERLAP_S
        try:
            lines = self._api.job_output(state.namespace, state.name, since_s)
        except KubernetesError:
            return
        self._asked_at = now
        for line in lines:
            if line not in self._last:
                text = "".join(letter if letter.isprintable() else " " for letter in line.partition(" ")[2])
                self._follow.say(f"        | {redacted_text(text)}")
        self._last = set(lines)


def _where_logs_are(state: ObjectState) -> str:
    if state.kind != "RayJob":
        return ""
    return f". Its output: kubectl logs --namespace {state.namespace} job/{state.name}"


def _changes(
    api: KubernetesApi, state: ObjectState, window_s: int, follow: Follow
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object again and again, saying what changed; at least once in each window."""
    lines = _Lines(follow)
    unreachable_since: float | None = None
    while True:
        last: dict[str, Any] | None = None
        try:
            for event, found in api.watch(state.kind, state.namespace, state.name, window_s):
                last, unreachable_since = found, None
                state = state_of(found)
                lines.say([str(state)])
                yield event, found
            if last is None:
                last = api.get(state.kind, state.namespace, state.name)
        except UnreachableError as error:
            # A job may run for days; its cluster does not end because we cannot see it for a while.
            unreachable_since = follow.clock() if unreachable_since is None else unreachable_since
            if follow.clock() - unreachable_since > _UNREACHABLE_S:
                raise
            lines.say([f"{error}; trying again"])
            follow.sleep(_RETRY_S)
            continue
        if last is None:
            yield "DELETED", {}
            return
        lines.say([str(state), *_problems(api, state)])
        yield "MODIFIED", last


class _Lines:
    """Says each line when it is new, and all of them once a minute."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._started = self._said_at = follow.clock()
        self._said: set[str] = set()

    def say(self, lines: list[str]) -> None:
        now = self._follow.clock()
        if now - self._said_at >= _REPEAT_S:
            self._said.clear()
        for line in lines:
            if line not in self._said:
                minutes, seconds = divmod(int(now - self._started), 60)
                self._follow.say(f"{minutes:3d}:{seconds:02d}  {line}")
                self._said_at = now
        if lines and lines[0] not in self._said:
            self._said = set()  # Another state: an old problem that comes back is news again.
        self._said.update(lines)


def _problems(api: KubernetesApi, state: ObjectState) -> list[str]:
    """Return what is the matter with its pods; nothing where one may not look at pods."""
    if not state.cluster_name:
        return []
    try:
        return pod_problems(api.pods(state.namespace, state.cluster_name))
    except KubernetesError:
        return []


def find(name: str, namespace: str, *, api: KubernetesApi) -> dict[str, Any]:
    """Return the RayCluster or RayJob of that name.

    Parameters
    ----------
    name : str
        ``NAME``, or ``raycluster/NAME`` or ``rayjob/NAME`` where both are there.
    namespace : str
        Its namespace.
    api : KubernetesApi
        Where to look.

    Raises
    ------
    KubernetesNotFoundError
        Where there is none.
    ValueError
        Where the name is not clear.
    """
    kinds = {kind.lower(): kind for kind in PLURALS}
    prefix, slash, bare = name.rpartition("/")
    if slash and prefix.lower() not in kinds:
        raise ValueError(f"name={name!r}: expected NAME, raycluster/NAME or rayjob/NAME")
    wanted = [kinds[prefix.lower()]] if slash else list(PLURALS)
    found = [entry for entry in (api.get(kind, namespace, bare) for kind in wanted) if entry is not None]
    if not found:
        raise KubernetesNotFoundError(
            f"there is no {' or '.join(kind.lower() for kind in wanted)} {bare!r} in namespace {namespace!r}; "
            f"`leman cluster status --namespace {namespace}` lists what is there"
        )
    if len(found) > 1:
        raise ValueError(
            f"name={name!r}: there is a raycluster and a rayjob of that name; say raycluster/{bare} or rayjob/{bare}"
        )
    return found[0]


def status(
    name: str, namespace: str = DEFAULT_NAMESPACE, *, api: KubernetesApi | None = None
) -> tuple[ObjectState, list[str]]:
    """Return the state of a cluster or a job, and what keeps its pods from running, in words.

    Parameters and errors are those of :func:`find`.
    """
    api = api or KubernetesApi.connect()
    state = state_of(find(name, namespace, api=api))
    return state, _problems(api, state)


def list_states(namespace: str = DEFAULT_NAMESPACE, *, api: KubernetesApi | None = None) -> list[ObjectState]:
    """Return the states of all Ray clusters and jobs of a namespace."""
    api = api or KubernetesApi.connect()
    return [state_of({"kind": kind, **entry}) for kind in PLURALS for entry in api.list_objects(kind, namespace)]


def delete(
    name: str,
    namespace: str = DEFAULT_NAMESPACE,
    *,
    api: KubernetesApi | None = None,
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    force: bool = False,
    follow: Follow = TO_STDOUT,
) -> ObjectState:
    """Delete a cluster or a job, and wait until its pods are gone.

    Nothing that a job acknowledged is lost: it lies in storage, beside the table.

    Parameters
    ----------
    name, namespace : str
        As for :func:`find`.
    api : KubernetesApi, optional
        By default that of the kubeconfig.
    wait : bool
        Whether to wait until it is gone.
    timeout_s : float
        How long to wait in seconds.
    force : bool
        Whether to delete what Leman did not make, too.
    follow : Follow
        Where progress lines go.

    Raises
    ------
    KubernetesNotFoundError
        Where there is none.
    KubernetesError
        Where Leman did not make it, Kubernetes refuses, or the time is over.
    """
    number("timeout_s", timeout_s, above=0.0)
    api = api or KubernetesApi.connect()
    found = find(name, namespace, api=api)
    state = state_of(found)
    if found["metadata"].get("labels", {}).get(MANAGED_BY) != "leman" and not force:
        raise KubernetesError(
            f"{state.reference} was not made by Leman (it has no label {MANAGED_BY}=leman); use --force if it is yours"
        )
    api.delete(state.kind, namespace, state.name)
    follow.say(f"{state.reference} in namespace {namespace}: deletion asked for")
    if wait:
        _wait_until_gone(api, state, timeout_s, follow)
    return dataclasses.replace(state, deleting=True)


def _wait_until_gone(api: KubernetesApi, state: ObjectState, timeout_s: float, follow: Follow) -> None:
    started = follow.clock()
    lines = _Lines(follow)
    while True:
        try:
            left = _what_is_left(api, state)
            if not left:
                follow.say(f"{state.reference} is gone")
                return
            lines.say([left])
            for event, _ in api.watch(state.kind, state.namespace, state.name, _WINDOW_S):
                if event == "DELETED":
                    break
        except UnreachableError as error:
            left = f"{error}; trying again"
            lines.say([left])
            follow.sleep(_RETRY_S)
        if follow.clock() - started > timeout_s:
            raise KubernetesError(
                f"{state.reference} is not gone after {timeout_s:g} s: {left}. Kubernetes goes on with it"
            )


def _what_is_left(api: KubernetesApi, state: ObjectState) -> str:
    if api.get(state.kind, state.namespace, state.name) is not None:
        return f"{state.reference} is being deleted"
    try:
        pods = api.pods(state.namespace, state.cluster_name) if state.cluster_name else []
    except UnreachableError:
        raise
    except KubernetesError:
        return ""  # Who may not look at pods need not wait for them.
    return f"{len(pods)} pods are ending" if pods else ""
