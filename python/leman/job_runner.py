"""Wires a checked request, the table and the engine together, and runs it."""

from __future__ import annotations

import collections
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import errors, executors
from .object_door import open_remote
from .source_lines import with_source_lines

if TYPE_CHECKING:
    import lance

    from .backfill_job import CancelToken
    from .backfill_spec import BackfillSpec, Rider
    from .object_door import PartUploads
    from .progress import ProgressSink

# Jobs of this process, from before they take their lease until after they gave it back.
_running: set[str] = set()

# The rate of assembly is that of the last seconds.
_RATE_WINDOW_S = 5.0


def prewarm() -> None:
    """Start the process that forks workers; ``LEMAN_PREWARM=0`` leaves that to the first job."""
    if os.environ.get("LEMAN_PREWARM", "1") != "0" and not executors.is_remote():
        from . import worker_prewarm

        worker_prewarm.prewarm()


class DriverHost:
    """What the engine asks of the driver's process: worker payloads, and whether to go on."""

    def __init__(
        self, spec: BackfillSpec, table: Any, progress: ProgressSink | None = None, cancel: CancelToken | None = None
    ) -> None:
        self._spec = spec
        self._table = table
        self._progress = progress
        self._cancel = cancel
        self._started_s = time.monotonic()
        self._assembly_marks: collections.deque[tuple[float, int]] = collections.deque()
        self._assembly_rate = 0.0
        self.table = table
        self.door = open_remote(spec.table_uri, spec.storage_options)
        elsewhere = spec.checkpoint_root
        self.checkpoint_door = None if elsewhere is None else open_remote(elsewhere, spec.storage_options)
        self._uploads: PartUploads | None = None
        self._notices: collections.deque[str] = collections.deque()
        self.terminated = False
        self.interrupt: BaseException | None = None
        self.workers: executors.Workers | None = None

    def worker_payload(self) -> bytes:
        """Return what each worker gets."""
        from .lance_worker import make_payload
        from .user_function import pickle_function

        assert self.workers is not None
        on_this_machine = self.workers.remote is None
        function = pickle_function(self._spec.udf)
        return self.workers.seal(
            make_payload(self._spec, self._table.dataset, function, on_this_machine=on_this_machine)
        )

    def _assembled(self, metrics: Mapping[str, Any]) -> int:
        """Return the bytes assembled; notes how fast that goes, over some seconds."""
        now_s, written = time.monotonic(), metrics["bytes_assembled"] + metrics["bytes_in_assembly"]
        self._assembly_marks.append((now_s, written))
        while now_s - self._assembly_marks[0][0] > _RATE_WINDOW_S:
            self._assembly_marks.popleft()
        first_s, first = self._assembly_marks[0]
        self._assembly_rate = max(0.0, (written - first) / (now_s - first_s)) if now_s > first_s else 0.0
        return int(written)

    def on_progress(self, metrics: Mapping[str, Any], phase: str) -> bool:
        """Show how the job goes on; return whether it should."""
        if self._progress is not None:
            elapsed_s = time.monotonic() - self._started_s
            saved = metrics["rows_computed"]
            # With a filter, rows in hand are those read; the total is of those selected.
            rows = min(saved + metrics["rows_in_hand"], max(metrics["rows_total"] - metrics["rows_resumed"], saved))
            self._progress.update(
                {
                    **metrics,
                    "phase": phase,
                    "rows_computed": rows,
                    "rows_checkpointed": saved + metrics["rows_resumed"],
                    "bytes_assembled": self._assembled(metrics),
                    "bytes_to_assemble": metrics["checkpoint_bytes"],
                    "assembled_bytes_per_s": self._assembly_rate,
                    "rows_per_s": rows / elapsed_s if elapsed_s > 0 else 0.0,
                    "elapsed_s": elapsed_s,
                    "message": self._message(),
                }
            )
        return not (self.terminated or (self._cancel is not None and self._cancel.cancelled))

    def decide_row(self, error_type: str, message: str, attempts: int) -> int:
        """Say what the function's policy is about a row on which workers end."""
        from .row_policy import decide_lost_row

        return decide_lost_row(self._spec.udf.on_error, error_type, message, attempts)

    @property
    def writes_once(self) -> bool:
        """Whether workers upload large values as parts of the data files themselves."""
        if self.door is None or self._spec.checkpoint_root is not None:
            return False
        return os.environ.get("LEMAN_S3_WRITE_ONCE", "1") != "0" and self.door.writes_once

    def part_uploads(self) -> PartUploads:
        """Return how data files of a table in an object store are made of checkpoints."""
        assert self.door is not None
        if self._spec.checkpoint_root is None:
            return self.door.part_uploads()
        if self._uploads is None:
            self._uploads = self.door.part_uploads_from(self.checkpoint_door)
        return self._uploads

    @property
    def copies_in_store(self) -> bool:
        """Whether an object store copies ranges of checkpoints into data files."""
        return self.door is not None and self.part_uploads().copies_ranges

    def on_notice(self, text: str) -> None:
        """Take what the user should see, once."""
        self._notices.append(text)

    def _message(self) -> str | None:
        if self._notices:
            return self._notices.popleft()
        return self.workers.take_message() if self.workers is not None else None

    def _files_of(self, root: str | None, path: str) -> str:
        """Return where a file lies: where anything is in an object store, the engine names files by keys."""
        if self.door is None and self.checkpoint_door is None:
            return path
        return f"{(root or self._spec.table_uri).rstrip('/')}/{path}"

    def reencode(self, paths: list[str], output_path: str, watch: Callable[[int], bool]) -> int:
        """Write the values of several checkpoints into one data file; return the bytes written.

        ``watch`` is told of bytes as they are written, and says whether to go on.
        """
        from .lance_reencode import reencode

        sources = [self._files_of(self._spec.checkpoint_root, path) for path in paths]
        return reencode(sources, self._files_of(None, output_path), self._table.dataset, self._spec, watch)

    def write_blob_places(self, positions: bytes, sizes: bytes, output_path: str) -> None:
        """Write the data file of a column of blobs that lie in file 1 beside it; see ``blob_data_file.py``."""
        from .blob_data_file import write_blob_places

        path, options = self._files_of(None, output_path), self._spec.storage_options
        write_blob_places(positions, sizes, path, self._table.dataset, self._spec.column, options)

    def take_rows(
        self, source: str, rows: list[tuple[int, int]], size_bytes: int, target: str, watch: Callable[[int], bool]
    ) -> int:
        """Write some rows of a checkpoint into a file of their own; see :func:`lance_reencode.take_rows`."""
        from .lance_reencode import take_rows

        root, options = self._spec.checkpoint_root, self._spec.storage_options
        source, target = self._files_of(root, source), self._files_of(root, target)
        version = self._table.dataset.data_storage_version
        return take_rows(source, rows, size_bytes, target, version, options, watch)


