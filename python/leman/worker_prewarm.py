"""Starts the process that forks this process's workers, early enough that its imports cost nobody time."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

_IDLE_S = 30.0
_lock = threading.Lock()
_server: WorkerServer | None = None


class WorkerServer:
    """A running fork server.

    Attributes
    ----------
    control_fd : int
        Descriptor of the driver's end of its control socket.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        self._closed = False
        self._owner_pid = os.getpid()
        package_parent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([package_parent, *filter(None, [environment.get("PYTHONPATH")])])
        environment.setdefault("LANCE_LOG", "error")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "leman.worker_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        self.control_fd = ours.fileno()

    def alive(self) -> bool:
        """Say whether it still runs and belongs to this process (not to a parent that forked)."""
        return not self._closed and self._owner_pid == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """Let it end, once; workers that still run end with their jobs."""
        if self._closed:
            return
        self._closed = True
        self._control.close()
        if self._owner_pid == os.getpid():
            # It holds nothing; asking it would mean to wait for imports that may still go on.
            self._process.kill()
            self._process.wait()


class _Idle:
    """Closes the fork server when it was not used for a while, so that a process that only reads keeps none."""

    def __init__(self) -> None:
        self.users = 0
        self.timer: threading.Timer | None = None

    def restart(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        if self.users == 0:
            self.timer = threading.Timer(_IDLE_S, self._close)
            self.timer.daemon = True
            self.timer.start()

    def _close(self) -> None:
        global _server
        with _lock:
            if self.users == 0 and _server is not None:
                _server.close()
                _server = None


_idle = _Idle()


def _started() -> WorkerServer:
    global _server
    if _server is None or not _server.alive():
        _server = WorkerServer()
        atexit.register(_server.close)
    return _server


def prewarm() -> None:
    """Start this process's fork server if it has none; unused, it ends after half a minute."""
    with _lock:
        _started()
        _idle.restart()


@contextlib.contextmanager
def used_worker_server() -> Iterator[WorkerServer]:
    """Hold this process's fork server, started if need be, for a job."""
    with _lock:
        server = _started()
        _idle.users += 1
        _idle.restart()
    try:
        yield server
    finally:
        with _lock:
            _idle.users -= 1
            _idle.restart()
