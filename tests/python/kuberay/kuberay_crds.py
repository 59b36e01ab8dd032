"""The custom resource definitions of KubeRay, from its Go module, and their schemas made strict.

They are not copied into this repository: the Go module proxy has them, and Go checks what it downloads.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

MODULE = "github.com/ray-project/kuberay/ray-operator"
VERSION = "v1.6.0"
_TIMEOUT_S = 120


class NotToBeHad(Exception):
    """The definitions cannot be had here; the message says why."""


@functools.cache
def crd_folder(version: str = VERSION) -> Path:
    """Download the module, or find it in Go's cache, and return the folder of the definitions."""
    if shutil.which("go") is None:
        raise NotToBeHad("KubeRay's definitions come from its Go module, and there is no go command")
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    command = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environment, cwd="/"
        )
        described = json.loads(done.stdout or "{}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise NotToBeHad(f"{' '.join(command)}: {error}") from None
    if "Dir" not in described:
        raise NotToBeHad(f"{' '.join(command)}: {described.get('Error') or done.stderr.strip()}")
    return Path(described["Dir"]) / "config" / "crd" / "bases"


@functools.cache
def definition(plural: str, version: str = VERSION) -> Any:
    """Return the definition of ``rayclusters`` or ``rayjobs``."""
    import yaml

    text = (crd_folder(version) / f"ray.io_{plural}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def strict_schema(plural: str, version: str = VERSION) -> dict[str, Any]:
    """Return the schema of ``ray.io/v1``, in which an unknown field is an error, as for ``fieldValidation=Strict``."""
    found = [entry for entry in definition(plural, version)["spec"]["versions"] if entry["name"] == "v1"]
    schema: dict[str, Any] = _strict(found[0]["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: _strict(entry) for name, entry in value.items()} if key == "properties" else _strict(value)
        for key, value in schema.items()
        if key != "default"
    }
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made
