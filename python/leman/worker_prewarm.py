"""Starts the process that forks this process's workers, early enough that its imports cost nobody time."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading

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
        return self._owner_pid == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """Let it end; workers that still run end with their jobs."""
        self._control.close()
        if self._owner_pid == os.getpid():
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def worker_server() -> WorkerServer:
    """Return this process's fork server, started if need be."""
    global _server
    with _lock:
        if _server is None or not _server.alive():
            _server = WorkerServer()
            atexit.register(_server.close)
        return _server
