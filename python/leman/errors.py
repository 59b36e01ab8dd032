"""Errors of Leman, one class for each thing a caller can do next."""

from __future__ import annotations


class LemanError(Exception):
    """Base class of every error that Leman itself raises during a job."""


class JobFailedError(LemanError):
    """A backfill job failed; its checkpoints are kept, and the same call resumes it.

    Attributes
    ----------
    job_id : str
        The job that failed.
    """

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class UserFunctionError(JobFailedError):
    """The user's function raised, or returned something that does not fit its declared type."""


class CallInterrupted(BaseException):
    """Raised inside a function that takes too long; no ``except Exception`` of its own keeps it."""


class FunctionTimeoutError(UserFunctionError, TimeoutError):
    """A call of the function took longer than its ``timeout``; matchers of ``TimeoutError`` match it."""


class NativeFunctionError(RuntimeError):
    """A native function failed on a row; the message is what it threw.

    What ``on_error`` matches such a row as, and what a call outside of a job raises. A job that it ends raises
    :class:`UserFunctionError`, as with any function.
    """


class WorkerCrashError(JobFailedError):
    """Worker processes died again and again on the same rows; what ``on_error`` matches such a row as."""


class WorkerOOMError(WorkerCrashError, MemoryError):
    """The system killed worker processes on the same rows because memory ran out."""


class WorkerStallError(WorkerCrashError, TimeoutError):
    """Worker processes made no progress for the job's ``stall_timeout``, in set-up or on the same rows."""


class JobCancelledError(JobFailedError):
    """The job was cancelled or interrupted; what was computed is kept."""


class JobTimeoutError(JobFailedError):
    """The job's own ``timeout`` passed; what was computed is kept."""


class ConflictError(JobFailedError):
    """The table changed in a way the job cannot follow (overwritten, column dropped, ...)."""


class ColumnBusyError(JobFailedError):
    """Another job fills the same column now; the message names it."""


class CorruptDataError(JobFailedError):
    """Stored bytes are not what was written."""


class UntrustedFunctionError(LemanError):
    """A function stored in a table is not signed by a key that the caller trusts."""


class JobNotFoundError(LemanError, KeyError):
    """No job of that id is recorded in the database."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TableNotFoundError(LemanError, ValueError):
    """The database has no table of that name."""


class ColumnNotFoundError(LemanError, ValueError):
    """The table has no column of that name, at the version asked for."""


class KubernetesError(LemanError):
    """Kubernetes, or KubeRay on it, could not be reached or refused; the message says which and what to do."""


class KubernetesNotFoundError(KubernetesError):
    """The Kubernetes namespace has no such Ray cluster or job."""
