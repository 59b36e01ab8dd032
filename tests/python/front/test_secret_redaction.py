"""Credentials in texts of other libraries are struck out; the rest of a text stays."""

from __future__ import annotations

import pytest

from leman.lance_errors import translate
from leman.secret_redaction import redact, redacted_errors, remember_secrets

MARK = "M4rkerS3cret/+=="


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA%2F{MARK}&X-Amz-Signature={MARK}&x=1: 403",
        f"GET https://storage.googleapis.com/b/k?X-Goog-Signature={MARK}&x=1",
        f"PUT https://a.blob.core.windows.net/c/k?sv=2021-08-06&sig={MARK}&x=1 failed",
        f"connect to https://user:{MARK.replace('/', '')}@host/path: refused",
        f"bad options {{'aws_secret_access_key': '{MARK}', 'region': 'x'}}",
        f'AmazonS3Builder {{ secret_access_key: Some("{MARK}"), token: None }}',
        f'{{"account_key": "{MARK}", "account_name": "me"}}',
        f'{{"private_key": "-----BEGIN {MARK}\\nmore {MARK}", "client_email": "me"}}',
        f"azure_storage_sas_token={MARK}, next",
        f"headers: Authorization: Bearer {MARK}",
    ],
)
def test_what_looks_like_a_credential_is_struck_out(text: str) -> None:
    clean = redact(text)
    assert MARK not in clean
    assert MARK.replace("/", "") not in clean
    assert "***" in clean
    assert clean[:4] == text[:4]


@pytest.mark.parametrize(
    "text",
    [
        "unexpected token: ')' at 3",
        "s3://bucket/db/t.lance: read a/b: the object store did not answer",
        "column 'sig' has no signature: expected (x: int) -> int",
        "ValueError: https://example.org/a?page=2&design=blue was not found",
        "me@example.org wrote to host:8080/path@v2",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    assert redact(text) == text


def test_secrets_that_were_given_are_struck_out_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    remember_secrets({"aws_secret_access_key": "given-to-connect", "aws_region": "eu-central-1"})
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "from-the-environment")
    assert redact("a given-to-connect b from-the-environment c eu-central-1") == "a *** b *** c eu-central-1"


def test_errors_of_lance_are_translated_without_credentials() -> None:
    error = OSError(f"LanceError(IO): GET http://h/k?X-Amz-Signature={MARK}: Connection refused, /home/x.rs:1:2")
    translated = translate(error, "read rows")
    assert MARK not in str(translated)
    assert translated.leman_kind == "retryable"


def test_errors_that_pass_through_keep_their_kind_and_lose_their_cause() -> None:
    with pytest.raises(OSError, match="sig=") as raised, redacted_errors():
        raise OSError(f"PUT http://h/k?sig={MARK}")
    assert MARK not in str(raised.value)
    assert raised.value.__suppress_context__
    with pytest.raises(KeyError), redacted_errors():
        raise KeyError("other")