class _Sigterm:
    """While a job runs on the main thread, SIGTERM stops it as Ctrl-C does."""

    def __init__(self, host: DriverHost) -> None:
        self._host = host
        self._previous: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._host.terminated = True

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)


def _engine_spec(spec: BackfillSpec, table: Any, host: DriverHost) -> dict[str, Any]:
    from .column_groups import type_identity
    from .row_policy import skip_limits
    from .table_files import local_path
    from .value_width import value_bytes

    # A described function of a plan has no matchers; a plan computes nothing.
    max_skip_count, max_skip_fraction = skip_limits(getattr(spec.udf, "on_error", ()))
    root = local_path(spec.table_uri)
    rows_in_flight = spec.udf.max_in_flight if getattr(spec.udf, "is_async", False) else 1
    fixed = spec.batch_size if spec.checkpoint_rows is not None and spec.checkpoint_rows == spec.batch_size else None
    return {
        "job_id": spec.job_id,
        "jobs_running_here": sorted(_running),
        "table_name": spec.table_name,
        "table_root": spec.table_uri.rstrip("/") if root is None else str(root),
        "checkpoint_root": spec.checkpoint_root or "",
        "column": spec.column,
        "udf_name": spec.udf.name,
        "udf_version": spec.udf_version,
        "columns": list(spec.columns),
        "output_type": type_identity(spec.output_type, spec.unpacked),
        "value_bytes": value_bytes(spec.output_type),
        "copies_in_store": spec.checkpoint_rows is not None and host.copies_in_store,
        "where": spec.where,
        "where_reads_output": table.where_reads_output,
        "done_version": spec.done_version,
        "read_version": spec.read_version,
        "concurrency": spec.concurrency,
        "intra_applier_concurrency": spec.intra_applier_concurrency,
        "refresh_status_secs": float(spec.refresh_status_secs),
        "commit_granularity": spec.commit_granularity,
        "task_shuffle_diversity": spec.task_shuffle_diversity,
        "batch_size": spec.batch_size,
        "batch_size_fixed": fixed is not None,
        "first_call_rows": rows_in_flight if spec.udf.kind == "scalar" else 32,
        "rows_in_flight": rows_in_flight,
        "input_columns": len(spec.input_columns),
        "checkpoint_rows": spec.checkpoint_rows,
        "min_checkpoint_rows": spec.min_checkpoint_rows,
        "max_checkpoint_rows": spec.max_checkpoint_rows,
        "task_rows": spec.task_rows,
        "num_frags": spec.num_frags,
        "skip_frags": spec.skip_frags,
        "memory_bytes": spec.memory_bytes or 0,
        "timeout_s": spec.timeout_s,
        "stall_timeout_s": spec.stall_timeout_s,
        "only_rows": spec.only_rows,
        "max_skip_count": max_skip_count,
        "max_skip_fraction": max_skip_fraction,
    }


