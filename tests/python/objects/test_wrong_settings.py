"""Wrong settings of an object store: each is told at the call, by the option's name, and nothing waits for ever."""

from __future__ import annotations

import pathlib
import socket

import pyarrow as pa
import pytest

import leman
from leman import store_settings

from .s3_server import SECRET_KEY, S3Server


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "REGION",
        "ENDPOINT",
        "ENDPOINT_URL",
        "PROFILE",
    ):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    # No machine of a cloud gives this one credentials.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _settings(server: S3Server, **changes: str | None) -> dict[str, str]:
    from .conftest import options_for

    changed = {**options_for(server.port), **changes}
    return {key: value for key, value in changed.items() if value is not None}


_REFUSED = {
    "no such bucket": ({}, FileNotFoundError, "no bucket 'nowhere' at 'http://127.0.0.1"),
    "another region": (
        {"aws_region": "eu-west-1"},
        ValueError,
        "is in region 'us-east-1', not 'eu-west-1'; set aws_region",
    ),
    "a wrong secret": (
        {"aws_secret_access_key": "wrong"},
        PermissionError,
        "refused the credentials.*aws_access_key_id",
    ),
    "a port where nothing is": (
        {"aws_endpoint": "http://127.0.0.1:1"},
        ConnectionError,
        r"no object store answers at 'http://127.0.0.1:1' \(storage_options\['aws_endpoint'\]\)",
    ),
    "a host that is none": (
        {"aws_endpoint": "http://no-such-host.invalid:9000"},
        ConnectionError,
        "no object store answers at 'http://no-such-host.invalid:9000'",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_what_the_store_refuses_names_the_option(server: S3Server, tmp_path: pathlib.Path, case: str) -> None:
    changes, kind, words = _REFUSED[case]
    bucket = "nowhere" if case == "no such bucket" else "bucket"
    db = leman.connect(f"s3://{bucket}/{tmp_path.name}", storage_options=_settings(server, **changes))
    for call in (db.table_names, lambda: db.open_table("t"), lambda: db.create_table("t", pa.table({"x": [1]}))):
        with pytest.raises(kind, match=words) as refused:
            call()
        assert SECRET_KEY not in str(refused.value)


def test_without_credentials_the_options_are_named(server: S3Server, tmp_path: pathlib.Path) -> None:
    nothing = _settings(server, aws_access_key_id=None, aws_secret_access_key=None)
    db = leman.connect(f"s3://bucket/{tmp_path.name}", storage_options=nothing)
    with pytest.raises(PermissionError, match=r"no credentials.*aws_access_key_id and aws_secret_access_key"):
        db.table_names()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"allow_http": None}, r"storage_options\['aws_endpoint'\]='http://.* is plain HTTP.*allow_http='true'"),
        ({"aws_endpoint": "127.0.0.1:9000"}, "'127.0.0.1:9000': expected a URL"),
        ({"aws_acess_key_id": "x"}, "key 'aws_acess_key_id'.*did you mean 'aws_access_key_id'"),
        ({"regoin": "x"}, "key 'regoin'.*did you mean 'region'"),
        ({"allow_htpp": "true"}, "did you mean 'allow_http'"),
        ({"aws_secret_access_key": None}, "there is aws_access_key_id but no aws_secret_access_key"),
        ({"aws_access_key_id": None}, "there is aws_secret_access_key but no aws_access_key_id"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_connect(
    server: S3Server, changes: dict[str, str | None], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        leman.connect("s3://bucket/db", storage_options=_settings(server, **changes))
    assert SECRET_KEY not in str(refused.value)


def test_a_server_that_says_nothing_is_not_waited_for(
    server: S3Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * (store_settings.CONNECT_TIMEOUT_S + store_settings.ANSWER_TIMEOUT_S) + 1 < 30
    monkeypatch.setattr(store_settings, "ANSWER_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        db = leman.connect(f"s3://bucket/{tmp_path.name}", storage_options=_settings(server, aws_endpoint=endpoint))
        with pytest.raises(ConnectionError, match=f"no object store answers at '{endpoint}'.*timed out"):
            db.open_table("t")


def test_settings_of_lance_and_of_others_are_passed_on(server: S3Server, tmp_path: pathlib.Path) -> None:
    settings = _settings(server, something_else="1", download_retry_count="2", region="us-east-1")
    assert leman.connect(f"s3://bucket/{tmp_path.name}", storage_options=settings).table_names() == []
