"""Checks of what Kubernetes takes as a name, a label or a toleration; made here, so that a slip is found at the call.

The rules are those of https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and its page on labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..argument_checks import closest, reject_unknown

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")
_TAINT = re.compile(r"(?P<key>[^=:\s]+)(?:=(?P<value>[^=:\s]*))?(?::(?P<effect>\w+))?")

MAX_CLUSTER_NAME = 53  # KubeRay's own limits: it makes longer names of these.
MAX_JOB_NAME = 47
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TOLERATION_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")


def dns_label(argument: str, value: object, max_length: int = 63) -> str:
    """Return a name of lower-case letters, digits and ``-`` that begins with a letter (RFC 1035)."""
    expected = f"expected at most {max_length} lower-case letters, digits and '-', beginning with a letter"
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    if len(value) > max_length or not _LABEL.fullmatch(value):
        made = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-0123456789")[:max_length].rstrip("-")
        hint = f" For instance {made!r}." if _LABEL.fullmatch(made) else ""
        raise ValueError(f"{argument}={value!r}: {expected}.{hint}")
    return value


def object_name(argument: str, value: object) -> str:
    """Return the name of a Kubernetes object that may hold dots, e.g. a service account or a secret (RFC 1123)."""
    expected = "expected a name of lower-case letters, digits, '-' and '.'"
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    if len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        raise ValueError(f"{argument}={value!r}: {expected}")
    return value


def image_reference(argument: str, value: object) -> str:
    """Return the reference of a container image."""
    expected = "expected an image such as 'europe-docker.pkg.dev/project/repository/leman:1.0'"
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    if not _IMAGE.fullmatch(value) or value.endswith((":", "/", "@")):
        raise ValueError(f"{argument}={value!r}: {expected}")
    return value


def _check_label_key(argument: str, key: object) -> str:
    expected = "expected a label's name, such as 'pool' or 'example.com/pool'"
    if not isinstance(key, str):
        raise TypeError(f"{argument}: the key {key!r}: {expected}, got {type(key).__name__}")
    prefix, slash, name = key.rpartition("/")
    valid = _QUALIFIED.fullmatch(name) and len(name) <= 63
    if not valid or (slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253)):
        raise ValueError(f"{argument}: the key {key!r}: {expected}")
    return key


def label_map(argument: str, value: object) -> dict[str, str]:
    """Return labels, or a node selector, as a dict."""
    expected = "expected a dict of label names and values, such as {'pool': 'gpu'}"
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    labels = {}
    for key, text in value.items():
        _check_label_key(argument, key)
        if not isinstance(text, str):
            hint = f" Write {str(text).lower()!r}." if isinstance(text, (bool, int)) else ""
            raise TypeError(f"{argument}[{key!r}]={text!r}: expected a str, got {type(text).__name__}.{hint}")
        if len(text) > 63 or not _LABEL_VALUE.fullmatch(text):
            raise ValueError(
                f"{argument}[{key!r}]={text!r}: expected at most 63 letters, digits, '-', '_' and '.', "
                "beginning and ending with a letter or digit"
            )
        labels[key] = text
    return labels


def toleration(argument: str, value: object) -> dict[str, object]:
    """Return one toleration as Kubernetes writes it.

    Parameters
    ----------
    argument : str
        The argument's name, for messages.
    value : str or mapping
        A taint as kubectl writes it, ``"key=value:Effect"`` or ``"key:Effect"``, or a dict with ``key``,
        ``operator``, ``value``, ``effect`` and ``tolerationSeconds``.

    Raises
    ------
    TypeError, ValueError
        Where it is not one.
    """
    expected = "expected a taint such as 'dedicated=leman:NoSchedule', or a dict such as {'key': 'nvidia.com/gpu', "
    expected += "'operator': 'Exists', 'effect': 'NoSchedule'}"
    if isinstance(value, str):
        match = _TAINT.fullmatch(value)
        if match is None:
            raise ValueError(f"{argument}={value!r}: {expected}")
        written: dict[str, object] = {"key": match["key"], "operator": "Exists" if match["value"] is None else "Equal"}
        written.update({name: match[name] for name in ("value", "effect") if match[name] is not None})
    elif isinstance(value, Mapping):
        written = dict(value)
    else:
        raise TypeError(f"{argument}={value!r}: {expected}, got {type(value).__name__}")
    reject_unknown(argument, {str(key): 0 for key in written if key not in _TOLERATION_KEYS}, _TOLERATION_KEYS)
    operator, effect = written.setdefault("operator", "Equal"), written.get("effect")
    if operator not in ("Equal", "Exists"):
        raise ValueError(f"{argument}: operator={operator!r}: expected 'Equal' or 'Exists'")
    if effect is not None and effect not in _EFFECTS:
        raise ValueError(
            f"{argument}: effect={effect!r}: expected {', '.join(_EFFECTS)}.{closest(str(effect), _EFFECTS)}"
        )
    if "key" in written:
        _check_label_key(argument, written["key"])
    elif operator == "Equal":
        raise ValueError(f"{argument}={value!r}: without a key, the operator must be 'Exists'; {expected}")
    if operator == "Exists" and "value" in written:
        raise ValueError(f"{argument}={value!r}: the operator 'Exists' takes no value; use 'Equal'")
    return written


def tolerations(argument: str, value: object) -> tuple[dict[str, object], ...]:
    """Return a list of tolerations; see :func:`toleration`."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"{argument}={value!r}: expected a list of tolerations, got {type(value).__name__}")
    return tuple(toleration(f"{argument}[{index}]", entry) for index, entry in enumerate(value))
