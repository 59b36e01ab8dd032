"""Fixtures: an S3 server over a folder, a proxy before it, and a database in its bucket."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

import leman

from .s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, Proxy, S3Server, find_server


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    binary = find_server()
    if binary is None:
        pytest.skip("no S3 server: tools/bootstrap test builds versitygw where Go is installed")
    server = S3Server(binary, tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(_server: S3Server) -> Iterator[S3Server]:
    """The server; one that a test killed runs again afterwards."""
    yield _server
    if _server._process is None:
        _server.start()


@pytest.fixture
def proxy(server: S3Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


def options_for(port: int) -> dict[str, str]:
    """Storage options for the server (or proxy) at a port."""
    return {
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "aws_endpoint": f"http://127.0.0.1:{port}",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }


@pytest.fixture
def options(proxy: Proxy) -> dict[str, str]:
    return options_for(proxy.port)


@pytest.fixture
def db(options: dict[str, str], tmp_path: pathlib.Path) -> leman.Connection:
    """A database of this test's own."""
    return leman.connect(f"s3://{BUCKET}/{tmp_path.name}", storage_options=options)