def run_backfill(
    spec: BackfillSpec,
    dataset: lance.LanceDataset,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    executor: executors.Executor | None = None,
) -> dict[str, Any]:
    """Run a backfill job to its end.

    Parameters
    ----------
    spec : BackfillSpec
        What to do.
    dataset : lance.LanceDataset
        The version that ``spec.read_version`` names.
    progress : ProgressSink, optional
        Told how the job goes on.
    cancel : CancelToken, optional
        Looked at about ten times a second.
    executor : Executor, optional
        Where the workers run; by default on this machine.

    Returns
    -------
    dict
        job_id, status, rows_total, rows_computed, rows_skipped, fragments_total, fragments_committed, version,
        duration_s and metrics.

    Raises
    ------
    JobFailedError
        Or one of its subclasses, where the job failed or was cancelled.
    KeyboardInterrupt
        After Ctrl-C, once the workers are stopped.
    """
    from . import _engine
    from .lance_table import LanceTable

    table = LanceTable(dataset, spec)
    host = DriverHost(spec, table, progress, cancel)
    if progress is not None:
        progress.start(
            {
                "job_id": spec.job_id,
                "table_name": spec.table_name,
                "column": spec.column,
                "rows_total": 0,
                "fragments_total": 0,
                "workers": 0,
            }
        )
    _running.add(spec.job_id)
    try:
        request = _engine_spec(spec, table, host)
        with _Sigterm(host), executors.used_workers(executor, spec) as workers:
            host.workers = workers
            result: dict[str, Any] = _engine.run_backfill(request, host, workers.control_fd, workers.remote)
    finally:
        _running.discard(spec.job_id)
    result["job_id"], result["column"] = spec.job_id, spec.column
    if result["status"] == "DONE":
        if spec.recorded_rows is not None:
            from .row_errors import clear_errors

            clear_errors(spec.table_uri, spec.storage_options, spec.column, spec.job_id, spec.recorded_rows)
        if progress is not None:
            progress.finish(result)
        return result
    resume = f"job {spec.job_id}: what was computed is kept; run the same backfill again to resume"
    if host.interrupt is not None:
        print(f"\nInterrupted. {resume}", file=sys.stderr)
        raise host.interrupt
    kind = getattr(errors, result["error_type"], errors.JobFailedError)
    if kind is errors.ColumnBusyError:
        raise kind(result["error"], spec.job_id)
    raise kind(f"{with_source_lines(result['error'])}\n({resume})", spec.job_id)


def runs_here(job_id: str) -> bool:
    """Whether a job runs in this process now."""
    return job_id in _running


def plan_backfill(spec: BackfillSpec, dataset: lance.LanceDataset) -> Plan:
    """Return what a backfill would do now, without doing it."""
    from . import _engine
    from .lance_table import LanceTable

    table = LanceTable(dataset, spec)
    host = DriverHost(spec, table)
    return Plan(_engine.plan_backfill(_engine_spec(spec, table, host), host))


def as_rider(spec: BackfillSpec, dataset: lance.LanceDataset) -> Rider:
    """Return what a job on another column needs to compute this one alongside."""
    from .backfill_spec import Rider

    plan = plan_backfill(spec, dataset)
    return Rider(spec, plan.checkpoint_folder, plan.fragment_keys, plan.rows_resumed)


class Plan:
    """What a backfill would do, in figures.

    Attributes
    ----------
    rows_total : int
        Rows that the job is about.
    rows_resumed : int
        Of these, rows that checkpoints of earlier runs hold.
    fragments, fragments_done : int
        Fragments to fill, and fragments with nothing to do.
    tasks, task_rows, workers : int
        Tasks, rows a task aims at, and worker processes.
    text : str
        All of it for people.
    checkpoint_folder : str
        Where the job's checkpoints lie, relative to the table.
    fragment_keys : dict of int to str
        For fragments of which all rows are computed, what their checkpoints are named by.
    """

    def __init__(self, figures: dict[str, Any]) -> None:
        self.text: str = figures.pop("text")
        self.checkpoint_folder: str = figures.pop("checkpoint_folder", "")
        self.fragment_keys: dict[int, str] = figures.pop("fragment_keys", {})
        self._figures = figures
        self.rows_total: int = figures["rows_total"]
        self.rows_resumed: int = figures["rows_resumed"]
        self.fragments: int = figures["fragments"]
        self.fragments_done: int = figures["fragments_done"]
        self.tasks: int = figures["tasks"]
        self.task_rows: int = figures["task_rows"]
        self.workers: int = figures["workers"]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures."""
        return dict(self._figures)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def clean(
    table_uri: str,
    *,
    storage_options: Mapping[str, str] | None = None,
    dry_run: bool = False,
    jobs_older_than_days: float | None = None,
    checkpoint_root: str | None = None,
) -> dict[str, Any]:
    """Remove what dead jobs left: checkpoints, half-written files, data files that no version refers to.

    Parameters
    ----------
    table_uri : str
        The table.
    storage_options : mapping, optional
        For Lance.
    dry_run : bool
        Only say what would go.
    jobs_older_than_days : float, optional
        Remove the records of jobs that ended longer ago, too.
    checkpoint_root : str, optional
        Where checkpoints lie besides the table.

    Returns
    -------
    dict
        ``files``: how many, ``bytes``: how large, ``kept``: files kept since somebody may need them still; with
        ``dry_run`` also which.
    """
    from .lance_cleanup import clean_table

    return clean_table(
        table_uri,
        storage_options,
        dry_run,
        jobs_older_than_days=jobs_older_than_days,
        checkpoint_root=checkpoint_root,
    )
