"""Where a job's workers run: this machine's processes, or a Ray cluster."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from . import argument_checks as check

if TYPE_CHECKING:
    from .backfill_spec import BackfillSpec

_NAMES = ("local", "ray")
_active: contextvars.ContextVar[Executor | None] = contextvars.ContextVar("leman_executor", default=None)


@dataclasses.dataclass(frozen=True)
class Workers:
    """The source of a job's workers, as the engine takes it.

    Attributes
    ----------
    control_fd : int
        Control socket of the process that forks workers; -1 where ``remote`` says how workers come.
    remote : dict or None
        See ``python/bindings/remote_workers.h``.
    seal : callable
        Makes the payload of a worker so that it can tell who packed it.
    take_message : callable
        Returns what the user should see now, once, or None.
    """

    control_fd: int
    remote: dict[str, Any] | None
    seal: Callable[[bytes], bytes]
    take_message: Callable[[], str | None]


class Executor(Protocol):
    """Places workers on other machines."""

    def workers(self, spec: BackfillSpec) -> contextlib.AbstractContextManager[Workers]:
        """Return the source of the workers of one job; leaving it ends all of them."""


def activate(executor: Executor) -> contextvars.Token[Executor | None]:
    """Make an executor the default of this thread's (or task's) backfills."""
    return _active.set(executor)


def deactivate(token: contextvars.Token[Executor | None]) -> None:
    """Undo :func:`activate`."""
    _active.reset(token)


def choose(executor: object) -> Executor | None:
    """Return the executor that ``executor=`` of a backfill means; None is this machine.

    Without the argument it is the innermost ``with leman.ray_cluster(...)``, or what ``LEMAN_EXECUTOR`` names, or this
    machine.

    Raises
    ------
    TypeError, ValueError
        Where it is something else.
    ModuleNotFoundError
        Where Ray is asked for and not installed.
    """
    name = executor
    argument = "executor"
    if name is None:
        active = _active.get()
        if active is not None:
            return active
        name, argument = os.environ.get("LEMAN_EXECUTOR") or "local", "LEMAN_EXECUTOR"
    if not isinstance(name, str):
        if callable(getattr(name, "workers", None)):
            return name  # type: ignore[return-value]
        raise TypeError(f"executor={name!r}: expected 'local', 'ray' or a leman.ray_cluster(...)")
    if name not in _NAMES:
        raise ValueError(f"{argument}={name!r}: expected 'local' or 'ray'.{check.closest(name, _NAMES)}")
    if name == "local":
        return None
    active = _active.get()
    if active is not None:
        return active
    from .ray_executor import shared_cluster

    return shared_cluster()


def is_remote() -> bool:
    """Say whether a backfill that names no executor would run on other machines."""
    return _active.get() is not None or os.environ.get("LEMAN_EXECUTOR") == "ray"


@contextlib.contextmanager
def used_workers(executor: Executor | None, spec: BackfillSpec) -> Iterator[Workers]:
    """Hold the source of a job's workers."""
    if executor is not None:
        with executor.workers(spec) as workers:
            yield workers
        return
    from .worker_prewarm import used_worker_server

    with used_worker_server() as server:
        yield Workers(server.control_fd, None, lambda payload: payload, lambda: None)
