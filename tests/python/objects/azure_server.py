"""A real server of Azure's Blob API for tests: Azurite (npm), on loopback, over a folder."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import subprocess
import time

from .s3_server import BUCKET, free_port

ACCOUNT = "devstoreaccount1"
#: Azurite's one account has this key: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_MAIN = pathlib.Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


def find_azurite() -> list[str] | None:
    """Return the command of Azurite as tools/bootstrap installed it, or None."""
    main = pathlib.Path(__file__).parents[3] / ".bench" / "azurite" / _MAIN
    node = shutil.which("node")
    return [node, str(main)] if node and main.exists() else None


class AzureServer:
    """Azurite over ``folder``, with one container."""

    def __init__(self, command: list[str], folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(folder)]
        # The API versions that object_store speaks may be newer than Azurite's list of them.
        arguments += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        log = folder / "server.log"
        with open(log, "ab") as file:
            self._process = subprocess.Popen([*command, *arguments], stdout=file, stderr=file, env={**os.environ})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._make_container()
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"Azurite does not answer: {log.read_text()}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _make_container(self) -> None:
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        named = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
        signed = hmac.new(base64.b64decode(ACCOUNT_KEY), f"PUT{chr(10) * 12}{named}".encode(), hashlib.sha256)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed.digest()).decode()}",
            "Content-Length": "0",
        }
        connection.request("PUT", f"/{ACCOUNT}/{BUCKET}?restype=container", headers=headers)
        status = connection.getresponse().status
        connection.close()
        if status != 201:
            raise RuntimeError(f"Azurite made no container: HTTP {status}")
