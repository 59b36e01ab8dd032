"""A real S3 server for tests: versitygw over a folder, on loopback, and a proxy before it that counts and fails."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable

ACCESS_KEY = "leman-test-access"
SECRET_KEY = "leman-test-very-secret-key"
BUCKET = "bucket"


def find_server() -> str | None:
    """Return versitygw as tools/bootstrap built it, or as found on the path."""
    root = pathlib.Path(__file__).parents[3]
    built = root / ".bench" / "versitygw" / "versitygw"
    return os.environ.get("LEMAN_VERSITYGW") or (str(built) if built.exists() else shutil.which("versitygw"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class S3Server:
    """versitygw over ``folder``; can be killed and started again on its port."""

    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        self._binary = binary
        self._folder = folder
        (folder / "data" / BUCKET).mkdir(parents=True)
        (folder / "meta").mkdir()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def objects(self) -> pathlib.Path:
        """The bucket as a folder."""
        return self._folder / "data" / BUCKET

    def start(self) -> None:
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        command = [self._binary, "--port", f"127.0.0.1:{self.port}", "posix"]
        command += ["--sidecar", str(self._folder / "meta"), str(self._folder / "data")]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"versitygw does not answer: {(self._folder / 'server.log').read_text()}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Proxy:
    """Forwards to a server; counts bytes, and answers itself where ``fault`` says so.

    ``fault(method, path)`` returns None to forward, a status code to answer with, or seconds (float) to wait before.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.fault: Callable[[str, str], int | float | None] = lambda method, path: None
        self.refuses_copies = False
        self.bytes_up = 0
        self.bytes_down = 0
        self.requests: list[tuple[str, str]] = []
        self.traffic: list[tuple[str, str, int]] = []
        self.faults = 0
        self._lock = threading.Lock()
        self._leases = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                proxy._serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        with self._lock:
            self.bytes_up = self.bytes_down = self.faults = 0
            self.requests = []
            self.traffic = []

    def bytes_of_assembly(self) -> int:
        """Bytes of requests that make data files or read checkpoints; workers only write checkpoints."""
        with self._lock:
            return sum(
                size
                for method, path, size in self.traffic
                if "/data/leman-" in path
                or (method == "GET" and "/_leman/checkpoints/" in path and "list-type" not in path)
            )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = _read_body(request)
        answer = self.fault(request.command, request.path)
        if self.refuses_copies and request.headers.get("x-amz-copy-source-range"):
            answer = 403
        with self._lock:
            self.requests.append((request.command, request.path))
            self.bytes_up += len(body)
            self.faults += answer is not None
        if isinstance(answer, float):
            time.sleep(answer)
        elif answer is not None:
            _answer(request, answer, [("Content-Type", "application/xml")], _error_body(answer))
            return
        # versitygw takes several steps to look at a condition, to put, and to note the ETag; S3 takes one.
        conditional = "/_leman/leases/" in request.path or ".upload" in request.path
        with self._leases if conditional else contextlib.nullcontext():
            self._forward(request, body)

    def _forward(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "expect"):
                    connection.putheader(name, value)
            if request.headers.get("Transfer-Encoding"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
            connection.close()
        except OSError:
            # The server is gone: the client loses its connection, too.
            request.close_connection = True
            request.connection.close()
            return
        with self._lock:
            self.bytes_down += len(content)
            self.traffic.append((request.command, request.path, len(body) + len(content)))
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
        _answer(request, response.status, headers, content)


def _read_body(request: http.server.BaseHTTPRequestHandler) -> bytes:
    if "chunked" in (request.headers.get("Transfer-Encoding") or ""):
        body = b""
        while size := int(request.rfile.readline().split(b";")[0], 16):
            body += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
        return body
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def _answer(
    request: http.server.BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    with contextlib.suppress(OSError):
        request.send_response_only(status)
        names = set()
        for name, value in headers:
            names.add(name.lower())
            request.send_header(name, value)
        if "content-length" not in names and status != 204:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def _error_body(status: int) -> bytes:
    code = {403: "ExpiredToken", 503: "SlowDown", 500: "InternalError", 429: "SlowDown"}.get(status, "Error")
    return f"<Error><Code>{code}</Code><Message>test</Message></Error>".encode()
