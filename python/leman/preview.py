"""Tries a function on a few rows of a table in this process, before a job is started."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from .blob_column import makes_blobs
from .blob_inputs import ADDRESS, blob_inputs, instance
from .function_signature import NATIVE, RECORD_BATCH, SCALAR
from .input_columns import resolve_input_columns
from .row_filter import check_filter

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .table import Table
    from .user_function import UserFunction

_LONGEST_CELL = 60


@dataclasses.dataclass(frozen=True)
class PreviewRow:
    """One row that a function was tried on.

    Attributes
    ----------
    inputs : dict of str to object
        Column → value.
    output : object
        What the column would hold; None also where the function failed.
    error : Exception or None
        What the function raised, or why its result does not fit the column's type.
    elapsed_s : float
        Seconds that the call took; for a batch function, the call's seconds divided by its rows.
    """

    inputs: dict[str, Any]
    output: Any
    error: Exception | None
    elapsed_s: float


@dataclasses.dataclass(frozen=True)
class Preview:
    """What :meth:`leman.UserFunction.preview` found; prints as a table.

    Attributes
    ----------
    function_name : str
        Whose preview it is.
    data_type : pyarrow.DataType
        Type of one value of the column.
    rows : tuple of PreviewRow
        In the table's order.
    setup_s : float
        Seconds that making the function took: for a class its constructor and ``setup()``, else about 0.
    """

    function_name: str
    data_type: pa.DataType
    rows: tuple[PreviewRow, ...]
    setup_s: float

    @property
    def errors(self) -> tuple[Exception, ...]:
        """The errors, in row order."""
        return tuple(row.error for row in self.rows if row.error is not None)

    @property
    def seconds_per_row(self) -> float:
        """Mean seconds a row; 0.0 without rows."""
        return sum(row.elapsed_s for row in self.rows) / len(self.rows) if self.rows else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold, long ones shortened."""
        return {
            "function": self.function_name,
            "data_type": str(self.data_type),
            "setup_s": self.setup_s,
            "seconds_per_row": self.seconds_per_row,
            "errors": len(self.errors),
            "rows": [
                {
                    "inputs": {name: _cell(value) for name, value in row.inputs.items()},
                    "output": None if row.error else _cell(row.output),
                    "error": None if row.error is None else _error_text(row.error),
                    "elapsed_s": row.elapsed_s,
                }
                for row in self.rows
            ],
        }

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the table in a notebook."""
        printer.text(str(self))

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.function_name}: no rows to try it on"
        names = list(self.rows[0].inputs)
        lines = [[*names, f"{self.function_name} -> {self.data_type}"]]
        for row in self.rows:
            output = _error_text(row.error) if row.error else _cell(row.output)
            lines.append([*(_cell(row.inputs[name]) for name in names), output])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        shown = [
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        setup = f", after {_duration(self.setup_s)} of setup" if self.setup_s >= 0.001 else ""
        shown.append(
            f"{len(self.rows)} rows, {len(self.errors)} failed, {_duration(self.seconds_per_row)} a row{setup}"
        )
        return "\n".join(shown)


def preview_function(
    function: UserFunction,
    table: Table,
    n: int = 10,
    *,
    where: str | None = None,
    input_columns: list[str] | None = None,
) -> Preview:
    """Call ``function`` on the first ``n`` rows; see :meth:`leman.UserFunction.preview`."""
    import pyarrow as pa

    if not hasattr(table, "to_lance"):
        raise TypeError(f"table={check.shown(table)}: expected a table of leman's, got {type(table).__name__}")
    rows = check.integer("n", n, minimum=1)
    dataset = table.to_lance()
    condition = check_filter(dataset, where)
    given = None if input_columns is None else check.column_paths("input_columns", input_columns)
    columns = resolve_input_columns(dataset.schema, (), function, given)
    blobs = blob_inputs(dataset.schema, columns)
    projection = {path: ".".join(f"`{part}`" for part in path.split(".")) for path in columns}
    projection.update(dict.fromkeys(blobs.values(), ADDRESS))
    found = dataset.scanner(columns=projection, filter=condition, limit=rows).to_table().combine_chunks()
    batch = pa.RecordBatch.from_arrays(
        [column.combine_chunks() for column in found.columns], schema=found.schema.remove_metadata()
    )
    if function.is_async:
        # A thread of its own, since in a notebook this one has a running event loop.
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            results, setup_s = thread.submit(_try, function, dataset, columns, batch).result()
    else:
        results, setup_s = _try(function, dataset, columns, batch)
    values = {path: batch.column(path).to_pylist() for path in dict.fromkeys(columns)}
    for path in blobs.values():
        values[path] = dataset.take_blobs(path, addresses=values[path])  # Shown as files; nothing of them is read.
    made = tuple(
        PreviewRow({path: values[path][i] for path in values}, output, error, elapsed_s)
        for i, (output, error, elapsed_s) in enumerate(results)
    )
    return Preview(function.name, function.data_type, made, setup_s)


_Result = tuple[Any, Exception | None, float]


def _try(
    function: UserFunction, dataset: lance.LanceDataset, columns: tuple[str, ...], batch: pa.RecordBatch
) -> tuple[list[_Result], float]:
    trial = _Trial(function, dataset, columns)
    try:
        return trial.run(batch), trial.setup_s
    finally:
        trial.close()


class _Trial:
    def __init__(self, function: UserFunction, dataset: lance.LanceDataset, columns: tuple[str, ...]) -> None:
        self._function = function
        self._columns = columns
        self._loop = asyncio.new_event_loop() if function.is_async else None
        start = time.perf_counter()
        self._callable: Callable[..., Any] = self._made(lambda: instance(function, dataset, columns))
        setup = getattr(self._callable, "setup", None)
        if self._loop is not None and inspect.iscoroutinefunction(setup):
            self._loop.run_until_complete(setup())
        self.setup_s = time.perf_counter() - start

    def _made(self, make: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        if self._loop is None:
            return make()
        from .async_call import make_on_loop

        return make_on_loop(self._loop, make)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    def run(self, batch: pa.RecordBatch) -> list[_Result]:
        if self._function.kind in (SCALAR, NATIVE):
            return self._rows(batch)
        return self._batch(batch)

    def _rows(self, batch: pa.RecordBatch) -> list[_Result]:
        bound = self._function.bind(self._columns)
        arrays = self._function.ndarray_arguments
        columns = [
            _as_arrays(batch.column(path)) if argument.name in arrays else batch.column(path).to_pylist()
            for path, argument in bound
        ]
        skip_null = [not argument.takes_none for _, argument in bound]
        results: list[_Result] = []
        for row in range(batch.num_rows):
            arguments = [column[row] for column in columns]
            if any(value is None and skip for value, skip in zip(arguments, skip_null, strict=True)):
                results.append((None, None, 0.0))  # As in a job: not called.
            else:
                results.append(self._timed(functools.partial(self._row, arguments)))
        return results

    def _row(self, arguments: list[Any]) -> Any:
        import pyarrow as pa

        from . import _engine
        from .blob_outputs import content_of

        blobs = makes_blobs(self._function)
        data_type = pa.large_binary() if blobs else self._function.data_type

        def call() -> Any:
            result = self._callable(*arguments)
            value = result if self._loop is None else self._loop.run_until_complete(result)
            return content_of(value) if blobs and value is not None else value

        call.__name__ = self._function.name
        return _engine.array_of_results(call, 1, pa.field("value", data_type))[0].as_py()

    def _batch(self, batch: pa.RecordBatch) -> list[_Result]:
        import pyarrow as pa

        from .batch_call import BatchFunction
        from .row_policy import RowPolicy

        data_type = pa.large_binary() if makes_blobs(self._function) else self._function.data_type
        caller = BatchFunction(self._function.name, self._function.kind, self._callable, data_type, RowPolicy(()))
        if self._function.kind != RECORD_BATCH:
            batch = batch.select(list(self._columns))
        whole, error, elapsed_s = self._timed(lambda: caller.apply(batch, None)[0])
        if error is None:
            return [(value, None, elapsed_s / batch.num_rows) for value in whole.to_pylist()]
        if batch.num_rows == 1:
            return [(None, error, elapsed_s)]
        # One bad row spoils the whole call: alone, each shows whether it is to blame.
        return [self._batch(batch.slice(row, 1))[0] for row in range(batch.num_rows)]

    def _timed(self, call: Callable[[], Any]) -> tuple[Any, Exception | None, float]:
        start = time.perf_counter()
        try:
            return call(), None, time.perf_counter() - start
        except Exception as error:  # The user's function may raise anything; that is what a preview shows.
            return None, error, time.perf_counter() - start


def _as_arrays(column: pa.Array) -> list[Any]:
    return [None if not value.is_valid else value.values.to_numpy(zero_copy_only=False) for value in column]


def _cell(value: Any) -> str:
    text = "".join(letter if letter.isprintable() else "·" for letter in repr(value))
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _error_text(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"


def _duration(seconds: float) -> str:
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"
