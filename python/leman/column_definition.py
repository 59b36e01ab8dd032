"""Gives columns their functions: what add_columns and alter_columns do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from . import argument_checks as check
from . import function_registry
from .blob_column import blob_column, makes_blobs
from .blob_inputs import is_blob
from .column_chain import check_no_cycle
from .column_groups import group_name, group_of, group_type, new_parts, siblings
from .column_metadata import PREFIX, ColumnFunction, read_column_function
from .function_resolution import column_function
from .function_signature import RECORD_BATCH
from .input_columns import check_output_type, no_such_column, resolve_input_columns
from .row_filter import check_expression
from .stored_function import store_function
from .unpacked_function import UnpackedUDF, as_unpacked, struct_fields
from .user_function import UserFunction, UserFunctionClass, as_user_function

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

    from .table import Table

_DECLARE_ATTEMPTS = 10
_ALTER_KEYS = ("path", "udf", "input_columns", "name", "nullable", "data_type", "rename")


@dataclasses.dataclass(frozen=True)
class _Binding:
    columns: tuple[str, ...]
    function: UserFunction
    input_columns: tuple[str, ...] | None
    unpacked: bool = False


def add_columns(table: Table, transforms: Any) -> None:
    """Declare columns; see :meth:`leman.Table.add_columns`."""
    dataset = table.writable_dataset("add_columns")
    if _are_functions(transforms):
        listed = transforms if isinstance(transforms, (list, tuple)) else [transforms]
        _add_functions(table, dataset, [_unpacked_binding(dataset.schema, as_unpacked(entry)) for entry in listed])
        return
    if not isinstance(transforms, Mapping):
        _add_fields(dataset, transforms)
        return
    if not transforms:
        raise ValueError("add_columns({}): expected at least one column")
    expressions: dict[str, str] = {}
    bindings: list[_Binding] = []
    for column, value in transforms.items():
        _check_new_column(column, dataset.schema)
        if isinstance(value, str):
            expressions[column] = check.text(f"SQL expression of column {column!r}", value)
            check_expression(dataset, column, value)
        else:
            bindings.append(_binding(dataset.schema, column, value))
    _add_functions(table, dataset, bindings, expressions)


def _add_functions(
    table: Table, dataset: lance.LanceDataset, bindings: list[_Binding], expressions: dict[str, str] | None = None
) -> None:
    names = [column for binding in bindings for column in binding.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"add_columns(): column {twice[0]!r} would be added twice; give one function another prefix")
    fields = [field for binding in bindings for field in _function_fields(table, binding)]
    # An expression can still be refused by Lance; then nothing was added.
    if expressions:
        dataset.add_columns(expressions)
    if fields:
        import pyarrow as pa

        _declare(dataset, pa.schema(fields))
    for binding in bindings:
        for column in binding.columns:
            function_registry.remember(table.uri, column, binding.function)


def _declare(dataset: lance.LanceDataset, schema: pa.Schema) -> None:
    """Add null columns, again where another writer's commit came first, such as a compaction."""
    for attempt in range(_DECLARE_ATTEMPTS):
        try:
            dataset.add_columns(schema)
            return
        except OSError as error:
            if "retryable commit conflict" not in str(error).lower() or attempt + 1 == _DECLARE_ATTEMPTS:
                raise
            dataset.checkout_latest()


def _are_functions(transforms: object) -> bool:
    kinds = (UserFunction, UserFunctionClass, UnpackedUDF)
    if isinstance(transforms, (list, tuple)):
        return len(transforms) > 0 and all(isinstance(entry, kinds) for entry in transforms)
    return isinstance(transforms, kinds)


def _unpacked_binding(schema: pa.Schema, unpacked: UnpackedUDF) -> _Binding:
    columns = tuple(unpacked.columns())
    for column in columns:
        _check_new_column(column, schema)
    inputs = None if unpacked.input_columns is None else tuple(unpacked.input_columns)
    recorded = _recorded_inputs(schema, columns, unpacked.function, inputs)
    return _Binding(columns, unpacked.function, recorded, unpacked=True)


def _add_fields(dataset: lance.LanceDataset, fields: Any) -> None:
    import pyarrow as pa

    listed = fields if isinstance(fields, (list, pa.Schema)) else [fields]
    if not all(isinstance(field, pa.Field) for field in listed):
        raise TypeError(
            f"add_columns({fields!r}): expected {{'column': udf}}, {{'column': (udf, ['input', …])}}, "
            "{'column': 'SQL expression'}, a UDF that fills several columns, or pyarrow fields"
        )
    dataset.add_columns(fields)


