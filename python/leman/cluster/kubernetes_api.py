"""The one place that talks to Kubernetes: the official client's calls, and its errors in words that say what to do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ..errors import KubernetesError, KubernetesNotFoundError
from .environment import redacted_text
from .kuberay_cluster import K8sConfigMethod
from .manifest import API_GROUP, API_VERSION

PLURALS = {"RayCluster": "rayclusters", "RayJob": "rayjobs"}
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0
_FIELD_MANAGER = "leman"
_OUTPUT_LINES = 2000
_INSTALL = "the KubeRay operator is not installed there, or is older than 1.1: see docs/kubernetes.md"


class ConflictingChangeError(KubernetesError):
    """The object changed between reading and writing it, or is there already."""


class UnreachableError(KubernetesError):
    """The API server did not answer, or was not able to; the same request may succeed later."""


class KubernetesApi:
    """Ray clusters and jobs of one Kubernetes cluster, and their pods.

    Parameters
    ----------
    client : kubernetes.client.ApiClient
        The official client's connection; :meth:`connect` makes one.
    """

    def __init__(self, client: Any) -> None:
        from kubernetes import client as kubernetes_client

        self._objects = kubernetes_client.CustomObjectsApi(client)
        self._core = kubernetes_client.CoreV1Api(client)
        self.host: str = client.configuration.host

    @staticmethod
    def connect(method: K8sConfigMethod = K8sConfigMethod.LOCAL, context: str | None = None) -> KubernetesApi:
        """Return the API that a kubeconfig, or the pod that this runs in, names. Nothing is asked of it yet.

        Parameters
        ----------
        method : K8sConfigMethod
            Where address and credentials come from.
        context : str, optional
            A context of the kubeconfig; by default its current one.

        Raises
        ------
        KubernetesError
            Where the extra is not installed, or there is no such configuration.
        """
        try:
            from kubernetes import client, config
        except ImportError:
            raise KubernetesError(
                "Kubernetes needs a package that is not installed: pip install 'leman[kubernetes]'"
            ) from None
        settings = client.Configuration()
        settings.retries = 0  # A refused connection is said at once; what waits, waits in `deployment`.
        try:
            if method is K8sConfigMethod.IN_CLUSTER:
                config.load_incluster_config(client_configuration=settings)
            else:
                config.load_kube_config(context=context, client_configuration=settings)
        except config.ConfigException as error:
            raise KubernetesError(_no_configuration(method, context, str(error))) from None
        return KubernetesApi(client.ApiClient(settings))

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or ``None`` where there is none of that name."""
        try:
            with self._explained(f"read {kind.lower()}/{name}", namespace):
                return self._objects.get_namespaced_custom_object(
                    API_GROUP, API_VERSION, namespace, PLURALS[kind], name, **_timeouts()
                )
        except KubernetesNotFoundError:
            return None

    def list_objects(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of a kind."""
        with self._explained(f"list {PLURALS[kind]}", namespace):
            found = self._objects.list_namespaced_custom_object(
                API_GROUP, API_VERSION, namespace, PLURALS[kind], **_timeouts()
            )
        return list(found["items"])

    def create(self, manifest: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Make an object; a field that its definition does not know is an error."""
        return self._write("create", manifest, dry_run)

    def replace(self, manifest: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Give an object a new content; ``metadata.resourceVersion`` names the one that it replaces."""
        return self._write("replace", manifest, dry_run)

    def _write(self, verb: str, manifest: dict[str, Any], dry_run: bool) -> dict[str, Any]:
        kind, metadata = manifest["kind"], manifest["metadata"]
        place: tuple[str, ...] = (API_GROUP, API_VERSION, metadata["namespace"], PLURALS[kind])
        options: dict[str, Any] = {"field_manager": _FIELD_MANAGER, "field_validation": "Strict", **_timeouts()}
        if dry_run:
            options["dry_run"] = "All"
        with self._explained(f"{verb} {kind.lower()}/{metadata['name']}", metadata["namespace"]):
            if verb == "create":
                return self._objects.create_namespaced_custom_object(*place, manifest, **options)
            return self._objects.replace_namespaced_custom_object(*place, metadata["name"], manifest, **options)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for an object's removal; Kubernetes then removes what belongs to it."""
        with self._explained(f"delete {kind.lower()}/{name}", namespace):
            self._objects.delete_namespaced_custom_object(
                API_GROUP, API_VERSION, namespace, PLURALS[kind], name, **_timeouts()
            )

    def watch(self, kind: str, namespace: str, name: str, seconds: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield an object as it is, then at each change: ``ADDED``, ``MODIFIED`` or ``DELETED`` and the object."""
        from kubernetes.watch import Watch

        watcher = Watch()
        with self._explained(f"watch {kind.lower()}/{name}", namespace):
            for event in watcher.stream(
                self._objects.list_namespaced_custom_object,
                API_GROUP,
                API_VERSION,
                namespace,
                PLURALS[kind],
                field_selector=f"metadata.name={name}",
                timeout_seconds=seconds,
                _request_timeout=(_CONNECT_TIMEOUT_S, seconds + _READ_TIMEOUT_S),
            ):
                yield event["type"], event["raw_object"]

    def pods(self, namespace: str, cluster_name: str) -> list[dict[str, Any]]:
        """Return the pods of a Ray cluster, as they stand in the API's JSON."""
        return self._pods(namespace, f"ray.io/cluster={cluster_name}")

    def _pods(self, namespace: str, label_selector: str) -> list[dict[str, Any]]:
        with self._explained("list pods", namespace):
            response = self._core.list_namespaced_pod(
                namespace, label_selector=label_selector, _preload_content=False, **_timeouts()
            )
            # The client does not look at the status of what it is told not to load.
            body = json.loads(response.data)
        if body.get("kind") == "Status":
            raise KubernetesError(f"list pods: {body.get('message')}")
        return list(body["items"])

    def job_output(self, namespace: str, job_name: str, since_s: int | None) -> list[str]:
        """Return the last lines that a RayJob's command printed, each with its time before it.

        Parameters
        ----------
        namespace, job_name : str
            The RayJob; KubeRay makes a Kubernetes job of the same name, whose pod prints them.
        since_s : int, optional
            Only those of the last seconds.
        """
        pods = self._pods(namespace, f"job-name={job_name}")
        if not pods:
            return []
        newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))["metadata"]["name"]
        options = {} if since_s is None else {"since_seconds": since_s}
        with self._explained(f"read the output of {newest}", namespace):
            response = self._core.read_namespaced_pod_log(
                newest,
                namespace,
                timestamps=True,
                tail_lines=_OUTPUT_LINES,
                _preload_content=False,
                **options,
                **_timeouts(),
            )
            if response.status != 200:
                return []  # Its container is not there yet, or its node does not answer.
            return str(response.data.decode("utf-8", "replace")).splitlines()

    @contextlib.contextmanager
    def _explained(self, doing: str, namespace: str) -> Iterator[None]:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            raise _explain(error, doing, namespace, self.host) from None
        except (HTTPError, OSError) as error:
            raise UnreachableError(
                f"{doing}: cannot reach Kubernetes at {self.host}: {_reason(error)}. Check the network and, with "
                "`kubectl config current-context`, that this is the cluster meant"
            ) from None


def _timeouts() -> dict[str, Any]:
    return {"_request_timeout": (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)}


def _no_configuration(method: K8sConfigMethod, context: str | None, said: str) -> str:
    if method is K8sConfigMethod.IN_CLUSTER:
        return f"this does not run in a pod of Kubernetes ({said}); use K8sConfigMethod.LOCAL with a kubeconfig"
    if context is not None:
        return f"context={context!r}: {said}. `kubectl config get-contexts` lists those of the kubeconfig"
    return (
        f"no usable kubeconfig in $KUBECONFIG or ~/.kube/config ({said}). For GKE: gcloud container clusters "
        "get-credentials NAME --region REGION. In a pod: --in-cluster, or K8sConfigMethod.IN_CLUSTER"
    )


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None) or error
    text = str(inner)
    return text.partition(": ")[2] or text


