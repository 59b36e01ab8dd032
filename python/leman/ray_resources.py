"""What a worker on a Ray cluster needs, and which nodes have it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backfill_spec import BackfillSpec

_SET = re.compile(r"(!?)in\((.*)\)")
_GIB = 2**30
_MAX_NODES_NAMED = 8
_NODE_ID = "ray.io/node-id"
# Ray's own, which say nothing about what a node can hold.
_INTERNAL = ("node:", "object_store_memory", "bundle_group")


@dataclasses.dataclass(frozen=True)
class WorkerNeeds:
    """Resources and labels of one worker.

    Attributes
    ----------
    resources : dict of str to float
        As Ray counts them: ``CPU``, ``GPU``, ``memory`` in bytes, and custom ones.
    labels : dict of str to str
        Ray's label selector: ``"value"``, ``"!value"``, ``"in(a,b)"`` or ``"!in(a,b)"`` by label.
    """

    resources: dict[str, float]
    labels: dict[str, str]

    @staticmethod
    def of(spec: BackfillSpec) -> WorkerNeeds:
        """Return what a worker of a job needs; CPUs are counted for each of its threads."""
        cpus = 1.0 if spec.num_cpus is None else spec.num_cpus
        resources = {"CPU": cpus * spec.intra_applier_concurrency}
        if spec.num_gpus:
            resources["GPU"] = spec.num_gpus
        if spec.memory_bytes:
            resources["memory"] = float(spec.memory_bytes)
        resources.update(spec.resources)
        return WorkerNeeds(resources, dict(spec.label_selector))

    def actor_options(self, avoid_nodes: Sequence[str], only_node: str | None) -> dict[str, Any]:
        """Return options for ``ray.remote``."""
        own = {"CPU", "GPU", "memory"}
        labels = dict(self.labels)
        if only_node is not None:
            labels.setdefault(_NODE_ID, only_node)
        elif avoid_nodes:
            labels.setdefault(_NODE_ID, f"!in({','.join(avoid_nodes)})")
        options: dict[str, Any] = {
            "num_cpus": self.resources["CPU"],
            "num_gpus": self.resources.get("GPU", 0),
            "resources": {name: amount for name, amount in self.resources.items() if name not in own},
            "label_selector": labels or None,
        }
        if "memory" in self.resources:
            options["memory"] = int(self.resources["memory"])
        return options

    def fit(self, node: Mapping[str, Any]) -> bool:
        """Say whether a node, empty, could hold a worker."""
        has, labels = node["Resources"], node.get("Labels") or {}
        return (
            bool(node["Alive"])
            and all(has.get(name, 0.0) >= amount for name, amount in self.resources.items() if amount > 0)
            and all(matches(labels.get(label), wanted) for label, wanted in self.labels.items())
        )

    def __str__(self) -> str:
        labels = [f"label {name}={value}" for name, value in self.labels.items()]
        return ", ".join([*_amounts(self.resources), *labels]) or "nothing"


def matches(value: str | None, wanted: str) -> bool:
    """Say whether a node's label fulfils one entry of a label selector; None: the node has no such label."""
    found = _SET.fullmatch(wanted)
    if found is not None:
        inside = value in [entry.strip() for entry in found.group(2).split(",")]
        return inside != bool(found.group(1))
    return value != wanted[1:] if wanted.startswith("!") else value == wanted


def describe_nodes(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Write what a cluster has, a line a node."""
    alive = [node for node in nodes if node["Alive"]]
    lines = []
    for node in alive[:_MAX_NODES_NAMED]:
        labels = {k: v for k, v in (node.get("Labels") or {}).items() if k != _NODE_ID}
        has = {k: v for k, v in node["Resources"].items() if not k.startswith(_INTERNAL)}
        lines.append(
            f"  {node['NodeManagerAddress']}: {', '.join([*_amounts(has), *(f'{k}={v}' for k, v in labels.items())])}"
        )
    if len(alive) > _MAX_NODES_NAMED:
        lines.append(f"  and {len(alive) - _MAX_NODES_NAMED} more")
    return "\n".join([f"{len(alive)} node{'s' if len(alive) != 1 else ''}:", *lines])


def _amounts(resources: Mapping[str, float]) -> list[str]:
    first = {"CPU": 0, "GPU": 1, "memory": 2}
    return [
        f"{amount / _GIB:.1f} GiB memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in sorted(resources.items(), key=lambda entry: (first.get(entry[0], 3), entry[0]))
    ]