def _check_new_column(column: object, schema: pa.Schema) -> None:
    if not isinstance(column, str) or not column:
        raise TypeError(f"column name {column!r}: expected a str with something in it")
    if column in schema.names:
        raise ValueError(
            f"column {column!r} exists already; alter_columns({{'path': {column!r}, 'udf': …}}) gives it another "
            "function"
        )
    if column.startswith("_row") or any(letter in column for letter in "./\\\0`"):
        raise ValueError(
            f"column name {column!r}: expected a name without '.', '/', '\\' and '`' that does not begin with '_row'"
        )


def _binding(schema: pa.Schema, column: str, value: object) -> _Binding:
    columns: tuple[str, ...] | None = None
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise TypeError(f"column {column!r}: expected (udf, ['input', …]), got {len(value)} values")
        columns = check.column_paths(f"input columns of {column!r}", value[1])
        value = value[0]
    if not isinstance(value, (UserFunction, UserFunctionClass)) and not callable(value):
        raise TypeError(
            f"column {column!r}: expected a UDF, (udf, ['input', …]) or an SQL expression, got {type(value).__name__}"
        )
    function = as_user_function(f"column {column!r}", value)
    if function.fills_columns:
        raise TypeError(
            f"column {column!r}: function {function.name!r} fills several columns and names them itself; write "
            "add_columns(udf), or add_columns(leman.UnpackedUDF(udf, prefix=…, input_columns=[…]))"
        )
    return _Binding((column,), function, _recorded_inputs(schema, (column,), function, columns))


