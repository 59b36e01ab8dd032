"""Tells a cluster that will never hold a worker from one that is busy, just starting, or about to grow."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import ray_autoscaler
from .ray_node_types import declared_node_types
from .ray_resources import WorkerNeeds, describe_nodes

_SAY_AGAIN_S = 30.0
# How long no node may fit: where none with CPUs has joined yet, until an autoscaler has begun to add nodes, and after
# it was last seen adding any (it may try several times where a cloud is out of machines).
_JOIN_PATIENCE_S = 300.0
_AUTOSCALER_PATIENCE_S = 20.0
_GROWTH_PATIENCE_S = 120.0


class ClusterCapacity:
    """What a job does while no node fits.

    Its worker actors are created at once and wait: Ray's autoscalers count them as demand, and only as long as their
    driver lives. A request by ``ray.autoscaler.sdk.request_resources`` would add nothing to that, outlive a driver that
    is killed, and replace the request of every other job, since a cluster has one.

    Parameters
    ----------
    needs : WorkerNeeds
        Of one worker.
    patience_s : float
        How long no node may fit before the job fails, where nothing speaks for waiting longer.
    say, fail : callable
        Told what the user should know, and why the job cannot go on.
    """

    def __init__(
        self,
        needs: WorkerNeeds,
        patience_s: float,
        say: Callable[[str], None],
        fail: Callable[[str], None],
    ) -> None:
        self._needs = needs
        self._patience_s = patience_s
        self._say = say
        self._fail = fail
        self._unfit_since_s: float | None = None
        self._grew_s: float | None = None
        self._said: str | None = None
        self._said_s = 0.0
        self._failed = False

    def look(self, nodes: Sequence[Mapping[str, Any]], launched: int) -> None:
        """Take the present nodes."""
        if self._failed or launched == 0:
            return
        now_s = time.monotonic()
        if any(self._needs.fit(node) for node in nodes):
            if self._unfit_since_s is not None and self._said is not None:
                self._say("a node that fits is there")
            self._unfit_since_s = self._grew_s = self._said = None
            return
        if self._unfit_since_s is None:
            self._unfit_since_s = now_s
        waits_for, patience_s = self._why_wait(nodes, now_s)
        waited_s = now_s - (self._grew_s or self._unfit_since_s)
        if patience_s is None or waited_s <= patience_s:
            if waits_for is not None:
                self._say_now_and_then(waits_for)
            return
        self._failed = True
        self._fail(
            f"no node of the cluster can hold a worker, which asks for {self._needs}. After "
            f"{now_s - self._unfit_since_s:.0f} s the cluster has {describe_nodes(nodes)}\nAsk for less (num_cpus, "
            "num_gpus, memory, resources, label_selector), or add such a node"
        )

    def _why_wait(self, nodes: Sequence[Mapping[str, Any]], now_s: float) -> tuple[str | None, float | None]:
        """Return what is waited for, and for how long (None: as long as it takes)."""
        asks = f"a worker asks for {self._needs}"
        declared = declared_node_types()
        if declared is not None:
            if not any(self._needs.fit(node) for node in declared):
                return None, self._patience_s
            return f"waiting for the autoscaler: no node fits yet; {asks}", None
        growth = ray_autoscaler.growth()
        if growth.coming:
            self._grew_s = now_s
            count = collections.Counter(growth.coming)
            coming = ", ".join(f"{number} of type {kind}" for kind, number in sorted(count.items()))
            return f"waiting for the autoscaler: nodes are on their way ({coming}); {asks}", None
        if self._grew_s is not None:
            return f"waiting for the autoscaler: it has stopped adding nodes; {asks}", _GROWTH_PATIENCE_S
        if may_be_starting(nodes) and not growth.present:
            return f"waiting for nodes: none with CPUs has joined the cluster yet; {asks}", _JOIN_PATIENCE_S
        return None, max(self._patience_s, _AUTOSCALER_PATIENCE_S if growth.present else 0.0)

    def _say_now_and_then(self, text: str) -> None:
        now_s = time.monotonic()
        if text != self._said or now_s - self._said_s > _SAY_AGAIN_S:
            self._said, self._said_s = text, now_s
            self._say(text)


def may_be_starting(nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether no node for work is there yet, as where a head has no CPUs and its workers have not joined."""
    return not any(node["Alive"] and node["Resources"].get("CPU", 0.0) > 0 for node in nodes)
