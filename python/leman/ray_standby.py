"""Worker actors that have ended one job and wait for the next: no process has to start, nothing to be imported."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from typing import Any

_IDLE_S = 20.0


@dataclasses.dataclass(frozen=True)
class StandbyKey:
    """What has to be the same for an actor to serve another job.

    Another function gets a new process, as on one machine: what a function leaves in its process, such as a model on a
    GPU, would be in the next one's way.

    Attributes
    ----------
    needs : str
        Resources and labels of a worker.
    runtime_env : str
        Of the actors.
    function : str
        Name and version of the function.
    """

    needs: str
    runtime_env: str
    function: str


class StandbyWorkers:
    """Keeps the actors of one ``with leman.ray_cluster(...)`` between its jobs, each for a while.

    They hold their resources of the cluster meanwhile, so there are only ever those of one kind of job.

    Attributes
    ----------
    is_open : bool
        Whether actors are kept.
    """

    def __init__(self, idle_s: float = _IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._key: StandbyKey | None = None
        self._actors: list[Any] = []
        self._timer: threading.Timer | None = None
        self.is_open = False

    def open(self) -> None:
        """Begin to keep actors."""
        self.is_open = True

    def close(self) -> None:
        """End all actors, and keep none any more."""
        with self._lock:
            self.is_open = False
            self._end_all()

    def claim(self, key: StandbyKey) -> None:
        """A job of this kind begins: actors of another kind end, since it may need their room."""
        with self._lock:
            if self._key != key:
                self._end_all()

    def take(self, key: StandbyKey) -> Any | None:
        """Return an actor that waits for such a job, which is the caller's now; None where there is none."""
        with self._lock:
            return self._actors.pop() if self._key == key and self._actors else None

    def put(self, key: StandbyKey, actor: Any) -> bool:
        """Keep an actor that has ended its job well; False where it is still the caller's to end."""
        with self._lock:
            if not self.is_open or (self._key != key and self._actors):
                return False
            self._key = key
            self._actors.append(actor)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._idle_s, self._end_idle)
            self._timer.daemon = True
            self._timer.start()
            return True

    def _end_idle(self) -> None:
        with self._lock:
            if threading.current_thread() is self._timer:
                self._end_all()

    def _end_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._actors:
            return
        import ray

        for actor in self._actors:
            with contextlib.suppress(Exception):  # The connection may be gone, and they with it.
                ray.kill(actor, no_restart=True)
        self._actors.clear()
