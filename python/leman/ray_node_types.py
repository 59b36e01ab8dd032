"""The kinds of nodes that an autoscaler may add, where the cluster's definition tells.

Ray does not tell by itself: what KubeRay's autoscaler could make stands in the RayCluster object alone. So
``leman.cluster`` writes it into the environment of the head, where the driver runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

VARIABLE = "LEMAN_RAY_NODE_TYPES"


def node_types_text(types: Sequence[tuple[Mapping[str, float], Mapping[str, str]]]) -> str:
    """Return resources and labels of node types as the variable's value."""
    return json.dumps([{"resources": dict(resources), "labels": dict(labels)} for resources, labels in types])


def declared_node_types() -> list[dict[str, Any]] | None:
    """Return one node of each kind, as ``ray.nodes()`` would show it; None where nothing is declared.

    Raises
    ------
    ValueError
        Where the variable is set to something else.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        return [
            {"Alive": True, "Resources": dict(entry["resources"]), "Labels": dict(entry["labels"])}
            for entry in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f'{VARIABLE}={text!r}: expected JSON such as [{{"resources": {{"CPU": 4}}, "labels": {{}}}}]'
        ) from None
