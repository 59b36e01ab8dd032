"""A worker's door to its table: batches of rows in, files of one column out.

It holds no decision; those are the engine's. It implements the ports of ``src/table`` and ``src/apply``.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import pickle
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import lance
import pyarrow as pa
from lance.file import LanceFileWriter

from . import blob_outputs
from .batch_call import BatchFunction, BlobBatchFunction
from .blob_column import fills_blobs
from .blob_inputs import ADDRESS, blob_inputs, instance
from .errors import CallInterrupted
from .lance_errors import translate, without_source_lines
from .local_resources import limit_loaded_libraries, take_gpus, worker_environment, worker_gpu_slots
from .native_function import NativeFunction
from .object_door import open_remote
from .row_policy import RowPolicy
from .table_files import local_path
from .unreadable_data import why_unreadable
from .user_function import pickle_function, restore

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from .async_call import AsyncFunction
    from .backfill_spec import BackfillSpec, Rider
    from .batch_call import CallGuard

# Rows of images or texts can be large: what Lance reads ahead is bounded by bytes, not only by rows.
_BATCH_BYTES = 32 << 20
_READAHEAD_BATCHES = 4
_NESTED_CACHE_BYTES = 1 << 30


def make_payload(
    spec: BackfillSpec, dataset: lance.LanceDataset, function: bytes, *, on_this_machine: bool = True
) -> bytes:
    """Pack what a worker of this driver needs; it travels over the worker's own socket only.

    Workers on this machine also take over the driver's environment variables, folder and ``sys.path``.
    """
    process = None
    blobs = fills_blobs(dataset, spec.columns)
    if on_this_machine:
        process = {
            "sys_path": list(sys.path),
            "cwd": os.getcwd(),
            "environ": worker_environment(spec, os.environ),
            "gpu_slots": worker_gpu_slots(spec),
            "job_id": spec.job_id,
        }
    return pickle.dumps(
        {
            "function": function,
            "function_name": spec.udf.name,
            "table_uri": spec.table_uri,
            "storage_options": spec.storage_options or None,
            "version": int(dataset.version),
            "columns": spec.columns,
            "unpacked": spec.unpacked,
            "inputs": spec.input_columns,
            "output_field": pa.field(spec.column, blob_outputs.RESULT_TYPE if blobs else spec.output_type),
            "blobs": blobs,
            "output_schema": file_schema(dataset, spec.columns, spec.checkpoint_root is not None),
            "checkpoint_root": spec.checkpoint_root or spec.table_uri,
            "storage_version": dataset.data_storage_version,
            "memory_bytes": spec.memory_bytes,
            "process": process,
            "riders": [_rider_payload(rider, dataset) for rider in spec.riders],
        }
    )


def _rider_payload(rider: Rider, dataset: lance.LanceDataset) -> dict[str, Any]:
    spec = rider.spec
    return {
        "function": pickle_function(spec.udf),
        "function_name": spec.udf.name,
        "columns": spec.columns,
        "unpacked": spec.unpacked,
        "blobs": False,
        "inputs": spec.input_columns,
        "output_field": pa.field(spec.column, spec.output_type),
        "output_schema": file_schema(dataset, spec.columns),
        "checkpoint_folder": rider.checkpoint_folder,
        "fragment_keys": rider.fragment_keys,
        "riders": [],
    }


def file_schema(dataset: lance.LanceDataset, columns: tuple[str, ...], elsewhere: bool = False) -> pa.Schema:
    """Return the schema of a checkpoint of columns: their own encoding metadata stays, Leman's keys do not.

    ``elsewhere``: it does not lie in the table, and so not in a file that Leman lays out itself.
    """
    if fills_blobs(dataset, columns):
        by_lance = elsewhere or local_path(dataset.uri) is None
        field = dataset.schema.field(columns[0])
        return pa.schema([blob_outputs.value_field(field, dataset.data_storage_version, by_lance=by_lance)])
    fields = []
    for column in columns:
        field = dataset.schema.field(column)
        metadata = {k: v for k, v in (field.metadata or {}).items() if not k.startswith(b"leman.")}
        fields.append(field.with_metadata(metadata or None))
    return pa.schema(fields)


def data_cache_bytes(schema: pa.Schema, storage_version: str) -> int | None:
    """Return how much Lance's writer is to gather before it makes pages; None for its own choice.

    Lance 14 cannot read a struct with a list inside across pages that differ in whether the struct is ever null: such
    columns are gathered whole, up to the size of a checkpoint.
    """
    nested = storage_version != "2.0" and any(_has_list_in_struct(field.type, False) for field in schema)
    return _NESTED_CACHE_BYTES if nested else None


def _has_list_in_struct(type: pa.DataType, in_struct: bool) -> bool:
    if pa.types.is_struct(type):
        return any(_has_list_in_struct(field.type, True) for field in type)
    if pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_map(type):
        inner = (type.key_type, type.item_type) if pa.types.is_map(type) else (type.value_type,)
        return in_struct or any(_has_list_in_struct(item, False) for item in inner)
    if pa.types.is_fixed_size_list(type):
        return _has_list_in_struct(type.value_type, in_struct)
    return False


class WorkerSession:
    """One worker process's table and function.

    Parameters
    ----------
    payload : bytes
        Of :func:`make_payload`, by this worker's own driver.
    """

    def __init__(self, payload: bytes) -> None:
        job: dict[str, Any] = pickle.loads(payload)
        if job["process"] is not None:
            _become_like(job["process"])
        self._job = job
        self._dataset = lance.dataset(job["table_uri"], version=job["version"], storage_options=job["storage_options"])
        self._fragments: dict[int, lance.LanceFragment] = {}
        self.door = open_remote(job["checkpoint_root"], job["storage_options"])
        self._load_function()
        self._take_riders()
        self.input_schema = self._input_schema()

    def _load_function(self) -> None:
        job = self._job
        try:
            self.function = restore(job["function"])
            self._blobs = blob_inputs(self._dataset.schema, job["inputs"])
            self._loop, self.callable = self._made()
        except Exception as error:
            with contextlib.suppress(AttributeError, TypeError):
                error.leman_function = job["function_name"]  # type: ignore[attr-defined]
            if isinstance(error, ModuleNotFoundError):
                error.msg += "; install it where the job's workers run"
            raise
        self.kind: str = "async" if self.function.is_async else self.function.kind
        self._async_threads = 0
        # With what is read ahead, at most a quarter of a memory that the user gave.
        given = job["memory_bytes"]
        self._batch_bytes = (
            min(_BATCH_BYTES, max(1 << 20, given // (4 * _READAHEAD_BATCHES))) if given else _BATCH_BYTES
        )
        self.output_field: pa.Field = job["output_field"]
        self.skip_null, self.ndarrays = self._argument_forms()

    def _take_riders(self) -> None:
        """Load the functions of columns that are computed alongside; their inputs come after the function's."""
        self.riders: list[RiderSession] = []
        self.read_columns = len(self._job["inputs"])
        for rider in self._job["riders"]:
            # One that cannot be loaded is computed by its own job, which says why.
            with contextlib.suppress(Exception):
                session = RiderSession(self, rider, self.read_columns)
                self.riders.append(session)
                self.read_columns = session.last_column

    def _instance(self) -> Any:
        plain = instance(self.function, self._dataset, self._job["inputs"])
        if self._job["blobs"] and self.function.kind == "scalar":
            return blob_outputs.returning_results(plain, self.function)
        return plain

    def _made(self) -> tuple[asyncio.AbstractEventLoop | None, Any]:
        """Return what is called for a row, and for an async function the event loop that it was made on."""
        if not self.function.is_async:
            return None, self._instance()
        import asyncio

        from .async_call import make_on_loop

        loop = asyncio.new_event_loop()
        return loop, make_on_loop(loop, self._instance)

    def _argument_forms(self) -> tuple[list[bool], list[bool]]:
        if self.kind not in ("scalar", "async"):
            return [], []
        bound = self.function.bind(self._job["inputs"])
        skip_null = [not argument.takes_none for _, argument in bound]
        return skip_null, [argument.name in self.function.ndarray_arguments for _, argument in bound]

    def _input_schema(self) -> pa.Schema:
        projection = self._projection("")
        names = list(projection)[: len(self._job["inputs"])]
        fields = [
            pa.field(path, pa.uint64()) if index in self._blobs else self._field(path)
            for index, path in enumerate(self._job["inputs"])
        ]
        return pa.schema([field.with_name(name) for name, field in zip(names, fields, strict=True)])

    def _field(self, path: str) -> pa.Field:
        schema: pa.Schema = self._dataset.schema
        if path in schema.names:
            return schema.field(path).remove_metadata()
        head, *rest = path.split(".")
        field = schema.field(head)
        for name in rest:
            field = field.type.field(name)
        return field.remove_metadata()

    def batch_function(self, guard: CallGuard | None = None) -> BatchFunction:
        """Return what the engine calls for functions on whole batches; ``guard``: of one thread, limits its calls."""
        name, policy = self.function.name, self.row_policy()
        if self._job["blobs"]:
            return BlobBatchFunction(name, self.kind, self.callable, pa.large_binary(), policy, guard)
        return BatchFunction(name, self.kind, self.callable, self.output_field.type, policy, guard)

    @property
    def call_limit_s(self) -> float | None:
        """Seconds that a call may take, where the engine has to see to it."""
        return None if self.kind == "async" else self.function.timeout

    def on_main_thread(self) -> bool:
        """Say whether signals reach this thread."""
        return threading.current_thread() is threading.main_thread()

    def interrupt_by_signal(self, guard: CallGuard) -> None:
        """Let the guard's signal end the main thread's present call, blocking ones included."""

        def interrupt(number: int, frame: object) -> None:
            # It may come late: when the call is over, or another one runs.
            if guard.take_interruption():
                raise CallInterrupted()

        signal.signal(guard.signal_number, interrupt)

    def async_function(self) -> AsyncFunction:
        """Return what the engine calls for ``async def`` functions; each thread has its own, with its event loop.

        An instance of a class belongs to one thread, too: what it opens belongs to its thread's event loop.
        """
        from .async_call import AsyncFunction

        self._async_threads += 1
        loop, function = self._loop, self.callable
        if self._async_threads > 1:
            loop, function = self._made()
        return AsyncFunction(
            self.function.name,
            function,
            self.row_policy(),
            self.function.max_in_flight,
            self.skip_null,
            self.ndarrays,
            self.function.timeout,
            loop,
        )

    def native_function(self) -> tuple[str, str, str]:
        """Return library, name and parameters of a native function."""
        assert isinstance(self.function, NativeFunction)
        return self.function.local_library(), self.function.function, self.function.parameters

    def free_memory(self) -> None:
        """Give back what is free but kept: cycles of Python objects, and what Arrow keeps for later."""
        gc.collect()
        pa.default_memory_pool().release_unused()

    def row_policy(self) -> RowPolicy:
        """Return what one thread does about failing rows."""
        return RowPolicy(self.function.on_error)

    def open_reader(
        self, pieces: list[tuple[int, int, int]], batch_rows: int, filter: str, with_deleted_rows: bool
    ) -> pa.RecordBatchReader:
        """Return a stream of the rows of ``pieces`` as ``src/table/batch_reader.h`` describes it."""
        arguments: dict[str, Any] = {
            "columns": self._projection(filter),
            "batch_size": batch_rows,
            "batch_size_bytes": self._batch_bytes,
            "batch_readahead": _READAHEAD_BATCHES,
        }
        if with_deleted_rows:
            arguments.update(include_deleted_rows=True, with_row_id=True)
        if ADDRESS in filter:
            # A plan may tell rows of one fragment apart. What is read beyond what was asked for comes last.
            arguments["with_row_address"] = True
        reader = self._scan(pieces, arguments)
        return blob_outputs.with_addresses_as_results(reader) if filter and self._job["blobs"] else reader

    def _scan(self, pieces: list[tuple[int, int, int]], arguments: dict[str, Any]) -> pa.RecordBatchReader:
        try:
            fragments = [self._fragment(fragment_id) for fragment_id, _, _ in pieces]
            if len(pieces) > 1 and all(
                (start, end) == (0, fragment.physical_rows)
                for (_, start, end), fragment in zip(pieces, fragments, strict=True)
            ):
                return self._dataset.scanner(fragments=fragments, scan_in_order=True, **arguments).to_reader()
            readers = []
            for (_, start, end), fragment in zip(pieces, fragments, strict=True):
                whole = (start, end) == (0, fragment.physical_rows)
                limits: dict[str, Any] = {} if whole else {"offset": start, "limit": end - start}
                readers.append(fragment.scanner(**arguments, **limits).to_reader())
            if len(readers) == 1:
                return readers[0]
            # A bundle of small fragments that was split within one of them, for another worker or another attempt.
            return pa.RecordBatchReader.from_batches(readers[0].schema, itertools.chain.from_iterable(readers))
        except Exception as error:
            raise translate(error, "read rows") from error

    def explain_read(self, fragment_ids: list[int], message: str) -> str:
        """Return why rows of these fragments could not be read, in the words of an error that may pass.

        Raises
        ------
        HostError
            Where it is to be seen, and will not pass: naming the file and what to do.
        """
        fault = why_unreadable(self._dataset, fragment_ids, self._job["storage_options"])
        if fault is not None:
            raise fault
        return without_source_lines(message)

    def _fragment(self, fragment_id: int) -> lance.LanceFragment:
        fragment = self._fragments.get(fragment_id)
        if fragment is None:
            if not self._fragments:
                self._fragments = {f.fragment_id: f for f in self._dataset.get_fragments()}
                return self._fragments[fragment_id]
            raise KeyError(f"table version {self._dataset.version} has no fragment {fragment_id}")
        return fragment

    def _projection(self, filter: str) -> list[str] | dict[str, str]:
        inputs = [*self._job["inputs"], *(path for rider in self.riders for path in rider.inputs)]
        plain = len(set(inputs)) == len(inputs) and not any("." in path for path in inputs)
        if plain and not filter and inputs and not self._blobs:
            return list(inputs)
        projection: dict[str, str] = {}
        for index, path in enumerate(inputs):
            name = path if path not in projection else f"{path}#{index}"
            projection[name] = ADDRESS if index in self._blobs else _as_sql(path)
        if filter:
            projection["#carried"] = ADDRESS if self._job["blobs"] else self._carried()
            projection["#selected"] = f"({filter})"
        return projection

    def _carried(self) -> str:
        columns = self._job["columns"]
        if not self._job["unpacked"]:
            return _as_sql(columns[0])
        names = ["'" + field.name.replace("'", "''") + "'" for field in self.output_field.type]
        pairs = ", ".join(f"{name}, {_as_sql(column)}" for name, column in zip(names, columns, strict=True))
        return f"named_struct({pairs})"

    def create_file(self, path: str) -> ColumnFile:
        """Begin a file of the output column, or of all that the function fills."""
        return ColumnFile(path, self._job)

    @property
    def fills_blobs(self) -> bool:
        """Say whether the column is one of blobs."""
        return bool(self._job["blobs"])

    @property
    def value_field(self) -> pa.Field:
        """The field of a blob column's checkpoints, for its type."""
        return self._job["output_schema"].field(0).remove_metadata()

    def blob_values(self, results: pa.Array) -> Iterator[tuple[pa.Array, int]]:
        """Yield the values of what a function returned for blobs; see :func:`blob_outputs.written_values`."""
        return blob_outputs.written_values(results, self._dataset, self._job["columns"][0])