def _recorded_inputs(
    schema: pa.Schema, filled: tuple[str, ...], function: UserFunction, columns: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    resolved = resolve_input_columns(schema, filled, function, columns)
    # The whole row is whatever columns the table has when the job runs.
    reads_whole_row = function.kind == RECORD_BATCH and columns is None and function.input_columns is None
    return None if reads_whole_row else resolved


def _function_fields(table: Table, binding: _Binding) -> list[pa.Field]:
    import pyarrow as pa

    function = binding.function
    described = store_function(table.files, function, binding.input_columns, done_version=function.version)
    metadata = {**function.field_metadata, **described.to_metadata()}
    if makes_blobs(function):
        if binding.unpacked:
            raise ValueError(
                f"function {function.name!r} fills several columns, and field_metadata says 'lance-encoding:blob': "
                "only a function of one column can fill a blob column"
            )
        version = table.to_lance().data_storage_version
        field = blob_column(binding.columns[0], function, version)
        return [field.with_metadata({**(field.metadata or {}), **described.to_metadata()})]
    if not binding.unpacked:
        return [pa.field(binding.columns[0], function.data_type, metadata=metadata)]
    names = struct_fields(function)
    return [
        pa.field(column, function.data_type.field(name).type, metadata={**metadata, **part})
        for column, name, part in zip(binding.columns, names, new_parts(names), strict=True)
    ]


def alter_columns(table: Table, alterations: tuple[Any, ...]) -> None:
    """Change columns or their functions; see :meth:`leman.Table.alter_columns`."""
    dataset = table.writable_dataset("alter_columns")
    if not alterations:
        raise TypeError("alter_columns() needs at least one dict, e.g. {'path': 'column', 'udf': function}")
    schema = dataset.schema
    for alteration in alterations:
        _check_alteration(schema, alteration)
    rebinds = [entry for entry in alterations if "udf" in entry or "input_columns" in entry]
    updates: dict[str, tuple[UserFunction, dict[str, str | None]]] = {}
    for entry in rebinds:
        rebound = _rebound_metadata(table, schema, entry)
        updates.update(dict.fromkeys(group_of(schema, entry["path"]), rebound))
    structural = [entry for entry in alterations if entry not in rebinds]
    if structural:
        _alter_structure(dataset, schema, structural)
    if updates:
        dataset.update_field_metadata({path: metadata for path, (_, metadata) in updates.items()})
    for path, (function, _) in updates.items():
        function_registry.remember(table.uri, path, function)


def _check_alteration(schema: pa.Schema, alteration: object) -> None:
    if not isinstance(alteration, Mapping):
        raise TypeError(f"alter_columns({alteration!r}): expected a dict such as {{'path': 'column', 'udf': function}}")
    for key in alteration:
        if key not in _ALTER_KEYS:
            raise TypeError(f"alter_columns() got an unexpected key {key!r}.{check.closest(str(key), _ALTER_KEYS)}")
    path = check.text("path", alteration.get("path"))
    rebinds = "udf" in alteration or "input_columns" in alteration
    if rebinds and path not in schema.names:
        raise no_such_column("path", path, schema, "the table")
    if rebinds and len(alteration.keys() - {"path", "udf", "input_columns"}) > 0:
        raise ValueError(f"alter_columns({dict(alteration)!r}): change the function and the column itself in two dicts")


def _rebound_metadata(
    table: Table, schema: pa.Schema, alteration: Mapping[str, Any]
) -> tuple[UserFunction, dict[str, str | None]]:
    column: str = alteration["path"]
    field = schema.field(column)
    filled = group_of(schema, column)
    before = read_column_function(field)
    columns = None
    if alteration.get("input_columns") is not None:
        columns = check.column_paths("input_columns", alteration["input_columns"])
    if alteration.get("udf") is not None:
        function = as_user_function("udf", alteration["udf"])
    else:
        function = column_function(table, column, before)
    check_output_type(group_name(filled), group_type(schema, filled), function, field)
    recorded = _recorded_inputs(schema, filled, function, columns)
    check_no_cycle(schema, filled, recorded)
    described = store_function(
        table.files, function, recorded, done_version=_kept_done_version(before, function, recorded)
    )
    own = {} if is_blob(field) else function.field_metadata  # What makes it a blob column stays as it is.
    metadata: dict[str, str | None] = {**own, **described.to_metadata()}
    if before is not None and before.done_version is not None and described.done_version is None:
        metadata[PREFIX + "done_version"] = None
    return function, metadata


def _kept_done_version(
    before: ColumnFunction | None, function: UserFunction, input_columns: tuple[str, ...] | None
) -> str | None:
    if before is None:
        return None
    # Same code over other columns: the values there are not this function's, though the version says so.
    if before.version == function.version and before.input_columns != input_columns:
        return None
    return before.done_version


def _alter_structure(dataset: lance.LanceDataset, schema: pa.Schema, alterations: list[Mapping[str, Any]]) -> None:
    # pylance's annotation says one more level of iterables than it takes.
    dataset.alter_columns(*[cast(Any, _lance_alteration(entry)) for entry in alterations])
    # Lance drops a field's metadata when it changes its type.
    lost = {}
    for entry in alterations:
        if entry.get("data_type") is not None and entry["path"] in schema.names:
            metadata = schema.field(entry["path"]).metadata or {}
            name = entry.get("name") or entry.get("rename") or entry["path"]
            if metadata:
                lost[name] = {key.decode(): value.decode() for key, value in metadata.items()}
    if lost:
        dataset.update_field_metadata(lost)


def _lance_alteration(alteration: Mapping[str, Any]) -> dict[str, Any]:
    # lancedb says "rename" where Lance says "name".
    return {("name" if key == "rename" else key): value for key, value in alteration.items()}


def drop_columns(table: Table, columns: object) -> None:
    """Drop columns; see :meth:`leman.Table.drop_columns`."""
    paths = check.column_paths("columns", columns)
    dataset = table.writable_dataset("drop_columns")
    schema = dataset.schema
    dropped: set[str] = set()
    for path in paths:
        if path not in schema.names and "." not in path:
            raise no_such_column("columns", path, schema, "the table")
        dropped |= siblings(schema, path) if path in schema.names else {path}
    dataset.drop_columns(sorted(dropped))


def mark_done(dataset: lance.LanceDataset, columns: tuple[str, ...], version: str) -> None:
    """Record that the columns' files hold the values of a function version: called after a complete backfill.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The table at its latest version; it is moved on by at most one metadata-only commit.
    columns : tuple of str
        The columns; nothing is written for one that has no function or says so already.
    version : str
        The function version that every row was computed by.
    """
    key = PREFIX + "done_version"
    updates: dict[str, dict[str, str | None]] = {}
    for column in columns:
        metadata: dict[Any, Any] = dict(dataset.schema.field(column).metadata or {})
        if (PREFIX + "payload").encode() in metadata and metadata.get(key.encode()) != version.encode():
            updates[column] = {key: version}
    if updates:
        dataset.update_field_metadata(updates)
