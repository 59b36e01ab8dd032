"""What is wrong with an object store's settings, in words that name the option; found before a call waits for it."""

from __future__ import annotations

import difflib
import functools
import html
import http.client
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlparse

from .errors import LemanError
from .secret_redaction import redact

F = TypeVar("F", bound=Callable[..., Any])

#: Seconds for an endpoint to be connected to, and to answer anything at all; each twice.
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 8.0
_KINDS = {"s3": "aws", "s3a": "aws", "gs": "google", "az": "azure", "abfs": "azure", "abfss": "azure"}
_ENDPOINTS = {"aws": ("endpoint_url_s3", "endpoint", "endpoint_url"), "azure": ("endpoint", "storage_endpoint")}
_NEEDED = {
    "aws": "aws_access_key_id and aws_secret_access_key (and aws_session_token, if they are temporary)",
    "azure": "account_name with account_key or a SAS token",
    "google": "google_service_account or google_service_account_key",
}
_VARIABLES = {
    "aws": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "azure": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "google": "GOOGLE_SERVICE_ACCOUNT",
}
# Of object_store and of Lance; without the prefix where one may be left out. A key that is near to one of them and
# none itself is taken for a misspelt one; all others are passed on.
_KNOWN = {
    "aws": (
        "access_key_id secret_access_key session_token token region default_region endpoint endpoint_url "
        "endpoint_url_s3 bucket bucket_name virtual_hosted_style_request unsigned_payload checksum_algorithm "
        "metadata_endpoint skip_signature "
        "imdsv1_fallback s3_express request_payer conditional_put disable_tagging copy_if_not_exists profile "
        "server_side_encryption sse_kms_key_id sse_bucket_key_enabled sse_customer_key_base64 "
        "container_credentials_relative_uri container_credentials_full_uri container_authorization_token_file "
        "web_identity_token_file role_arn role_session_name endpoint_url_sts"
    ),
    "azure": (
        "account_name account_key access_key client_id client_secret tenant_id authority_id authority_host sas_token "
        "sas_key bearer_token token endpoint use_emulator msi_endpoint object_id msi_resource_id federated_token_file "
        "use_azure_cli skip_signature container_name disable_tagging use_fabric_endpoint storage_account_name "
        "storage_account_key storage_client_id storage_client_secret storage_tenant_id storage_sas_token "
        "storage_sas_key storage_token storage_endpoint storage_use_emulator"
    ),
    "google": (
        "service_account service_account_path service_account_key bucket bucket_name application_credentials "
        "skip_signature storage_token base_url"
    ),
}
_KNOWN_OF_ALL = (
    "allow_http allow_invalid_certificates connect_timeout request_timeout timeout proxy_url proxy_ca_certificate "
    "proxy_excludes user_agent default_content_type http1_only http2_only http2_keep_alive_interval "
    "http2_keep_alive_timeout http2_keep_alive_while_idle http2_max_frame_size pool_idle_timeout "
    "pool_max_idle_per_host randomize_addresses client_max_retries client_retry_timeout download_retry_count "
    "object_store_retries refresh_offset_millis"
)
_NEAR = 0.82


def check_settings(uri: str, options: Mapping[str, str]) -> None:
    """Refuse settings that cannot work, without asking the store.

    Parameters
    ----------
    uri : str
        Of a database or a table; nothing is checked of a folder.
    options : mapping of str to str
        ``storage_options``.

    Raises
    ------
    TypeError
        Where a key is no str, or a value can be no setting.
    ValueError
        Where a key is misspelt, a secret is missing, an endpoint is no URL, or plain HTTP is asked for and not allowed.
    """
    kind = _kind(uri)
    if kind is None:
        return
    for key, value in options.items():
        if not isinstance(key, str) or not isinstance(value, (str, int, float)):
            raise TypeError(f"storage_options: expected a dict of str to str; {key!r} is of {type(value).__name__}")
        _check_key(kind, key)
    given = {key.lower(): str(value) for key, value in options.items()}
    if kind == "aws":
        _check_pair(given)
    endpoint = _endpoint(kind, given)
    if endpoint is None:
        return
    source, url = endpoint
    parsed = urlparse(url)
    if parsed.scheme not in ("http", "https") or not parsed.netloc:
        raise ValueError(
            f"{source}={redact(url)!r}: expected a URL such as 'http://host:9000' or 'https://storage.example.com'"
        )
    if parsed.scheme == "http" and not _allows_http(kind, given):
        raise ValueError(
            f"{source}={redact(url)!r} is plain HTTP, which shows what is sent to everybody in between; if that is "
            "meant, add allow_http='true' to storage_options"
        )


def explains_store_errors(method: F) -> F:
    """Decorate a method of a Connection: what its object store refuses is told by the option that is wrong.

    Raises
    ------
    FileNotFoundError
        Where there is no such bucket.
    PermissionError
        Where there are no credentials, or they are refused.
    ConnectionError
        Where nothing answers at the endpoint, within half a minute.
    ValueError
        Where the region is another.
    """

    @functools.wraps(method)
    def explained(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _kind(self.uri) is None:
            return method(self, *args, **kwargs)
        options = {key.lower(): str(value) for key, value in self.storage_options.items()}
        if not self.store_answers:
            _check_answer(self.uri, options)
            self.store_answers = True
        try:
            return method(self, *args, **kwargs)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, LemanError) or hasattr(error, "leman_explained"):
                raise
            told = _explained(self.uri, options, redact(str(error)))
            if told is None:
                raise
            told.leman_explained = True  # type: ignore[attr-defined]
            raise told from None

    return explained  # type: ignore[return-value]


