"""What one backfill is asked to do: every argument checked, every default resolved."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .column_groups import group_name

if TYPE_CHECKING:
    import pyarrow as pa

    from .user_function import UserFunction


@dataclasses.dataclass(frozen=True)
class Rider:
    """A column that a job on another one computes from the same rows; see ``src/apply/rider.h``.

    Attributes
    ----------
    spec : BackfillSpec
        Of the column's own job, which follows.
    checkpoint_folder : str
        Of that job, relative to the table.
    fragment_keys : dict of int to str
        The fragments of which it computes all rows, with what their checkpoints are named by.
    rows_resumed : int
        Rows that checkpoints hold already.
    """

    spec: BackfillSpec
    checkpoint_folder: str
    fragment_keys: dict[int, str] = dataclasses.field(repr=False)
    rows_resumed: int = 0


@dataclasses.dataclass(frozen=True)
class BackfillSpec:
    """A backfill request as the engine takes it; the fields mirror ``src/model/backfill_spec.h``.

    Attributes
    ----------
    job_id : str
        Chosen by the caller or made by the front; letters, digits, ``-`` and ``_`` only.
    table_name : str
        Name of the table in its database, for records and messages.
    table_uri : str
        Where the Lance table lies, e.g. ``/data/db/photos.lance``.
    storage_options : dict of str to str
        Passed to Lance; never written to a record or log.
    read_version : int
        The table version that the job reads; already resolved from ``None``.
    columns : tuple of str
        The column to fill; of a function of several, all of them, in the order of its fields.
    output_type : pyarrow.DataType
        The column's Arrow type; of several columns a struct of the function's fields.
    udf : UserFunction
        The function that fills it.
    udf_version : str
        Its version; part of every checkpoint's identity.
    input_columns : tuple of str
        Columns (dotted paths for struct fields) read for the function, in argument order.
    where : str or None
        SQL filter that selects the rows to compute.
    unpacked : bool
        Whether ``columns`` are the fields of ``output_type``.
    done_version : str or None
        UDF version for which data files without a record of their own count as done (see
        ``docs/formats/column_metadata.md``).
    concurrency, intra_applier_concurrency : int
        Worker processes, and threads in each.
    refresh_status_secs : float
        Seconds between updates of the job's record.
    commit_granularity : int or None
        Fragments per visible partial commit; ``None``: one commit for the whole result.
    task_shuffle_diversity : int
        Fragments whose tasks are interleaved.
    batch_size : int
        Rows per batch read.
    checkpoint_rows : int or None
        Rows per checkpoint where the caller fixed it; ``None``: cut by time and bytes.
    min_checkpoint_rows, max_checkpoint_rows : int or None
        Bounds on the rows of an adaptive checkpoint.
    task_rows : int or None
        Rows per task where the caller fixed it.
    num_frags : int or None
        Compute at most this many fragments.
    skip_frags : int
        Leave out this many fragments first.
    num_cpus, num_gpus : float or None
        Resources of a worker thread.
    memory_bytes : int or None
        Memory of a worker.
    resources : dict of str to float
        Custom resources of a worker on a cluster.
    label_selector : dict of str to str
        Labels of the nodes that workers may run on.
    timeout_s : float or None
        Time limit of the job.
    stall_timeout_s : float or None
        A worker that makes no progress for so long is replaced; ``None``: never.
    only_rows : dict of int to list of int, or None
        Fragment id → its physical rows, sorted: only these are computed, as far as they are null.
    checkpoint_root : str or None
        Where the table's checkpoints lie (``docs/formats/checkpoint_place.md``); None: in the table.
    recorded_rows : dict of int to list of int, or None
        ``only_rows`` as the records of earlier jobs have them, which are cleared of them when the job is done.
    riders : tuple of Rider
        Columns that are computed from the rows that this job reads.
    """

    job_id: str
    table_name: str
    table_uri: str
    storage_options: dict[str, str] = dataclasses.field(repr=False)
    read_version: int
    columns: tuple[str, ...]
    output_type: pa.DataType
    udf: UserFunction
    udf_version: str
    input_columns: tuple[str, ...]
    where: str | None = None
    unpacked: bool = False
    done_version: str | None = None
    concurrency: int = 8
    intra_applier_concurrency: int = 1
    refresh_status_secs: float = 2.0
    commit_granularity: int | None = 64
    task_shuffle_diversity: int = 8
    batch_size: int = 10240
    checkpoint_rows: int | None = None
    min_checkpoint_rows: int | None = None
    max_checkpoint_rows: int | None = None
    task_rows: int | None = None
    num_frags: int | None = None
    skip_frags: int = 0
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory_bytes: int | None = None
    resources: dict[str, float] = dataclasses.field(default_factory=dict)
    label_selector: dict[str, str] = dataclasses.field(default_factory=dict)
    timeout_s: float | None = None
    stall_timeout_s: float | None = None
    only_rows: dict[int, list[int]] | None = None
    checkpoint_root: str | None = None
    recorded_rows: dict[int, list[int]] | None = None
    riders: tuple[Rider, ...] = ()

    @property
    def column(self) -> str:
        """The column as one name, for identities, records and messages; see ``column_groups.group_name``."""
        return group_name(self.columns)
