"""Places worker actors on a Ray cluster for the engine, which decides when and where not."""

from __future__ import annotations

import collections
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .ray_capacity import ClusterCapacity
from .ray_resources import WorkerNeeds
from .ray_standby import StandbyKey, StandbyWorkers
from .ray_worker import ClusterSetupError, RayWorker

_TICK_S = 0.05
_NODES_EVERY_S = 1.0
_MAX_REASON = 400
# Workers that were told to stop at the end of a job are back within milliseconds.
_KEEP_WAIT_S = 0.3


class RayLauncher:
    """The engine's port ``WorkerLauncher`` (``src/job/remote_worker_pool.h``): its methods only queue.

    All calls of Ray are made by one thread of its own, since any of them may wait for the cluster.

    Parameters
    ----------
    needs : WorkerNeeds
        Of one worker.
    order : dict
        What ``RayWorker.serve`` gets, without ``port`` and ``worker``.
    runtime_env : dict or None
        Of the actors.
    only_node : str or None
        Where the coordinator listens on the loopback address: the node that can reach it.
    patience_s : float
        How long no node may fit before the job fails.
    standby : StandbyWorkers
        Actors of earlier jobs; those of this one that end well go there.
    standby_key : StandbyKey
        Of this job.
    """

    def __init__(
        self,
        needs: WorkerNeeds,
        order: dict[str, Any],
        runtime_env: Mapping[str, Any] | None,
        only_node: str | None,
        patience_s: float,
        standby: StandbyWorkers,
        standby_key: StandbyKey,
    ) -> None:
        self._needs = needs
        self._standby = standby
        self._standby_key = standby_key
        self._order = order
        self._runtime_env = runtime_env
        self._only_node = only_node
        self._patience_s = patience_s
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._news: collections.deque[tuple[str, int, str]] = collections.deque()
        self._messages: collections.deque[str] = collections.deque()
        self._fitting: list[str] = []
        self._draining: set[str] = set()
        self._actors: dict[int, Any] = {}
        self._serving: dict[Any, int] = {}
        self._capacity = ClusterCapacity(needs, patience_s, self._say, self._fail)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leman-ray-launcher", daemon=True)
        self._thread.start()

    # What the engine calls.

    def listening(self, port: int) -> None:
        """Take the port that workers connect to."""
        self._order["port"] = port

    def launch(self, worker: int, launch: int, avoid_nodes: list[str]) -> None:
        """Start a worker."""
        self._asked.put(lambda: self._launch(worker, launch, avoid_nodes))

    def stop(self, launch: int) -> None:
        """End a worker at once."""
        self._asked.put(lambda: self._stop(launch))

    def take_news(self) -> list[tuple[str, int, str]]:
        """Return what happened: (``ended``, ``leaving``, ``note`` or ``failed``, launch, text)."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def nodes(self) -> list[str]:
        """Return the ids of the nodes that could hold a worker."""
        return self._fitting

    # What the driver calls.

    def take_message(self) -> str | None:
        """Return what the user should see now, once."""
        return self._messages.popleft() if self._messages else None

    def close(self) -> None:
        """End all workers."""
        self._closing.set()
        self._thread.join()

    # The thread.

    def _run(self) -> None:
        looked_s = 0.0
        try:
            while not self._closing.is_set():
                self._do_asked(0.0 if self._serving else _TICK_S)
                if time.monotonic() - looked_s > _NODES_EVERY_S:
                    looked_s = time.monotonic()
                    self._look_at_nodes()
                self._reap()
        except Exception as error:  # The connection to the cluster is gone, or Ray itself failed.
            self._fail(f"the connection to the Ray cluster failed: {_short(error)}")
        finally:
            self._end_all()

    def _do_asked(self, wait_s: float) -> None:
        try:
            asked = self._asked.get(timeout=wait_s)
            while True:
                asked()
                asked = self._asked.get_nowait()
        except queue.Empty:
            pass

    def _launch(self, worker: int, launch: int, avoid_nodes: Sequence[str]) -> None:
        # Where nodes are to be avoided, one that waits may be on one of them.
        waiting = None if avoid_nodes or self._draining else self._standby.take(self._standby_key)
        actor = waiting or self._new_actor(avoid_nodes)
        self._actors[launch] = actor
        self._serving[actor.serve.remote({**self._order, "worker": worker})] = launch

    def _new_actor(self, avoid_nodes: Sequence[str]) -> Any:
        import ray

        options = self._needs.actor_options(avoid_nodes, self._only_node)
        if self._runtime_env:
            options["runtime_env"] = dict(self._runtime_env)
        # A worker that dies is the engine's to replace: only it knows which rows were in hand.
        actor = ray.remote(RayWorker).options(max_restarts=0, max_task_retries=0, max_concurrency=2, **options)
        return actor.remote()

    def _stop(self, launch: int) -> None:
        import ray

        actor = self._actors.pop(launch, None)
        for reference, of in list(self._serving.items()):
            if of == launch:
                del self._serving[reference]
        if actor is not None:
            ray.kill(actor, no_restart=True)

    def _reap(self, timeout_s: float = _TICK_S) -> None:
        import ray

        if not self._serving:
            return
        ended, _ = ray.wait(list(self._serving), num_returns=len(self._serving), timeout=timeout_s, fetch_local=False)
        for reference in ended:
            launch = self._serving.pop(reference)
            actor = self._actors.pop(launch, None)
            try:
                ray.get(reference)
            except Exception as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, ClusterSetupError):
                    self._fail(str(cause))
                else:
                    self._news.append(("ended", launch, describe_end(error)))
            else:  # It was told to stop.
                if actor is not None and not self._draining and self._standby.put(self._standby_key, actor):
                    continue
            if actor is not None:
                ray.kill(actor, no_restart=True)

    def _look_at_nodes(self) -> None:
        import ray

        nodes = ray.nodes()
        draining = draining_nodes()
        self._news.extend(("leaving", 0, node) for node in sorted(draining - self._draining))
        self._draining |= draining
        self._fitting = [
            node["NodeID"] for node in nodes if self._needs.fit(node) and node["NodeID"] not in self._draining
        ]
        self._capacity.look(nodes, len(self._actors))

    def _end_all(self) -> None:
        import contextlib

        with contextlib.suppress(Exception):
            self._do_asked(0.0)
            if self._standby.is_open:
                self._reap(_KEEP_WAIT_S)
        for launch in list(self._actors):
            with contextlib.suppress(Exception):
                self._stop(launch)

    def _say(self, text: str) -> None:
        self._news.append(("note", 0, text))
        self._messages.append(text)

    def _fail(self, text: str) -> None:
        self._news.append(("failed", 0, text))


def draining_nodes() -> set[str]:
    """Return the ids of the nodes that are about to go, on which Ray places nothing any more."""
    from ray._private.state import state

    try:
        return set(state.get_draining_nodes())
    except Exception:  # Not known through a client connection: such a node is lost like any other.
        return set()


def describe_end(error: BaseException) -> str:
    """Say shortly how an actor's call ended."""
    cause = getattr(error, "cause", None)
    if cause is not None and not isinstance(cause, str):
        text = f"{type(cause).__name__}: {cause}" if not isinstance(cause, RuntimeError) else str(cause)
        if "no connection to" in text:
            text += (
                " (workers connect to the driver: see docs/cluster.md for driver_address=, or run the driver on the "
                "cluster with 'ray job submit')"
            )
        return text
    if "No module named 'leman'" in str(error):
        return "leman is not installed on the node; install it there, or pass runtime_env to leman.ray_cluster"
    return _short(error)


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    facts = [line for line in lines if not line.startswith(("class_name", "actor_id", "namespace", "pid:"))]
    text = " ".join(facts) or type(error).__name__
    if len(text) <= _MAX_REASON:
        return text
    # What is wrong stands at its end, behind Ray's own stack.
    return f"{text[: _MAX_REASON // 4]} … {text[-3 * _MAX_REASON // 4 :]}"