class RiderSession(WorkerSession):
    """The function of a column that is computed from the rows that a job on another column reads.

    Parameters
    ----------
    session : WorkerSession
        Of that job.
    rider : dict
        Of :func:`make_payload`.
    first_column : int
        Its first input among the columns that are read.
    """

    def __init__(self, session: WorkerSession, rider: dict[str, Any], first_column: int) -> None:
        self._job = {**session._job, **rider}
        self._dataset = session._dataset
        self.door = session.door
        self.riders = []
        self.inputs: tuple[str, ...] = rider["inputs"]
        self.first_column = first_column
        self.last_column = first_column + len(self.inputs)
        self.checkpoint_folder: str = rider["checkpoint_folder"]
        self.fragment_keys: dict[int, str] = rider["fragment_keys"]
        self._load_function()
        self.input_schema = self._input_schema()


class ColumnFile:
    """A file of one column being written, or of several that one function fills."""

    def __init__(self, path: str, job: dict[str, Any]) -> None:
        self._schema: pa.Schema = job["output_schema"]
        self._unpacked: bool = job["unpacked"]
        self._path = path
        options = None
        if local_path(path) is None:
            options = job["storage_options"]
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            version = job["storage_version"]
            cache = data_cache_bytes(self._schema, version)
            self._writer = LanceFileWriter(
                path, self._schema, version=version, data_cache_bytes=cache, storage_options=options
            )
        except Exception as error:
            raise translate(error, f"create checkpoint {path}") from error

    def write(self, values: pa.Array) -> None:
        """Append values."""
        try:
            columns = values.flatten() if self._unpacked else [values]
            self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        except Exception as error:
            raise translate(error, f"write checkpoint {self._path}") from error

    def close(self, metadata: dict[str, str]) -> int:
        """Complete the file; return its size in bytes."""
        try:
            for key, value in metadata.items():
                self._writer.add_schema_metadata(key, value)
            self._writer.close()
        except Exception as error:
            raise translate(error, f"write checkpoint {self._path}") from error
        return int(self._writer.size_bytes or os.path.getsize(self._path))


def _become_like(driver: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(driver["environ"])
    take_gpus(driver["job_id"], driver["gpu_slots"])
    limit_loaded_libraries(os.environ)
    sys.path[:] = driver["sys_path"]
    with contextlib.suppress(OSError):  # The folder may be gone; only functions that open relative paths mind.
        os.chdir(driver["cwd"])


def _as_sql(path: str) -> str:
    return ".".join(f"`{part}`" for part in path.split("."))
