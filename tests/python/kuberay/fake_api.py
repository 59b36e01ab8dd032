"""A small Kubernetes API over HTTP on loopback: RayClusters, RayJobs and pods, watches, and failures on demand.

The official client talks to it as to a real one. It knows no schemas; `make test-kubernetes` has a real API server.
"""

from __future__ import annotations

import copy
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KINDS = {"rayclusters": "RayCluster", "rayjobs": "RayJob"}
_WATCH_SCALE = 0.02  # A watch of 5 s lasts 0.1 s.


class FakeApi:
    """The state of the API, and what it does wrong.

    Attributes
    ----------
    objects : dict
        The objects by plural, namespace and name.
    pods : list of dict
        The pods of every cluster.
    output : dict of str to list of str
        The log of each pod, with times.
    failures : list of (method, part of the path, status, body)
        Each answers one request that fits; one with status 0 cuts the connection.
    refused : list of (method, part of the path, status, body)
        Each answers all requests that fit.
    statuses : list of dict, None or callable
        What an operator would do to the object that is watched, one in each watch; ``None`` deletes it, and a callable
        is called before the next watch.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.namespaces = {"leman", "features"}
        self.pods: list[dict[str, Any]] = []
        self.failures: list[tuple[str, str, int, Any]] = []
        self.refused: list[tuple[str, str, int, Any]] = []
        self.statuses: list[Any] = []
        self.output: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str]] = []
        self.version = 0

    def put(self, key: tuple[str, str, str], found: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = found
        return found

    def remove(self, key: tuple[str, str, str]) -> None:
        del self.objects[key]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "v1"] and parts[-1] == "pods":
            label, _, value = query["labelSelector"].partition("=")
            items = [pod for pod in self.pods if pod["metadata"]["labels"].get(label) == value]
            return 200, {"kind": "PodList", "items": items}
        if parts[:2] == ["api", "v1"] and parts[-1] == "log":
            return 200, "".join(f"{line}\n" for line in self.output[parts[-2]])
        if parts[:3] != ["apis", "ray.io", "v1"] or len(parts) < 6:
            return 404, "404 page not found\n"
        namespace, plural = parts[4], parts[5]
        if method == "POST":
            return self._create(namespace, plural, query, body)
        if len(parts) == 6:
            items = [found for key, found in self.objects.items() if key[:2] == (plural, namespace)]
            return 200, {"kind": f"{KINDS[plural]}List", "items": items}
        key = (plural, namespace, parts[6])
        if key not in self.objects:
            return 404, failure(404, f'{plural}.ray.io "{parts[6]}" not found')
        if method == "PUT":
            if body["metadata"].get("resourceVersion") != self.objects[key]["metadata"]["resourceVersion"]:
                return 409, failure(
                    409, "the object has been modified; please apply your changes to the latest version"
                )
            return 200, body if "dryRun" in query else self.put(key, body)
        if method == "DELETE":
            self.remove(key)
            return 200, {"kind": "Status", "status": "Success"}
        return 200, self.objects[key]

    def _create(self, namespace: str, plural: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        key = (plural, namespace, body["metadata"]["name"])
        if namespace not in self.namespaces:
            return 404, failure(404, f'namespaces "{namespace}" not found')
        if key in self.objects:
            return 409, failure(409, "already exists")
        body["metadata"]["generation"] = 1
        if "dryRun" in query:
            return 201, body
        return 201, self.put(key, body)

    def watched(self, key: tuple[str, str, str], seconds: float) -> Iterator[dict[str, Any]]:
        """Yield an object as it is, and its next status; who watches sees every status, one in each watch."""
        while self.statuses and callable(self.statuses[0]):
            self.statuses.pop(0)()
        found = self.objects.get(key)
        if found is None:
            time.sleep(seconds * _WATCH_SCALE)
            return
        yield {"type": "ADDED", "object": found}
        if not self.statuses:
            time.sleep(seconds * _WATCH_SCALE)
            return
        status = self.statuses.pop(0)
        if status is None:
            self.remove(key)
            yield {"type": "DELETED", "object": {"kind": found["kind"], "metadata": found["metadata"]}}
        else:
            yield {"type": "MODIFIED", "object": self.put(key, {**copy.deepcopy(found), "status": status})}


def failure(code: int, message: str) -> dict[str, Any]:
    """Return an error as the API server writes it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # One packet for head and body; the answer to a second one would be waited for.
    fake: FakeApi

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        method = "WATCH" if query.get("watch") in ("true", "True") else self.command
        self.fake.requests.append((method, self.path))
        for table in (self.fake.failures, self.fake.refused):
            for entry in table:
                if entry[0] == method and entry[1] in self.path:
                    if table is self.fake.failures:
                        table.remove(entry)
                    return self._fail(entry[2], entry[3])
        if method == "WATCH":
            return self._stream(url.path, query)
        return self._send(*self.fake.answer(self.command, url.path, query, body))

    def _fail(self, status: int, body: Any) -> None:
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self._send(status, body)

    def _send(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, path: str, query: dict[str, str]) -> None:
        parts = path.strip("/").split("/")
        key = (parts[5], parts[4], query["fieldSelector"].partition("=")[2])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for event in self.fake.watched(key, float(query["timeoutSeconds"])):
            data = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_DELETE = _handle


class RunningFake:
    """A :class:`FakeApi` behind a socket, and a kubeconfig that names it."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeApi()
        handler = type("Handler", (_Handler,), {"fake": self.api})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(f"http://127.0.0.1:{self._server.server_address[1]}"))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def kubeconfig(server: str, **cluster: str) -> str:
    """Return a kubeconfig with one context, ``test``; JSON is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "test", "user": {"token": "admin-of-this-test"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
    )
