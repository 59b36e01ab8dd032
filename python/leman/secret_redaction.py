"""Strikes credentials out of texts of the libraries below, before they are shown or written down."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

from .errors import LemanError

_SECRET_WORDS = ("secret", "token", "password", "sas", "signature", "access_key", "account_key", "service_account_key")
#: An access key's id names it; the key itself is the secret.
_NO_SECRETS = ("access_key_id",)
_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
_SHORTEST = 4

# What a signed URL is signed with: of AWS, Google and Azure.
_SIGNED = re.compile(
    r"(?i)([?&;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|access_token)=)"
    r"[^&\s\"'<>)]+"
)
_LOGIN = re.compile(r"(\b[a-zA-Z][\w+.-]*://[^/\s:@]*:)[^/\s@]+(?=@)")
# A setting and its value, as a dict, as JSON and as Rust's structs show them.
_SETTING = re.compile(
    r"(?i)(\b(?:aws_|azure_|azure_storage_|google_)?(?:secret_access_key|secret_key|session_token|account_key|"
    r"sas_key|sas_token|client_secret|private_key|service_account_key|bearer_token)\\?[\"']?\s*[:=]\s*"
    r"(?:Some\(\s*)?)(\\?[\"'](?:[^\"'\\]|\\[^\"'])*\\?[\"']|[^\s,;&})]+)"
)
# Where in Lance's own source an error was made, on the machine that built it: a secret of nobody, and of use to nobody.
_RUST_SOURCE = re.compile(r",? /[^\s,:]+\.rs:\d+:\d+")
_AUTHORIZATION = re.compile(
    r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|sharedkey|aws4-hmac-sha256)\s)[^\"'\r\n]+"
)

#: Of every connection of this process: errors of the libraries below do not say whose they are.
_given: set[str] = set()


def remember_secrets(options: Mapping[str, str]) -> None:
    """Have the secrets among storage options struck out of every text from now on."""
    _given.update(secrets_of(options))


def secrets_of(options: Mapping[str, str]) -> set[str]:
    """Return the values of storage options that are secrets."""
    secret = {
        str(value)
        for key, value in options.items()
        if any(word in str(key).lower() for word in _SECRET_WORDS)
        and not any(str(key).lower().endswith(word) for word in _NO_SECRETS)
    }
    return {value for value in secret if len(value) >= _SHORTEST}


def redact(text: str) -> str:
    """Strike credentials out of a text: those this process was given, and what looks like some.

    Parameters
    ----------
    text : str
        E.g. an error of Lance or of an object store.

    Returns
    -------
    str
        The text with ``***`` in place of each.
    """
    known = {os.environ.get(name, "") for name in _VARIABLES} | _given
    for secret in sorted((value for value in known if len(value) >= _SHORTEST), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _SIGNED.sub(r"\1***", text)
    text = _LOGIN.sub(r"\1***", text)
    text = _SETTING.sub(r"\1***", text)
    text = _RUST_SOURCE.sub("", text)
    return _AUTHORIZATION.sub(r"\1***", text)


@contextlib.contextmanager
def redacted_errors() -> Iterator[None]:
    """Strike credentials out of the errors of Lance and lancedb that pass through."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        clean = redact(str(error))
        if clean == str(error) or isinstance(error, LemanError):
            raise
        # Without its cause, which a traceback would show.
        shown = OSError if isinstance(error, OSError) else ValueError if isinstance(error, ValueError) else RuntimeError
        raise shown(clean) from None