def _explain(error: Any, doing: str, namespace: str, host: str) -> KubernetesError:
    """Return an answer of the API server as an error that says what to do."""
    said = _message(error)
    if error.status == 401:
        return KubernetesError(
            f"{doing}: Kubernetes at {host} does not know you: {said}. Renew the credentials; for GKE: gcloud "
            "container clusters get-credentials"
        )
    if error.status == 403:
        return KubernetesError(
            f"{doing}: forbidden: {said}. deploy/gke/rbac.yaml has a role with all that Leman needs; somebody who may "
            f"must bind it to you in namespace {namespace!r}"
        )
    if error.status == 404 and "not found" in said and not said.startswith("404"):
        if said.startswith("namespaces "):
            return KubernetesError(
                f"{doing}: there is no namespace {namespace!r}: kubectl create namespace {namespace}"
            )
        return KubernetesNotFoundError(f"{doing}: {said} in namespace {namespace!r}")
    if error.status == 404:
        return KubernetesError(f"{doing}: Kubernetes at {host} knows no {API_GROUP}/{API_VERSION}: {_INSTALL}")
    if error.status == 409:
        return ConflictingChangeError(f"{doing}: {said}")
    if error.status == 400 and "unknown field" in said:
        return KubernetesError(
            f"{doing}: {said}. The KubeRay there is older than what the manifest uses: upgrade it, or leave these "
            "fields out: authOptions by token_authentication(False), labels by no labels(), autoscalerOptions by "
            "min_replicas equal to max_replicas"
        )
    if error.status in (410, 429) or error.status >= 500:
        return UnreachableError(f"{doing}: Kubernetes at {host} answered {error.status}: {said}")
    if error.status in (400, 422):
        return KubernetesError(f"{doing}: Kubernetes refuses the manifest: {said}")
    return KubernetesError(f"{doing}: Kubernetes at {host} answered {error.status}: {said}")


def _message(error: Any) -> str:
    body = error.body or error.reason or ""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    with contextlib.suppress(ValueError):
        described = json.loads(text)
        if isinstance(described, dict) and isinstance(described.get("message"), str):
            text = described["message"]
    return redacted_text(text.strip())
