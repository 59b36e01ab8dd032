"""Calls functions on whole Arrow batches, and checks what they return before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .blob_outputs import results_of
from .errors import CallInterrupted, FunctionTimeoutError
from .lance_errors import HostError
from .on_error import message_of
from .row_policy import RowPolicy, SkippedRow

_SHOWN = 200


class CallGuard(Protocol):
    """The engine's time limit on the calls of one thread."""

    signal_number: int

    def begin(self, first: int, rows: int) -> None: ...
    def end(self) -> None: ...
    def take_interruption(self) -> bool: ...
    def complaint(self) -> str: ...


class _WrongValueError(HostError):
    """A value that does not fit; ``leman_row`` is its row of the batch."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__("user function", message)
        self.leman_row = row


class BatchFunction:
    """A ``pa.Array`` or ``pa.RecordBatch`` function with its declared output type.

    Parameters
    ----------
    name : str
        For messages.
    kind : str
        ``array``: one array an argument; ``record_batch``: the batch.
    function : callable
        The user's function.
    output_type : pyarrow.DataType
        Declared type of one value.
    policy : RowPolicy
        What to do where the function raises.
    guard : CallGuard, optional
        Ends calls that take too long.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        function: Callable[..., Any],
        output_type: pa.DataType,
        policy: RowPolicy,
        guard: CallGuard | None = None,
    ) -> None:
        self._name = name
        self._kind = kind
        self._function = function
        self._type = output_type
        self._policy = policy
        self._guard = guard
        self._positions: Any = None

    def apply(self, batch: pa.RecordBatch, selected: bytes | None) -> tuple[pa.Array, list[SkippedRow]]:
        """Return one value a row of ``batch``, null where ``selected`` (a byte a row) is 0, and the rows skipped."""
        self._positions = None
        if selected is None:
            return self._call(batch), self._policy.take_skipped()
        mask = np.frombuffer(selected, dtype=np.uint8).astype(bool)
        rows = np.flatnonzero(mask)
        if len(rows) == 0:
            return pa.nulls(len(mask), self._type), []
        self._positions = rows
        try:
            computed = self._call(batch.take(pa.array(rows)))
        except Exception as error:
            if hasattr(error, "leman_row"):
                error.leman_row = int(rows[error.leman_row])
            raise
        positions = np.cumsum(mask) - 1
        skipped = [(int(rows[row]), kind, text, trace, n) for row, kind, text, trace, n in self._policy.take_skipped()]
        return computed.take(pa.array(positions, mask=~mask)), skipped

    def _call(self, batch: pa.RecordBatch) -> pa.Array:
        if not self._policy.decides and self._guard is None:
            return self._call_part(batch, 0)
        parts = self._policy.apply_to_batch(
            batch.num_rows,
            lambda first, rows: self._call_part(batch.slice(first, rows), first),
            lambda rows: pa.nulls(rows, self._type),
        )
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    def _call_part(self, batch: pa.RecordBatch, first: int) -> pa.Array:
        if self._guard is None:
            result = self._function(batch) if self._kind == "record_batch" else self._function(*batch.columns)
            return self._checked(result, batch.num_rows, first)
        try:
            result = self._guarded(batch, first, self._guard)
        except CallInterrupted:
            self._guard.end()  # It may have come between the call's end and its being told.
            raise FunctionTimeoutError(f"the call on {batch.num_rows} row(s) {self._guard.complaint()}") from None
        return self._checked(result, batch.num_rows, first)

    def _guarded(self, batch: pa.RecordBatch, first: int, guard: CallGuard) -> Any:
        """Call the function on rows of the batch in hand, known to the guard by where they lie in it."""
        last = first + batch.num_rows - 1
        if self._positions is not None:
            first, last = int(self._positions[first]), int(self._positions[last])
        guard.begin(first, last - first + 1)
        try:
            return self._function(batch) if self._kind == "record_batch" else self._function(*batch.columns)
        finally:
            guard.end()

    def _checked(self, result: Any, rows: int, first: int) -> pa.Array:
        try:
            return self._checked_result(result, rows)
        except _WrongValueError as error:
            error.leman_row += first
            raise

    def _checked_result(self, result: Any, rows: int) -> pa.Array:
        if isinstance(result, pa.ChunkedArray):
            result = result.combine_chunks()
        elif isinstance(result, pa.RecordBatch):
            result = self._from_batch(result)
        elif isinstance(result, Mapping) and pa.types.is_struct(self._type):
            result = self._from_columns(dict(result))
        elif _is_data_frame(result):
            result = self._from_data_frame(result)
        elif isinstance(result, (pa.Scalar, str, bytes)) or not hasattr(result, "__len__"):
            raise self._wrong(f"returned {type(result).__name__} {_short(result)}", f"a pyarrow.Array of {rows} values")
        if len(result) != rows:
            raise self._wrong(f"returned {len(result)} values", f"{rows}, one for each row of the batch")
        result = self._checked_values(result)
        if result.offset != 0 or _is_small_part(result):
            result = pa.concat_arrays([result])  # A slice of a large array would be written as a page of its own.
        return result

    def _checked_values(self, values: Any) -> pa.Array:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if not isinstance(values, pa.Array):
            values = self._convert(values)
        return values if values.type == self._type else self._cast(values)

    def _from_batch(self, result: pa.RecordBatch) -> pa.Array:
        if pa.types.is_struct(self._type):
            return self._from_columns(dict(zip(result.schema.names, result.columns, strict=True)))
        if result.num_columns == 1:
            return result.column(0)
        raise self._wrong(f"returned a RecordBatch of {result.num_columns} columns", "one column")

    def _from_data_frame(self, result: Any) -> Any:
        names = list(result.columns)
        if pa.types.is_struct(self._type):
            return self._from_columns({str(name): result[name] for name in names})
        if len(names) == 1:
            return result[names[0]]
        raise self._wrong(f"returned a DataFrame of {len(names)} columns", "one column")

    def _from_columns(self, columns: dict[str, Any]) -> pa.Array:
        fields = [self._type.field(i) for i in range(self._type.num_fields)]
        if columns.keys() != {field.name for field in fields}:
            raise self._wrong(f"returned columns {list(columns)!r}", f"{[field.name for field in fields]!r}")
        arrays = [
            BatchFunction(self._name, self._kind, self._function, field.type, self._policy)._checked_values(
                columns[field.name]
            )
            for field in fields
        ]
        if len({len(array) for array in arrays}) > 1:
            lengths = {field.name: len(array) for field, array in zip(fields, arrays, strict=True)}
            raise self._wrong(f"returned columns of different lengths, {lengths!r}", "one value a row in each")
        return pa.StructArray.from_arrays(arrays, fields=fields)

    def _convert(self, result: Any) -> pa.Array:
        try:
            if isinstance(result, np.ndarray) and result.ndim == 2 and pa.types.is_fixed_size_list(self._type):
                size = self._type.list_size
                if result.shape[1] != size:
                    raise self._wrong(f"returned rows of {result.shape[1]} values", f"{size} values a row")
                flat = pa.array(np.ascontiguousarray(result).reshape(-1), type=self._type.value_type)
                return pa.FixedSizeListArray.from_arrays(flat, type=self._type)
            return pa.array(result, type=self._type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError) as error:
            self._raise_for_value(result, lambda values: pa.array(values, type=self._type), error)
            raise self._wrong(
                f"returned a {type(result).__name__} that does not fit: {_reason(error)}", str(self._type)
            ) from error

    def _raise_for_value(self, values: Any, convert: Callable[[Any], object], why: BaseException) -> None:
        """Raise an error that names the first value that ``convert`` refuses; return where none is refused alone."""

        def fits(part: Any) -> bool:
            try:
                convert(part)
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                return False
            return True

        start, end = 0, len(values)  # Of the values from start to end the first one that does not fit is looked for.
        while end - start > 1:
            middle = (start + end) // 2
            start, end = (middle, end) if fits(values[start:middle]) else (start, middle)
        if end <= start or fits(values[start:end]):
            return
        value = values[start].as_py() if isinstance(values, pa.Array) else values[start]
        message = (
            f"function {self._name!r} returned {_short(value)} ({type(value).__name__}) for a row: {_reason(why)}; "
            f"expected {self._type}"
        )
        raise _WrongValueError(message, start) from why

    def _cast(self, result: pa.Array) -> pa.Array:
        lossy = pa.types.is_floating(result.type) and pa.types.is_integer(self._type)
        # Arrow would parse "12" as a number and print 12 as a text.
        parsing = _is_text(result.type) != _is_text(self._type) and not pa.types.is_null(result.type)
        if lossy or parsing:
            raise self._wrong(f"returned an array of type {result.type}", f"type {self._type}; convert it yourself")
        try:
            return result.cast(self._type, safe=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            if isinstance(error, pa.ArrowInvalid):
                self._raise_for_value(result, lambda values: values.cast(self._type, safe=True), error)
            raise self._wrong(
                f"returned an array of type {result.type} ({_reason(error)})", f"type {self._type}"
            ) from error

    def _wrong(self, what: str, expected: str) -> HostError:
        return HostError("user function", f"function {self._name!r} {what}; expected {expected}")


def merge(selected: bytes, computed: pa.Array, carried: pa.Array) -> pa.Array:
    """Row by row: ``computed`` where ``selected`` is not 0, else ``carried``."""
    mask = np.frombuffer(selected, dtype=np.uint8).astype(bool)
    if carried.type != computed.type:
        carried = carried.cast(computed.type)
    try:
        return pc.if_else(pa.array(mask), computed, carried)
    except pa.ArrowNotImplementedError:
        rows = len(mask)
        positions = np.where(mask, np.arange(rows), np.arange(rows) + rows)
        return pa.concat_arrays([computed, carried]).take(pa.array(positions))


def _is_text(data_type: pa.DataType) -> bool:
    if isinstance(data_type, pa.BaseExtensionType):  # JSON is stored as a text.
        data_type = data_type.storage_type
    return pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type)


def _is_data_frame(value: object) -> bool:
    cls = type(value)
    return cls.__name__ == "DataFrame" and cls.__module__.split(".")[0] in ("pandas", "polars")


def _is_small_part(array: pa.Array) -> bool:
    return array.get_total_buffer_size() > 2 * array.nbytes + 4096


class BlobBatchFunction(BatchFunction):
    """One that fills a blob column."""

    def apply(self, batch: pa.RecordBatch, selected: bytes | None) -> tuple[pa.Array, list[SkippedRow]]:
        """Return results as ``blob_outputs`` describes them; see :meth:`BatchFunction.apply`."""
        values, skipped = super().apply(batch, selected)
        return results_of(values), skipped


def _reason(error: BaseException) -> str:
    text = message_of(error)  # pyarrow's may hold the whole value.
    return text if len(text) <= 2 * _SHOWN else text[: 2 * _SHOWN] + "…"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        return "<repr() failed>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
