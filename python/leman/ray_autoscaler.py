"""What Ray's autoscaler is doing: whether there is one, and whether nodes are on their way."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

# Where Ray's first autoscaler writes what ``ray status`` shows.
_STATUS = b"__autoscaling_status"


@dataclasses.dataclass(frozen=True)
class Growth:
    """The state of a cluster's autoscaler.

    Attributes
    ----------
    present : bool
        Whether there is one. False also where it cannot be told, as through a client connection.
    coming : tuple of str
        The types of the nodes that are on their way, one entry each.
    """

    present: bool
    coming: tuple[str, ...] = ()


def growth() -> Growth:
    """Return what the autoscaler is doing now; one or two calls to the head."""
    try:
        from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
        from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_initialized, internal_kv_get_gcs_client
    except ImportError:
        return Growth(False)
    if not _internal_kv_initialized():
        return Growth(False)
    with contextlib.suppress(Exception):  # Interfaces of Ray's own, which no version promises.
        reply = GetClusterStatusReply.FromString(internal_kv_get_gcs_client().get_cluster_status())
        if reply.autoscaling_state.autoscaler_state_version > 0:
            typed = any(node.ray_node_type_name for node in reply.cluster_resource_state.node_states)
            return of_second_autoscaler(reply.autoscaling_state, typed)
    with contextlib.suppress(Exception):
        text = _internal_kv_get(_STATUS)
        if text:
            return of_first_autoscaler(json.loads(text))
    return Growth(False)


def of_first_autoscaler(status: Mapping[str, Any]) -> Growth:
    """Read the record of the autoscaler that ``ray up`` starts.

    A head without an autoscaler writes one, too, in which each node is a type of its own, ``node_`` and its id.
    """
    report = status.get("autoscaler_report") or {}
    mapping = report.get("node_type_mapping") or {}
    present = any(kind != f"node_{node}" for node, kind in mapping.items())
    coming = [str(entry[1]) for entry in report.get("pending_nodes") or []]
    for kind, count in (report.get("pending_launches") or {}).items():
        coming += [str(kind)] * int(count)
    return Growth(present or bool(coming), tuple(coming))


def of_second_autoscaler(state: Any, typed: bool) -> Growth:
    """Read ``AutoscalingState`` of Ray's ``autoscaler.proto``, that of KubeRay's newer autoscaler.

    A head without node types has one, too, and calls everything infeasible; ``typed`` says whether any node has a type,
    as only an autoscaler's nodes have.
    """
    coming = [instance.ray_node_type_name for instance in state.pending_instances]
    for request in state.pending_instance_requests:
        coming += [request.ray_node_type_name] * max(1, request.count)
    return Growth(typed or bool(coming) or not state.infeasible_resource_requests, tuple(coming))
