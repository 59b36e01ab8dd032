"""A table: its columns, their functions, and the backfills that fill them."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from . import argument_checks as check
from . import backfill_arguments, backfill_chain, backfill_job, column_definition
from .backfill_arguments import DEFAULT_BATCH_SIZE, BackfillRequest
from .backfill_job import BackfillHandle, BackfillResult, CancelToken
from .input_columns import no_such_column
from .progress import ProgressSink, make_sink
from .row_filter import check_filter
from .secret_redaction import redacted_errors
from .table_files import TableFiles
from .user_function import UserFunction, UserFunctionClass

if TYPE_CHECKING:
    import lance
    import lancedb.table
    import pyarrow as pa

    from .connection import Connection
    from .executors import Executor
    from .row_errors import RowError
    from .unpacked_function import UnpackedUDF

Udf = UserFunction | UserFunctionClass


class Table:
    """A Lance table; made by ``Connection.open_table`` and ``create_table``.

    What is not defined here (``add``, ``search``, ``update``, ``delete``, ``merge_insert``, ``optimize``, …) is that of
    the ``lancedb`` table of the same name; lancedb is imported when such a method is first used.

    Attributes
    ----------
    name : str
        Its name.
    uri : str
        Where it lies.
    connection : Connection
        Its database.
    """

    def __init__(self, connection: Connection, name: str, uri: str, version: int | str | None) -> None:
        self.connection = connection
        self.name = name
        self.uri = uri
        self.files = TableFiles(uri, connection.storage_options)
        self._pinned = version
        self._lock = threading.Lock()
        self._dataset: lance.LanceDataset | None = None
        self._lancedb_table: lancedb.table.Table | None = None

    def __repr__(self) -> str:
        version = "" if self._pinned is None else f", version={self._pinned!r}"
        return f"{self.connection!r}.open_table({self.name!r}{version})"

    def __len__(self) -> int:
        return self.count_rows()

    def __getattr__(self, name: str) -> Any:
        # Tools look for private names (_repr_html_ and the like); those must not import lancedb.
        if name.startswith("_"):
            raise AttributeError(f"'Table' object has no attribute {name!r}")
        table = self._lancedb()
        try:
            return getattr(table, name)
        except AttributeError:
            known = [entry for entry in (*dir(type(self)), *dir(table)) if not entry.startswith("_")]
            raise AttributeError(
                f"neither leman nor lancedb tables have an attribute {name!r}.{check.closest(name, known)}"
            ) from None

    @property
    def schema(self) -> pa.Schema:
        """The table's columns; what a function column says of itself is in its field's metadata."""
        with self._lock:
            return self._newest().schema

    @property
    def version(self) -> int:
        """The table's version: the latest, or the one that it was opened at."""
        with self._lock:
            return int(self._newest().version)

    def to_lance(self) -> lance.LanceDataset:
        """Return the pylance dataset at this table's version: a handle of its own, which stays at that version."""
        return self._current()

    def _current(self) -> lance.LanceDataset:
        """Return a handle that no other thread has: one that is moved to a version must not be in use meanwhile."""
        with self._lock:
            dataset = self._newest()
            return dataset.checkout_version(dataset.version)

    @redacted_errors()
    def _newest(self) -> lance.LanceDataset:
        import lance

        if self._dataset is None:
            options = self.connection.storage_options or None
            try:
                self._dataset = lance.dataset(self.uri, version=self._pinned, storage_options=options)
            except (ValueError, OSError) as error:
                if self._pinned is None or "not found" not in str(error):
                    raise
                # Without a version, so that a missing table is told from a missing version.
                latest = lance.dataset(self.uri, storage_options=options).latest_version
                raise ValueError(
                    f"version={self._pinned!r}: table {self.name!r} has no such version or tag; the latest version is "
                    f"{latest}"
                ) from None
        elif self._pinned is None:
            self._dataset.checkout_latest()
        return self._dataset

    def writable_dataset(self, operation: str) -> lance.LanceDataset:
        """Return the dataset at its latest version, or raise ``ValueError`` where this table is pinned to a version."""
        if self._pinned is not None:
            raise ValueError(
                f"{operation}(): table {self.name!r} was opened at version {self._pinned!r}, which cannot be changed; "
                "open it without version="
            )
        return self.to_lance()

    @redacted_errors()
    def _lancedb(self) -> lancedb.table.Table:
        if self._lancedb_table is None:
            import lancedb

            options = self.connection.storage_options or None
            self._lancedb_table = lancedb.connect(self.connection.uri, storage_options=options).open_table(self.name)
            if self._pinned is not None:
                self._lancedb_table.checkout(self._pinned)
        if self._pinned is None:
            # Leman commits through Lance, behind lancedb's back.
            self._lancedb_table.checkout_latest()
        return self._lancedb_table

    def count_rows(self, filter: str | None = None) -> int:
        """Return the number of rows, or of those that a SQL filter selects."""
        dataset = self._current()
        return int(dataset.count_rows(filter=check_filter(dataset, filter, "filter")))

    def to_arrow(self) -> pa.Table:
        """Return the whole table."""
        return self._current().to_table()

    def to_pandas(self) -> Any:
        """Return the whole table as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed; Leman itself does not need it.
        """
        if importlib.util.find_spec("pandas") is None:
            raise ImportError("to_pandas() needs pandas: pip install pandas, or use to_arrow()")
        return self.to_arrow().to_pandas()

    def checkout(self, version: int | str) -> None:
        """Read the table at a version or tag from now on; it cannot be changed then."""
        self._move_to(check.table_version("version", version))

    def checkout_latest(self) -> None:
        """Follow the latest version again."""
        self._move_to(None)

    def _move_to(self, version: int | str | None) -> None:
        before = self._pinned
        self._pinned, self._dataset, self._lancedb_table = version, None, None
        try:
            self.to_lance()
        except Exception:
            self._pinned = before
            raise

    def restore(self, version: int | str | None = None) -> None:
        """Make a version (by default the one checked out) the latest, as a new version."""
        if version is not None:
            self._move_to(check.table_version("version", version))
        self.to_lance().restore()
        self._move_to(None)

    def add_columns(
        self,
        transforms: Mapping[str, Any]
        | Udf
        | UnpackedUDF
        | list[Udf | UnpackedUDF]
        | pa.Schema
        | pa.Field
        | list[pa.Field],
    ) -> None:
        """Add columns.

        Parameters
        ----------
        transforms : dict, UDF, UnpackedUDF or list of these
            Column name → a UDF; or ``(udf, ["a", "b"])`` with the columns for its arguments in order; or an SQL
            expression, which is computed at once. A UDF's column is null until ``backfill`` fills it. A UDF annotated
            ``-> leman.Columns[…]``, or an :class:`leman.UnpackedUDF`, adds a column for each field of its result.
            pyarrow fields add columns of nulls.

        Raises
        ------
        TypeError
            Where a column does not fit the argument that it is bound to, or a value is none of the above.
        ColumnNotFoundError
            Where an input column is missing.
        ValueError
            Where a column exists already or its name is not possible.
        """
        column_definition.add_columns(self, transforms)

    def alter_columns(self, *alterations: Mapping[str, Any]) -> None:
        """Give columns other functions, or change the columns themselves.

        Parameters
        ----------
        *alterations : dict
            ``{"path": column, "udf": udf, "input_columns": [...]}``: the next plain backfill computes every row with
            the new function. Or as of Lance: ``{"path": column, "name": …, "nullable": …, "data_type": …}``.

        Raises
        ------
        TypeError, ValueError
            As of :meth:`add_columns`.
        """
        column_definition.alter_columns(self, alterations)

    def drop_columns(self, columns: list[str]) -> None:
        """Drop columns; their values stay readable in older versions.

        With one of several columns that a function fills together go the others.

        Raises
        ------
        ColumnNotFoundError
            Where one is missing.
        """
        column_definition.drop_columns(self, columns)

    @overload
    def backfill(self, col_name: str, **arguments: Any) -> BackfillResult: ...
    @overload
    def backfill(self, col_name: list[str], **arguments: Any) -> list[BackfillResult]: ...
    def backfill(
        self,
        col_name: str | list[str],
        *,
        input_columns: list[str] | None = None,
        udf: Udf | None = None,
        where: str | None = None,
        concurrency: int = 8,
        intra_applier_concurrency: int = 1,
        refresh_status_secs: float = 2.0,
        commit_granularity: int | None = 64,
        read_version: int | None = None,
        task_shuffle_diversity: int | None = 8,
        batch_size: int | None = DEFAULT_BATCH_SIZE,
        num_frags: int | None = None,
        skip_frags: int = 0,
        task_size: int | None = None,
        checkpoint_size: int | None = None,
        min_checkpoint_size: int | None = None,
        max_checkpoint_size: int | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
        label_selector: Mapping[str, str] | None = None,
        executor: str | Executor | None = None,
        timeout: float | timedelta | None = None,
        stall_timeout: float | timedelta | None = None,
        retry_failed: bool = False,
        job_id: str | None = None,
        progress: bool | ProgressSink | None = None,
        **unknown: Any,
    ) -> BackfillResult | list[BackfillResult]:
        """Fill a column with its function, and wait for the end.

        Rows that hold the function's value already are not computed again, and an interrupted job resumes when it is
        called again.

        Parameters
        ----------
        col_name : str or list of str
            The column to fill; columns that its function fills too are filled with it. Of several columns each is
            filled by a job of its own, after those of them that its function reads.
        input_columns : list of str, optional
            Columns for the arguments in order, instead of the ones registered; not for ``pa.RecordBatch`` functions.
        udf : UDF, optional
            The function for this job, instead of the column's.
        where : str, optional
            SQL condition that selects the rows to compute.
        concurrency : int
            Worker processes; never more than there are tasks.
        intra_applier_concurrency : int
            Threads in each worker process.
        refresh_status_secs : float
            Seconds between updates of the job's record.
        commit_granularity : int or None
            Fragments per partial commit that readers see; None: one commit at the end.
        read_version : int, optional
            The table version to read; by default the latest.
        task_shuffle_diversity : int
            Fragments whose tasks are interleaved; 1 is fragment by fragment.
        batch_size : int or None
            Rows read at once; a value given here is also the number of rows of a checkpoint.
        num_frags : int, optional
            Compute at most this many fragments.
        skip_frags : int
            Leave out this many fragments first.
        task_size : int, optional
            Rows of a task.
        checkpoint_size, min_checkpoint_size, max_checkpoint_size : int, optional
            Rows of a checkpoint: fixed, or bounds where Leman chooses.
        num_cpus, num_gpus : float, optional
            Resources of one worker thread.
        memory : int, optional
            Bytes of one worker.
        resources, label_selector : dict, optional
            On a cluster: custom resources of one worker, and labels of the nodes that workers may run on.
        executor : "local", "ray" or RayCluster, optional
            Where workers run; by default the innermost ``with leman.ray_cluster(...)``, ``LEMAN_EXECUTOR``, or here.
        timeout : float or timedelta, optional
            Seconds after which the job stops, as if cancelled.
        stall_timeout : float or timedelta, optional
            Seconds without any progress (in set-up, or on a task: no call came back, nothing was written) after which
            a worker process is replaced. By default none is: a function may be that slow.
        retry_failed : bool
            Compute only the rows that earlier jobs on this column skipped and that are null still, whichever version of
            the function skipped them; with ``where``, those of them that it selects. Their error records are cleared.
        job_id : str, optional
            A name for the job; letters, digits, ``-`` and ``_``.
        progress : bool or ProgressSink, optional
            False: silent. By default bars on a terminal, and lines for longer jobs elsewhere.

        Returns
        -------
        BackfillResult or list of BackfillResult
            The job's id, with ``.status``, ``.rows_computed`` and more; of several columns one a job, in their order.

        Raises
        ------
        TypeError, ValueError
            Before any work, naming the argument, its value and what was expected.
        UntrustedFunctionError
            Where the column's stored function may not be run.
        JobFailedError
            Where the job failed, was cancelled or ran out of time.
        """
        if isinstance(col_name, (list, tuple)):
            given = locals()
            check.reject_unknown("backfill", unknown, _backfill_defaults())
            return backfill_chain.backfill_several(self, col_name, {name: given[name] for name in _backfill_defaults()})
        request, sink = self._prepare("backfill", locals())
        return backfill_job.run(request, sink, CancelToken())

    def backfill_async(
        self,
        col_name: str,
        *,
        input_columns: list[str] | None = None,
        udf: Udf | None = None,
        where: str | None = None,
        concurrency: int = 8,
        intra_applier_concurrency: int = 1,
        refresh_status_secs: float = 2.0,
        commit_granularity: int | None = 64,
        read_version: int | None = None,
        task_shuffle_diversity: int | None = 8,
        batch_size: int | None = DEFAULT_BATCH_SIZE,
        num_frags: int | None = None,
        skip_frags: int = 0,
        task_size: int | None = None,
        checkpoint_size: int | None = None,
        min_checkpoint_size: int | None = None,
        max_checkpoint_size: int | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
        label_selector: Mapping[str, str] | None = None,
        executor: str | Executor | None = None,
        timeout: float | timedelta | None = None,
        stall_timeout: float | timedelta | None = None,
        retry_failed: bool = False,
        job_id: str | None = None,
        progress: bool | ProgressSink | None = None,
        **unknown: Any,
    ) -> BackfillHandle:
        """Start a backfill in a thread of this process; parameters and argument errors as of :meth:`backfill`.

        Returns
        -------
        BackfillHandle
            With ``job_id``, ``status``, ``done()``, ``result(timeout)`` and ``cancel()``.
        """
        request, sink = self._prepare("backfill_async", locals())
        return BackfillHandle(request, sink)

    def get_errors(
        self, *, job_id: str | None = None, column_name: str | None = None, error_type: str | None = None
    ) -> list[RowError]:
        """Return the rows that jobs skipped because the function failed on them.

        Parameters
        ----------
        job_id, column_name, error_type : str, optional
            Only those of a job, a column, an exception type (``"ValueError"``).

        Raises
        ------
        TypeError, ValueError
            Where ``job_id`` is none, or another argument is no name.
        ColumnNotFoundError
            Where neither the table nor any record has the column.
        """
        from .row_errors import read_errors

        if job_id is not None:
            job_id = check.identifier("job_id", job_id)
        if column_name is not None:
            column_name = check.text("column_name", column_name)
        if error_type is not None:
            error_type = check.text("error_type", error_type)
        found = read_errors(
            self.connection.table_uri(self.name),
            self.connection.storage_options,
            job_id=job_id,
            column_name=column_name,
            error_type=error_type,
        )
        # Records may be of a column that was dropped since.
        if not found and column_name is not None and column_name not in self.to_lance().schema.names:
            raise no_such_column("column_name", column_name, self.to_lance().schema, "the table")
        return found

    def plan_backfill(self, col_name: str, **arguments: Any) -> Any:
        """Return what a backfill would do, in figures, without running it or loading a stored function.

        Parameters
        ----------
        col_name, **arguments
            As of :meth:`backfill`.

        Returns
        -------
        Plan
            Prints as a text for people.
        """
        from . import job_runner

        defaults = _backfill_defaults()
        check.reject_unknown("plan_backfill", {k: v for k, v in arguments.items() if k not in defaults}, defaults)
        given = {**defaults, **arguments}
        make_sink(given.pop("progress"))
        request = backfill_arguments.prepare(self, col_name, given, for_plan=True)
        return job_runner.plan_backfill(request.spec, request.dataset)

    def _prepare(self, method: str, given: dict[str, Any]) -> tuple[BackfillRequest, ProgressSink | None]:
        del given["self"]
        check.reject_unknown(method, given.pop("unknown"), _backfill_defaults())
        sink = make_sink(given.pop("progress"))
        return backfill_arguments.prepare(self, given.pop("col_name"), given), sink


@functools.lru_cache(maxsize=1)
def _backfill_defaults() -> dict[str, Any]:
    import inspect

    parameters = inspect.signature(Table.backfill).parameters.values()
    return {entry.name: entry.default for entry in parameters if entry.kind is entry.KEYWORD_ONLY}