def _kind(uri: str) -> str | None:
    return _KINDS.get(uri.partition("://")[0].lower()) if "://" in uri else None


def _check_key(kind: str, key: str) -> None:
    prefixed = [f"{kind}_{name}" for name in _KNOWN[kind].split()]
    plain = [*_KNOWN[kind].split(), *_KNOWN_OF_ALL.split()]
    known = [*prefixed, *plain, *(f"{kind}_{name}" for name in _KNOWN_OF_ALL.split())]
    lowered = key.lower()
    if lowered in known:
        return
    near = difflib.get_close_matches(lowered, known, 1, _NEAR)
    if near:
        raise ValueError(f"storage_options has the key {key!r}, which no object store knows; did you mean {near[0]!r}?")


def _setting(kind: str, given: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    """Return (who says so, value)."""
    for name in names:
        for key in (f"{kind}_{name}", name):
            if given.get(key):
                return f"storage_options[{key!r}]", given[key]
        variable = f"{kind}_{name}".upper()
        if os.environ.get(variable):
            return variable, os.environ[variable]
    return None


def _check_pair(given: Mapping[str, str]) -> None:
    if _setting("aws", given, "profile"):
        return
    identity = _setting("aws", given, "access_key_id")
    secret = _setting("aws", given, "secret_access_key")
    if (identity is None) == (secret is None):
        return
    has, lacks = ("aws_access_key_id", "aws_secret_access_key")[:: 1 if secret is None else -1]
    raise ValueError(
        f"storage_options: there is {has} but no {lacks}; give both in storage_options, or "
        f"{_VARIABLES['aws']} in the environment"
    )


def _endpoint(kind: str, given: Mapping[str, str]) -> tuple[str, str] | None:
    if kind == "azure" and (_setting(kind, given, "use_emulator", "storage_use_emulator")):
        return None
    return _setting(kind, given, *_ENDPOINTS.get(kind, ()))


def _allows_http(kind: str, given: Mapping[str, str]) -> bool:
    value = given.get("allow_http") or given.get(f"{kind}_allow_http") or os.environ.get(f"{kind.upper()}_ALLOW_HTTP")
    return (value or os.environ.get("ALLOW_HTTP") or "").lower() in ("1", "true", "yes", "on", "y")


def _check_answer(uri: str, given: Mapping[str, str]) -> None:
    """Lance waits for minutes for a server that takes connections and says nothing."""
    kind = _kind(uri)
    assert kind is not None
    endpoint = _endpoint(kind, given)
    proxied = given.get("proxy_url") or any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"))
    if endpoint is None or proxied or urlparse(endpoint[1]).scheme != "http":
        return
    error = None
    for attempt in range(2):
        time.sleep(attempt / 2)
        error = _ask(endpoint[1])
        if error is None:
            return
    told = ConnectionError(
        f"{uri}: no object store answers at {redact(endpoint[1])!r} ({endpoint[0]}): {error}; expected is the URL of "
        "one that runs and can be reached from here"
    )
    told.leman_explained = True  # type: ignore[attr-defined]
    raise told


def _ask(url: str) -> Exception | None:
    parsed = urlparse(url)
    try:
        connection = http.client.HTTPConnection(parsed.hostname or "", parsed.port or 80, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            connection.request("HEAD", "/")
            connection.getresponse()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return error
    return None


def _explained(uri: str, given: Mapping[str, str], text: str) -> Exception | None:
    kind = _kind(uri)
    assert kind is not None
    lowered = text.lower()
    bucket = urlparse(uri).netloc
    endpoint = _endpoint(kind, given)
    where = f" at {redact(endpoint[1])!r} ({endpoint[0]})" if endpoint else ""
    ask = f"give {_NEEDED[kind]} in storage_options, or {_VARIABLES[kind]} in the environment"
    if "nosuchbucket" in lowered or "containernotfound" in lowered:
        return FileNotFoundError(f"{uri}: there is no bucket {bucket!r}{where}; check uri, and the endpoint")
    wrong = re.search("region [\"']([^\"']*)[\"'] is wrong; expecting [\"']([^\"']*)[\"']", html.unescape(text))
    if wrong is not None or "permanentredirect" in lowered or "301 moved" in lowered:
        is_in = f" is in region {wrong[2]!r}, not {wrong[1]!r}" if wrong else " is in another region"
        right = repr(wrong[2]) if wrong else "the bucket's region"
        return ValueError(f"{uri}: the bucket{is_in}; set aws_region in storage_options (or AWS_REGION) to {right}")
    if (
        "failed to get aws credentials" in lowered
        or "credentialsnotloaded" in lowered
        or "metadata/identity" in lowered
    ):
        return PermissionError(f"{uri}: there are no credentials for the object store; {ask}")
    refused = ("signaturedoesnotmatch", "invalidaccesskeyid", "accessdenied", "expiredtoken", "403 forbidden")
    if any(word in lowered for word in (*refused, "401 unauthorized", "authenticationfailed")):
        return PermissionError(
            f"{uri}: the object store{where} refused the credentials (wrong, expired, or without permission); "
            f"{ask}: {_short(text)}"
        )
    if "builder error" in lowered or "error sending request" in lowered or "dns error" in lowered:
        return ConnectionError(
            f"{uri}: no object store answers{where}; check the network and the endpoint, and for plain HTTP "
            f"allow_http='true' in storage_options: {_short(text)}"
        )
    return None


def _short(text: str, limit: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit] + "…"
