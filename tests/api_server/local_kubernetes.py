"""A Kubernetes API server of the test's own, on loopback, with etcd, KubeRay's operator, and what stands in for nodes.

There are no nodes: :class:`Kubelet` marks pods as running, as a kubelet would, and removes those whose owner is gone,
as the garbage collector would.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
BINARIES = REPOSITORY / ".kubernetes"
ADMIN, SOMEBODY = "token-of-admin", "token-of-somebody"
_START_TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_for(what: str, is_so: Callable[[], Any], timeout_s: float = _START_TIMEOUT_S) -> Any:
    """Return the first true answer, or fail."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = is_so()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s:g} s")


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


class LocalKubernetes:
    """etcd and kube-apiserver in a folder; `start` and `stop` may be called again, the data stays."""

    def __init__(self, folder: Path) -> None:
        for program in (BINARIES / "kube-apiserver-bin", BINARIES / "kuberay-operator-bin"):
            assert program.exists(), f"{program} is not built: tools/bootstrap kubernetes"
        etcd = shutil.which("etcd")
        assert etcd is not None, "there is no etcd: apt-get install etcd-server"
        self._folder, self._etcd = folder, etcd
        self._port = free_port()
        etcd_port, peer_port = free_port(), free_port()
        self._etcd_url, peer = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(folder / "service-accounts.key"), "2048"], check=True, capture_output=True
        )
        (folder / "tokens.csv").write_text(f"{ADMIN},admin,1,system:masters\n{SOMEBODY},somebody,2\n")
        options = {
            "data-dir": str(folder / "etcd"),
            "listen-client-urls": self._etcd_url,
            "advertise-client-urls": self._etcd_url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
        }
        self._etcd_process = self._run([etcd, *_flags(options)], "etcd")
        self._server: subprocess.Popen[bytes] | None = None
        self._operator: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, command: list[str], name: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=self._folder
            )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the API server and wait until it is ready."""
        key = str(self._folder / "service-accounts.key")
        options = {
            "etcd-servers": self._etcd_url,
            "cert-dir": str(self._folder / "certificates"),
            "bind-address": "127.0.0.1",
            "secure-port": str(self._port),
            "authorization-mode": "RBAC",
            "token-auth-file": str(self._folder / "tokens.csv"),
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-cluster-ip-range": "10.0.0.0/24",
            "disable-admission-plugins": "ServiceAccount",  # Its controller does not run here.
        }
        self._server = self._run([str(BINARIES / "kube-apiserver-bin"), *_flags(options)], "kube-apiserver")
        wait_for("the API server is ready", self._is_ready)

    def _is_ready(self) -> bool:
        import ssl

        certificate = self._folder / "certificates" / "apiserver.crt"
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "kube-apiserver.log").read_text()[-2000:]
        if not certificate.exists():
            return False
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Stop the API server; etcd goes on."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
            self._server = None

    def kubeconfig(self, token: str = ADMIN) -> Path:
        """Return a kubeconfig of admin, or of who has that token."""
        certificate = str(self._folder / "certificates" / "apiserver.crt")
        path = self._folder / f"kubeconfig-{token}"
        described = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": certificate}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        path.write_text(json.dumps(described))
        return path

    def client(self, token: str = ADMIN) -> Any:
        """Return a connection of the official client."""
        from kubernetes import config

        return config.new_client_from_config(str(self.kubeconfig(token)))

    def start_operator(self) -> None:
        """Start KubeRay's operator and wait until it is ready."""
        probe = free_port()
        options = {
            "enable-leader-election": "false",
            "metrics-addr": "0",
            "health-probe-bind-address": f"127.0.0.1:{probe}",
        }
        self._operator = self._run(
            [str(BINARIES / "kuberay-operator-bin"), *_flags(options)],
            "kuberay-operator",
            KUBECONFIG=str(self.kubeconfig()),
            POD_NAMESPACE="default",
        )

        def is_ready() -> bool:
            assert self._operator is not None
            assert self._operator.poll() is None, (self._folder / "kuberay-operator.log").read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{probe}/healthz", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        wait_for("the operator is ready", is_ready)

    def stop_operator(self) -> None:
        if self._operator is not None:
            self._operator.terminate()
            self._operator.wait()
            self._operator = None

    def close(self) -> None:
        self.stop_operator()
        self.stop()
        self._etcd_process.terminate()
        self._etcd_process.wait()


class Kubelet:
    """Runs the pods of a namespace, in name only, and collects those whose Ray cluster is gone."""

    def __init__(self, client: Any, namespace: str) -> None:
        from kubernetes import client as kubernetes_client

        self._core = kubernetes_client.CoreV1Api(client)
        self._objects = kubernetes_client.CustomObjectsApi(client)
        self._namespace = namespace
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.error: BaseException | None = None

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        assert self.error is None, self.error

    def _work(self) -> None:
        try:
            while not self._ended.wait(0.1):
                self._look()
        except BaseException as error:
            self.error = error

    def _look(self) -> None:
        clusters = self._objects.list_namespaced_custom_object("ray.io", "v1", self._namespace, "rayclusters")
        names = {entry["metadata"]["name"] for entry in clusters["items"]}
        for pod in self._core.list_namespaced_pod(self._namespace).items:
            if pod.metadata.deletion_timestamp or pod.metadata.labels.get("ray.io/cluster") not in names:
                self._core.delete_namespaced_pod(pod.metadata.name, self._namespace, grace_period_seconds=0)
            elif pod.status.phase == "Pending":
                self._core.patch_namespaced_pod_status(pod.metadata.name, self._namespace, _running(pod))


def _running(pod: Any) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    containers = [
        {"name": container.name, "ready": True, "restartCount": 0, "image": container.image, "imageID": "none"}
        | {"state": {"running": {"startedAt": now}}}
        for container in pod.spec.containers
    ]
    conditions = [
        {"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return {
        "status": {"phase": "Running", "podIP": "10.1.2.3", "conditions": conditions, "containerStatuses": containers}
    }
