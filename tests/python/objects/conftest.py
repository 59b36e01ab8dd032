"""Fixtures: servers of object stores, a proxy before each, and a database in its bucket."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import pytest

import leman

from .azure_server import ACCOUNT, ACCOUNT_KEY, AzureServer, find_azurite
from .google_server import GoogleServer, find_google
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


@pytest.fixture(scope="session")
def _azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    command = find_azurite()
    if command is None:
        pytest.skip("no Azure server: `make test-objects` installs Azurite where Node is installed")
    server = AzureServer(command, tmp_path_factory.mktemp("azure"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    binary = find_google()
    if binary is None:
        pytest.skip("no Google server: `make test-objects` builds fake-gcs-server where Go is installed")
    server = GoogleServer(binary, tmp_path_factory.mktemp("google"))
    yield server
    server.stop()


@dataclasses.dataclass
class Store:
    """An object store with a place for one test: options for callers, the environment for other processes."""

    uri: str
    options: dict[str, str]
    environment: dict[str, str]
    secret: str
    proxy: Proxy

    def connect(self) -> leman.Connection:
        return leman.connect(self.uri, storage_options=self.options)


def _s3_store(port: int) -> tuple[dict[str, str], dict[str, str], str]:
    options = options_for(port)
    return options, {name.upper().replace("ALLOW", "AWS_ALLOW"): value for name, value in options.items()}, SECRET_KEY


def _azure_store(port: int) -> tuple[dict[str, str], dict[str, str], str]:
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    options = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "azure_endpoint": endpoint, "allow_http": "true"}
    environment = {
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        "AZURE_STORAGE_ENDPOINT": endpoint,
        "AZURE_ALLOW_HTTP": "true",
    }
    return options, environment, ACCOUNT_KEY


def _google_store(port: int) -> tuple[dict[str, str], dict[str, str], str]:
    secret = "leman-test-private-key-id"
    account = {"gcs_base_url": f"http://127.0.0.1:{port}", "disable_oauth": True}
    account |= {"client_email": "", "private_key": "", "private_key_id": secret}
    key = json.dumps(account)
    options = {"google_service_account_key": key, "allow_http": "true"}
    return options, {"GOOGLE_SERVICE_ACCOUNT_KEY": key, "GOOGLE_ALLOW_HTTP": "true"}, secret


_STORES = {
    "s3": ("server", _s3_store),
    "az": ("_azure", _azure_store),
    "gs": ("_google", _google_store),
}


@pytest.fixture(params=_STORES)
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Store]:
    """Each kind of object store in turn."""
    fixture, describe = _STORES[request.param]
    proxy = Proxy(request.getfixturevalue(fixture).port)
    yield Store(f"{request.param}://{BUCKET}/{tmp_path.name}", *describe(proxy.port), proxy)
    proxy.close()
