"""Runs a checked backfill, here or in a thread, and what the caller gets back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from .backfill_arguments import BackfillRequest
from .errors import JobCancelledError
from .progress import ProgressSink, close_sink


class BackfillResult(str):
    """How a backfill ended; as a ``str``, it is the job's id.

    Attributes
    ----------
    job_id : str
        The job's id, the string itself.
    column : str
        The column that it filled; of those that one function fills together ``"a, b"``.
    status : str
        ``DONE``.
    rows_total, rows_computed, rows_skipped : int
        Rows that the job was about, that it computed, and that it left null because of an error.
    fragments_total, fragments_committed : int
        Fragments that the job was about, and that it committed.
    version : int or None
        The table's version after the last commit.
    duration_s : float
        Wall clock seconds.
    metrics : dict
        Counts and times; see ``docs/formats/job_record.md``.
    """

    job_id: str
    column: str
    status: str
    rows_total: int
    rows_computed: int
    rows_skipped: int
    fragments_total: int
    fragments_committed: int
    version: int | None
    duration_s: float
    metrics: dict[str, Any]

    def __new__(cls, result: Mapping[str, Any]) -> BackfillResult:
        """Make a result of what ``job_runner.run_backfill`` returned."""
        self = super().__new__(cls, str(result["job_id"]))
        self.job_id = str(result["job_id"])
        self.column = str(result.get("column") or "")
        self.status = str(result["status"])
        for name in ("rows_total", "rows_computed", "rows_skipped", "fragments_total", "fragments_committed"):
            setattr(self, name, int(result.get(name) or 0))
        version = result.get("version")
        self.version = None if version is None else int(version)
        self.duration_s = float(result.get("duration_s") or 0.0)
        self.metrics = dict(result.get("metrics") or {})
        return self

    def __getnewargs__(self) -> tuple[dict[str, Any]]:  # type: ignore[override]
        return (self.as_dict(),)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a plain dict."""
        return dict(vars(self))

    def summary(self) -> str:
        """Return one line for people."""
        from .progress import describe_result

        return describe_result(self.as_dict())


class CancelToken:
    """Asks a running job to stop; the job looks at ``cancelled``."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._event.set()


def run(request: BackfillRequest, sink: ProgressSink | None, cancel: CancelToken) -> BackfillResult:
    """Run a backfill to its end."""
    from . import job_runner

    try:
        return BackfillResult(
            job_runner.run_backfill(
                request.spec, request.dataset, progress=sink, cancel=cancel, executor=request.executor
            )
        )
    finally:
        close_sink(sink)


class BackfillHandle:
    """A backfill that runs in a thread of this process; the process does not end before it.

    Attributes
    ----------
    job_id : str
        The job's id.
    """

    def __init__(self, request: BackfillRequest, sink: ProgressSink | None) -> None:
        self.job_id = request.spec.job_id
        self._cancel = CancelToken()
        self._ended = threading.Event()
        self._result: BackfillResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(request, sink), name=f"leman-{self.job_id}")
        self._thread.start()

    def _run(self, request: BackfillRequest, sink: ProgressSink | None) -> None:
        try:
            self._result = run(request, sink, self._cancel)
        except BaseException as error:  # Kept for result(), which raises it where somebody can see it.
            self._error = error
        finally:
            self._ended.set()

    @property
    def status(self) -> str:
        """``RUNNING``, ``DONE``, ``FAILED`` or ``CANCELLED``."""
        if not self._ended.is_set():
            return "RUNNING"
        if self._result is not None:
            return self._result.status
        return "CANCELLED" if isinstance(self._error, (JobCancelledError, KeyboardInterrupt)) else "FAILED"

    def done(self) -> bool:
        """Say whether the job has ended, in whatever way."""
        return self._ended.is_set()

    def result(self, timeout: float | None = None) -> BackfillResult:
        """Wait for the job's end.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
            Where the job still runs then; it goes on.
        LemanError
            Where the job failed or was cancelled.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"job {self.job_id} still runs after {timeout:g} s; it goes on")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        """Ask the job to stop; what was computed is kept, and the same call resumes it."""
        self._cancel.cancel()

    def __repr__(self) -> str:
        return f"<leman backfill {self.job_id} {self.status}>"
