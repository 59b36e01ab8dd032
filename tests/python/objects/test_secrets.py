"""A marker secret is in nothing that is written, and in no error, whatever fails."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pyarrow as pa
import pytest

import leman

from .conftest import options_for
from .s3_server import BUCKET, SECRET_KEY, Proxy, S3Server, free_port

_SIGNED = "https://example.org/a.png?X-Amz-Credential=AKIA-leman-marker&X-Amz-Signature=leman-marker-signature"


@leman.udf(data_type=pa.int64(), on_error=leman.skip_on_error())
def download(x: int) -> int:
    if x % 10 == 3:
        raise OSError(f"403 for url: {_SIGNED}")
    return x


@leman.udf(data_type=pa.int64())
def download_or_fail(x: int) -> int:
    raise OSError(f"403 for url: {_SIGNED} with {SECRET_KEY}")


def _holds_none(text: str) -> bool:
    return not any(secret in text for secret in (SECRET_KEY, "leman-marker"))


def test_signed_urls_of_functions_errors_are_not_recorded(db, server: S3Server) -> None:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(20), pa.int64())}))
    table.add_columns({"y": download})
    table.add_columns({"z": download_or_fail})
    assert table.backfill("y", concurrency=1).rows_skipped == 2
    errors = table.get_errors()
    assert len(errors) == 2
    assert all("403 for url" in error.error_message and _holds_none(error.error_message) for error in errors)
    with pytest.raises(leman.UserFunctionError, match="403 for url") as failed:
        table.backfill("z", concurrency=1)
    # Its own source, which a traceback shows, names no secret: only values do.
    assert _holds_none(str(failed.value))
    written = [path for path in (server.objects / db.uri.rpartition("/")[2]).rglob("*") if path.is_file()]
    kept = [path for path in written if "/udfs/" not in str(path)]
    assert len(kept) > 5
    assert not [path for path in written if SECRET_KEY.encode() in path.read_bytes() and "/udfs/" not in str(path)]
    assert not [path for path in kept if b"leman-marker" in path.read_bytes()]


def _attempts(db: leman.Connection) -> list[Callable[[], object]]:
    data = pa.table({"x": [1]})
    return [
        db.table_names,
        lambda: db.open_table("numbers"),
        lambda: db.create_table("numbers", data),
        lambda: db.create_table("numbers", data, mode="overwrite"),
        lambda: db.drop_table("numbers"),
        lambda: db.list_jobs("numbers"),
        lambda: db.get_job("no-such-job"),
    ]


@pytest.mark.parametrize(
    "fault", ["broken", *(pytest.param(fault, marks=pytest.mark.long) for fault in ("unreachable", "refused"))]
)
def test_no_error_of_a_store_that_fails_shows_a_secret(fault: str, proxy: Proxy, tmp_path: pathlib.Path) -> None:
    options = options_for(free_port() if fault == "unreachable" else proxy.port)
    options |= {"client_max_retries": "0", "client_retry_timeout": "1", "aws_session_token": "leman-marker-token"}
    status = {"refused": 403, "broken": 500}.get(fault)
    proxy.fault = lambda method, path: status
    db = leman.connect(f"s3://{BUCKET}/{tmp_path.name}", storage_options=options)
    for attempt in _attempts(db):
        with pytest.raises(Exception) as failed:
            attempt()
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown):
            sys.excepthook(failed.type, failed.value, failed.tb)
        assert str(failed.value)
        assert _holds_none(shown.getvalue())
    names = {"aws_endpoint": "AWS_ENDPOINT", "allow_http": "AWS_ALLOW_HTTP"}
    environment = {names.get(key, key.upper()): value for key, value in options.items()}
    run = subprocess.run(
        [sys.executable, "-m", "leman.cli", "--traceback", "tables", db.uri],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode != 0
    assert run.stderr
    assert _holds_none(run.stdout + run.stderr + json.dumps(repr(db)))
