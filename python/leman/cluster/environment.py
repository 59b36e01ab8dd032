"""Environment variables of pods, and the rule that no secret's value stands in a manifest.

A manifest is kept by etcd, by ``kubectl``'s last-applied annotation, by git and by shell histories; so a secret goes
in as a reference to a key of a Kubernetes Secret, and a plain value that looks like a secret is refused.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import Any

from .kubernetes_names import object_name

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_SECRET_WORDS = {"secret", "token", "password", "passwd", "passphrase", "credential", "credentials", "apikey"}
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("account", "key"), ("sas", "key")}
_SECRET_VALUES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bhf_[A-Za-z0-9]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]{20,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"
    r"|\b[a-z][a-z0-9+.-]{0,20}://[^/\s:@]{1,200}:[^/\s@]{1,200}@"
)
_ASSIGNMENTS = (
    re.compile(r"(?<![\w-])--?([A-Za-z][\w-]*)[= ]+([^\s=]+)(?!\S)"),
    re.compile(r"([A-Za-z_][\w.-]*)=(\S+)"),
    re.compile(r"""([A-Za-z_][\w.-]*)["']?: *["']?([^\s"',{}\[\]]+)"""),  # YAML and JSON.
)
# Such a value says where a secret lies, or is a number or a switch, and is none itself.
_HARMLESS = re.compile(r"/\S*|\$\S+|[0-9.]*|true|false", re.I)
REDACTED = "(redacted)"


@dataclasses.dataclass(frozen=True)
class SecretKeyRef:
    """The value of an environment variable: one key of a Kubernetes Secret in the cluster's namespace.

    Parameters
    ----------
    secret : str
        The Secret's name.
    key : str
        The key in it.

    Examples
    --------
    >>> SecretKeyRef("hugging-face", "token")
    SecretKeyRef(secret='hugging-face', key='token')
    """

    secret: str
    key: str

    def __post_init__(self) -> None:
        object_name("secret", self.secret)
        if not isinstance(self.key, str) or not _SECRET_KEY.fullmatch(self.key):
            raise ValueError(f"key={self.key!r}: expected the name of a key: letters, digits, '-', '_' and '.'")


def looks_secret(name: str, value: str) -> bool:
    """Return whether a variable of that name and value probably holds a secret."""
    if _SECRET_VALUES.search(value):
        return True
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    named = not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(itertools.pairwise(words))
    return named and not _HARMLESS.fullmatch(value)


def environment(argument: str, value: object) -> dict[str, str | SecretKeyRef]:
    """Return environment variables as a dict.

    Parameters
    ----------
    argument : str
        The argument's name, for messages.
    value : mapping of str to str or SecretKeyRef
        The variables.

    Raises
    ------
    TypeError, ValueError
        Where it is not that, or where a plain value looks like a secret; the message does not repeat the value.
    """
    expected = "expected a dict of names and values"
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}: {expected}, got {type(value).__name__}")
    variables: dict[str, str | SecretKeyRef] = {}
    for name, content in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{argument}: the name {name!r}: expected letters, digits and '_', not beginning with a digit"
            )
        if isinstance(content, SecretKeyRef):
            variables[name] = content
            continue
        if not isinstance(content, str):
            raise TypeError(f"{argument}[{name!r}]: expected a str or a SecretKeyRef, got {type(content).__name__}")
        if looks_secret(name, content):
            raise ValueError(_refusal(f"{argument}[{name!r}]", name))
        variables[name] = content
    return variables


def _refusal(where: str, name: str) -> str:
    key = name.lower().replace("_", "-")
    return (
        f"{where}: that looks like a secret, and a manifest is kept in many places. Put it into a Kubernetes Secret "
        f"(kubectl create secret generic {key} --from-literal=value=…) and name that: SecretKeyRef({key!r}, 'value'). "
        "If it is a file's place or a number, it may stand there."
    )


def check_command(argument: str, command: str) -> None:
    """Raise a ``ValueError`` where a command line has a secret in it; the message names it, not its value."""
    if _SECRET_VALUES.search(command):
        raise ValueError(
            f"{argument}: it holds what looks like a secret; pass that as an environment variable, from a Secret"
        )
    for match in itertools.chain.from_iterable(pattern.finditer(command) for pattern in _ASSIGNMENTS):
        if _is_secret_assignment(match):
            raise ValueError(
                f"{argument}: {match[1]} looks like a secret, and a manifest is kept in many places; pass it as an "
                "environment variable, from a Secret: env_vars={'NAME': SecretKeyRef('secret', 'key')}"
            )


def _is_secret_assignment(match: re.Match[str]) -> bool:
    return looks_secret(match[1].replace("-", "_"), match[2].strip("'\""))


def environment_entries(variables: Mapping[str, str | SecretKeyRef]) -> list[dict[str, Any]]:
    """Return variables as a container's ``env``."""
    return [
        {"name": name, "value": value}
        if isinstance(value, str)
        else {"name": name, "valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
        for name, value in variables.items()
    ]


def check_manifest(manifest: Any, where: str = "manifest") -> None:
    """Raise a ``ValueError`` where a manifest has a plain environment variable or command that looks like a secret."""
    if isinstance(manifest, Mapping):
        name, value = manifest.get("name"), manifest.get("value")
        if isinstance(name, str) and isinstance(value, str) and looks_secret(name, value):
            raise ValueError(_refusal(f"{where}.{name}", name))
        for key in ("entrypoint", "runtimeEnvYAML"):
            if isinstance(manifest.get(key), str):
                check_command(f"{where}.{key}", manifest[key])
        for key, entry in manifest.items():
            check_manifest(entry, f"{where}.{key}")
    elif isinstance(manifest, list):
        for index, entry in enumerate(manifest):
            check_manifest(entry, f"{where}[{index}]")


def redacted(manifest: Any) -> Any:
    """Return a copy of an object of Kubernetes in which values that look like secrets are masked."""
    if isinstance(manifest, Mapping):
        copy = {key: redacted(value) for key, value in manifest.items()}
        name, value = manifest.get("name"), manifest.get("value")
        if isinstance(name, str) and isinstance(value, str) and looks_secret(name, value):
            copy["value"] = REDACTED
        return copy
    if isinstance(manifest, list):
        return [redacted(entry) for entry in manifest]
    if isinstance(manifest, str):
        return redacted_text(manifest)
    return manifest


def redacted_text(text: str) -> str:
    """Return text in which values that look like secrets are masked."""

    def mask(match: re.Match[str]) -> str:
        return match[0].replace(match[2], REDACTED) if _is_secret_assignment(match) else match[0]

    text = _SECRET_VALUES.sub(REDACTED, text)
    for pattern in _ASSIGNMENTS:
        text = pattern.sub(mask, text)
    return text
