"""The process that forks workers: it has imported all that they need and has no thread, so a fork is cheap and safe.

Run as ``python -m leman.worker_server FD``. Protocol: ``src/job/local_worker_pool.h``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn


def main(control_fd: int) -> NoReturn:
    """Serve until the driver is gone."""
    control = socket.socket(fileno=control_fd)
    _import_all()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the driver decides.
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Inherited, and a C++ program may block signals.
    workers: set[int] = set()
    while True:
        asked = _wait(control.fileno(), wake_read)
        _report_exits(control, workers)
        if not asked:
            continue  # Some Pythons ignore the flags of recv_fds: it would wait, and no end of a worker be told.
        try:
            data, fds, _, _ = socket.recv_fds(control, 64, 16)
        except ConnectionError:
            data = b""
        if not data:
            os._exit(0)  # Nothing of this process is worth an orderly end, for which the driver would wait.
        for fd in fds:
            pid = os.fork()
            if pid == 0:
                os.close(wake_read)
                os.close(wake_write)
                control.detach()
                os.close(control_fd)
                _work(fd)
            workers.add(pid)
            os.close(fd)


def _import_all() -> None:
    import warnings

    from . import _engine, lance_worker  # noqa: F401

    # True of a process that has used Lance; this one only imported it, and Lance starts its threads at the first use.
    warnings.filterwarnings("ignore", message="lance is not fork-safe")


def _wait(control_fd: int, wake_fd: int) -> bool:
    """Wait until a worker is asked for, or one has ended; return whether one is asked for."""
    import select

    ready, _, _ = select.select([control_fd, wake_fd], [], [])
    if wake_fd in ready:
        os.read(wake_fd, 4096)
    return control_fd in ready


def _report_exits(control: socket.socket, workers: set[int]) -> None:
    for pid in list(workers):
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended, status = pid, 0
        if ended:
            workers.discard(pid)
            try:
                control.sendall(f"{pid} {status}\n".encode())
            except OSError:
                return


def _work(fd: int) -> NoReturn:
    """Be a worker until the coordinator says stop; never return into the server."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    code = 1
    try:
        from . import _engine
        from .lance_worker import WorkerSession

        _engine.serve_worker(fd, WorkerSession)
        code = 0
    except BaseException as error:
        # Its driver ended or replaced it while it started: nothing that a user should see.
        if "the coordinator is gone" not in str(error):
            import traceback

            traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
