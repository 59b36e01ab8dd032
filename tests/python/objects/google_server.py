"""A real server of Google Cloud Storage for tests: fake-gcs-server (Go), on loopback, in memory.

It knows Google's JSON API; Rust's object_store, which Lance and Leman use, writes by the XML API. The front translates
the writes of the one into those of the other, preconditions included, and forwards everything else:
https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import uuid
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .s3_server import BUCKET, free_port

_KEPT = ("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "content-type")


def find_google() -> str | None:
    """Return fake-gcs-server as tools/bootstrap built it, or as found on the path."""
    built = pathlib.Path(__file__).parents[3] / ".bench" / "fake-gcs-server" / "fake-gcs-server"
    return str(built) if built.exists() else shutil.which("fake-gcs-server")


class GoogleServer:
    """fake-gcs-server with one bucket, and the front at ``port``."""

    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._front = _Front()
        self.port = self._front.port
        target, public = self._front.target_port, f"127.0.0.1:{self._front.target_port}"
        command = [binary, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(target)]
        command += ["-public-host", public, "-external-url", f"http://{public}", "-log-level", "error"]
        log = folder / "server.log"
        with open(log, "ab") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target), 1):
                self._front.ask("POST", "/storage/v1/b?project=test", {}, json.dumps({"name": BUCKET}).encode())
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"fake-gcs-server does not answer: {log.read_text()}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._front.close()


class _Front:
    """The XML API's writes, in terms of the JSON API."""

    def __init__(self) -> None:
        self.target_port = free_port()
        self._uploads: dict[str, dict[int, bytes]] = {}
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = front.serve(self.command, self.path, dict(self.headers.items()), body)
                self.send_response_only(status)
                if status != 204 and "Content-Length" not in headers:
                    headers["Content-Length"] = str(len(content))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request to fake-gcs-server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        own = ("connection", "transfer-encoding")
        answered = {name: value for name, value in response.getheaders() if name.lower() not in own}
        return response.status, answered, content

    def serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer a request of the XML API."""
        lowered = {name.lower(): value for name, value in headers.items()}
        split = urlsplit(path)
        query = parse_qs(split.query, keep_blank_values=True)
        bucket, _, name = unquote(split.path).lstrip("/").partition("/")
        condition = lowered.get("x-goog-if-generation-match")
        if method == "PUT" and "x-goog-copy-source" in lowered:
            return self._copy(bucket, name, unquote(lowered["x-goog-copy-source"]).lstrip("/"), condition)
        if method == "PUT" and "uploadId" in query:
            self._uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
            return 200, {"ETag": f'"part-{query["partNumber"][0]}"'}, b""
        if method == "PUT":
            return self._put(bucket, name, body, condition)
        if method == "POST" and "uploads" in query:
            upload_id = uuid.uuid4().hex
            self._uploads[upload_id] = {}
            return 200, {}, _xml("InitiateMultipartUploadResult", Bucket=bucket, Key=name, UploadId=upload_id)
        if method == "POST" and "uploadId" in query:
            parts = self._uploads.pop(query["uploadId"][0])
            status, answered, _ = self._put(bucket, name, b"".join(parts[n] for n in sorted(parts)), condition)
            return status, answered, _xml("CompleteMultipartUploadResult", ETag=answered.get("ETag", ""))
        if method == "DELETE" and "uploadId" in query:
            self._uploads.pop(query["uploadId"][0], None)
            return 204, {}, b""
        return self.ask(method, path, {n: v for n, v in lowered.items() if n in _KEPT}, body)

    def _put(self, bucket: str, name: str, content: bytes, condition: str | None) -> tuple[int, dict[str, str], bytes]:
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        path += "" if condition is None else f"&ifGenerationMatch={condition}"
        return _written(*self.ask("POST", path, {"Content-Type": "application/octet-stream"}, content))

    def _copy(self, bucket: str, name: str, source: str, condition: str | None) -> tuple[int, dict[str, str], bytes]:
        from_bucket, _, from_name = source.partition("/")
        path = f"/storage/v1/b/{from_bucket}/o/{quote(from_name, safe='')}/copyTo/b/{bucket}/o/{quote(name, safe='')}"
        path += "" if condition is None else f"?ifGenerationMatch={condition}"
        return _written(*self.ask("POST", path, {"Content-Type": "application/json"}, b"{}"))


def _written(status: int, headers: dict[str, str], content: bytes) -> tuple[int, dict[str, str], bytes]:
    if status >= 300:
        return status, {}, _xml("Error", Code=f"Http{status}", Message="see the status")
    told = json.loads(content)
    return 200, {"ETag": f'"{told["etag"]}"', "x-goog-generation": str(told["generation"])}, b""


def _xml(kind: str, **fields: str) -> bytes:
    inner = "".join(f"<{name}>{value.replace('&', '&amp;')}</{name}>" for name, value in fields.items())
    return f"<?xml version='1.0' encoding='UTF-8'?><{kind}>{inner}</{kind}>".encode()
