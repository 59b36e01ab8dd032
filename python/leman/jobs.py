"""Jobs as their records tell; the documents are described in ``docs/formats/job_record.md``."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from .errors import JobNotFoundError
from .table_files import TableFiles

if TYPE_CHECKING:
    from .connection import Connection

_RECORDED = ("PENDING", "RUNNING", "DONE", "FAILED", "CANCELLED")
STATUSES = (*_RECORDED, "LOST")
FORMAT = 1
_SUFFIX = ".json"
_LOST_S = 60.0  # As long as a lease holds; a driver writes at least every 15 s.
_DEAD_S = 600.0


@dataclasses.dataclass(frozen=True)
class Job:
    """A backfill, as its record has it.

    Attributes
    ----------
    job_id, table_name, column : str
        What it is.
    status : str
        ``PENDING``, ``RUNNING``, ``DONE``, ``FAILED`` or ``CANCELLED``; ``FAILED`` also where its driver died, ``LOST``
        where it has not been heard of for a minute.
    launched_at, updated_at, completed_at : datetime or None
        In UTC.
    error : str or None
        Why it failed or was cancelled.
    error_type : str or None
        Name of the exception; ``DriverDied``, ``DriverLost`` and ``CorruptRecord`` are the reader's own.
    metrics : dict
        Counts and times.
    events : list of dict
        ``timestamp`` and ``message``, oldest first.
    driver_pid, driver_host : int or None, str or None
        The process that runs or ran it.
    table_uri : str
        The table that the record lies beside.
    """

    job_id: str
    table_name: str
    column: str
    status: str
    launched_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    completed_at: datetime.datetime | None = None
    error: str | None = None
    error_type: str | None = None
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    driver_pid: int | None = None
    driver_host: str | None = None
    read_version: int | None = None
    version: int | None = None
    udf_name: str = ""
    udf_version: str = ""
    where: str | None = None
    table_uri: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("DONE", "FAILED", "CANCELLED")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime.datetime) else value
            for name, value in dataclasses.asdict(self).items()
        }


def get_job(connection: Connection, job_id: str) -> Job:
    """Return one job; see :meth:`leman.Connection.get_job`."""
    name = check.identifier("job_id", job_id)
    for table in connection.table_names():
        files = TableFiles(connection.table_uri(table), connection.storage_options)
        content = files.read(f"jobs/{name}{_SUFFIX}")
        if content is not None:
            return read_record(name, content, table, connection.table_uri(table))
    raise JobNotFoundError(
        f"job_id={job_id!r}: no table of {connection.uri} has a record of such a job; list_jobs() (`leman jobs`) "
        "tells which there are"
    )


def list_jobs(connection: Connection, table_name: str | None = None, status: str | None = None) -> list[Job]:
    """Return jobs, newest first; see :meth:`leman.Connection.list_jobs`."""
    if status is not None and status not in STATUSES:
        raise ValueError(
            f"status={status!r}: expected one of {', '.join(STATUSES)}.{check.closest(str(status), STATUSES)}"
        )
    if table_name is not None:
        # Says so where there is no such table, instead of an empty list.
        connection.open_table(table_name)
    tables = connection.table_names() if table_name is None else [table_name]
    jobs = []
    for table in tables:
        uri = connection.table_uri(table)
        files = TableFiles(uri, connection.storage_options)
        for name in files.names("jobs", _SUFFIX):
            content = files.read(f"jobs/{name}")
            # A record may go between listing and reading.
            if content is not None:
                jobs.append(read_record(name[: -len(_SUFFIX)], content, table, uri))
    oldest = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
    jobs.sort(key=lambda job: (job.launched_at or oldest, job.job_id), reverse=True)
    return [job for job in jobs if status is None or job.status == status]


def request_cancel(job: Job, storage_options: Mapping[str, str] | None = None) -> bool:
    """Ask a job's driver to stop; it does so when it next looks.

    Parameters
    ----------
    job : Job
        The job.
    storage_options : mapping, optional
        Of the object store.

    Returns
    -------
    bool
        False where the job is over, and nothing was asked.
    """
    if job.is_over:
        return False
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    request = {"format": FORMAT, "requested_at": now, "host": socket.gethostname(), "pid": os.getpid()}
    files = TableFiles(job.table_uri, storage_options or {})
    files.write(f"jobs/{check.identifier('job_id', job.job_id)}.cancel", json.dumps(request).encode())
    return True


def read_record(name: str, content: bytes, table_name: str, table_uri: str) -> Job:
    """Return the job that a record describes; one that cannot be read is a failed job that says why."""
    try:
        return _show_death(_parse(name, content, table_name, table_uri), content)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return Job(
            name,
            table_name,
            "",
            "FAILED",
            error=f"the record {name}{_SUFFIX} cannot be read: {error}; run the same backfill again to resume",
            error_type="CorruptRecord",
            table_uri=table_uri,
        )


def _parse(name: str, content: bytes, table_name: str, table_uri: str) -> Job:
    record = json.loads(content)
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    if record.get("format") != FORMAT:
        raise ValueError(f"its format is {record.get('format')!r}, and this Leman reads {FORMAT}")
    if record.get("job_id") != name:
        raise ValueError(f"its job_id is {record.get('job_id')!r}")
    if record.get("status") not in _RECORDED:
        raise ValueError(f"its status is {record.get('status')!r}")
    error, driver = record.get("error") or {}, record.get("driver") or {}
    events = [entry for entry in record.get("events") or [] if isinstance(entry, dict)]
    return Job(
        job_id=name,
        # The folder decides which table it is; a record cannot point elsewhere.
        table_name=table_name,
        column=str(record.get("column") or ""),
        status=record["status"],
        launched_at=_time(record.get("launched_at")),
        updated_at=_time(record.get("updated_at")),
        completed_at=_time(record.get("completed_at")),
        error=_text(error.get("message")),
        error_type=_text(error.get("type")),
        metrics=dict(record.get("metrics") or {}),
        events=events,
        driver_pid=driver.get("pid") if isinstance(driver.get("pid"), int) else None,
        driver_host=_text(driver.get("host")),
        read_version=record.get("read_version"),
        version=record.get("version"),
        udf_name=str(record.get("udf_name") or ""),
        udf_version=str(record.get("udf_version") or ""),
        where=_text(record.get("where")),
        table_uri=table_uri,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _time(value: object) -> datetime.datetime | None:
    if value is None:
        return None
    # Python 3.10 does not read the "Z".
    parsed = datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)


def _show_death(job: Job, content: bytes) -> Job:
    if job.is_over:
        return job
    driver = json.loads(content).get("driver") or {}
    reason, is_dead = _death(job, driver)
    if reason is None:
        return job
    advice = "what was computed is kept: run the same backfill again to resume"
    if is_dead:
        return dataclasses.replace(job, status="FAILED", error=f"{reason}; {advice}", error_type="DriverDied")
    why = "it ended while its storage was away, or stands still, or is cut off"
    return dataclasses.replace(job, status="LOST", error=f"{reason}: {why}; {advice}", error_type="DriverLost")


def _death(job: Job, driver: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return why the driver may not be there any more, if it may not, and whether that is certain."""
    now = datetime.datetime.now(datetime.timezone.utc)
    silent_s = (now - job.updated_at).total_seconds() if job.updated_at else float("inf")
    pid = job.driver_pid
    who = f"its driver (process {pid} on {job.driver_host})"
    since = f" since {job.updated_at:%Y-%m-%dT%H:%M:%SZ}" if job.updated_at else ""
    silence = f"{who} has not been heard of for {_duration(silent_s)}{since}" if silent_s > _LOST_S else None
    if job.driver_host != socket.gethostname() or pid is None:
        return silence, silent_s > _DEAD_S
    if not _is_alive(pid):
        return f"its driver (process {pid}) died", True
    boot_id, start_ticks = driver.get("boot_id"), driver.get("start_ticks")
    if boot_id is None and start_ticks is None:
        return silence, True
    same_boot = boot_id is None or boot_id == _read_text("/proc/sys/kernel/random/boot_id")
    same_start = start_ticks is None or start_ticks == _start_ticks(pid)
    if not (same_boot and same_start):
        return f"its driver (process {pid}) died", True
    if pid == os.getpid() and start_ticks is not None and not _runs_here(job.job_id):
        return "it ended in this process while its record could not be written", True
    return silence, False


def _runs_here(job_id: str) -> bool:
    # Where nothing was run, the engine need not be loaded.
    runner = sys.modules.get("leman.job_runner")
    return runner is not None and bool(runner.runs_here(job_id))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _read_text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _start_ticks(pid: int) -> int | None:
    stat = _read_text(f"/proc/{pid}/stat")
    # The second field, the program's name in parentheses, may hold spaces.
    return None if stat is None else int(stat.rpartition(")")[2].split()[19])


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "a long time"
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
