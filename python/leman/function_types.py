"""From Python annotations to Arrow types, without importing pyarrow before a type is asked for."""

from __future__ import annotations

import builtins
import collections.abc
import dataclasses
import datetime
import decimal
import functools
import inspect
import io
import sys
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BY_CLASS: dict[object, str] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    bytes: "binary",
    bytearray: "binary",
    memoryview: "binary",
    datetime.datetime: "timestamp",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "duration",
    decimal.Decimal: "decimal",
    dict: "mapping",
    collections.abc.Mapping: "mapping",
    list: "list",
    tuple: "list",
    collections.abc.Sequence: "list",
    None: "null",
    type(None): "null",
}
_BY_NUMPY_NAME = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: name for name in ("float16", "float32", "float64")},
    "bool": "bool",
    "bool_": "bool",
    "longlong": "int64",
    "ulonglong": "uint64",
    "str_": "string",
    "bytes_": "binary",
    "ndarray": "ndarray",
    "datetime64": "timestamp",
    "timedelta64": "duration",
}
_COLUMNS_HOME = f"{__package__}.unpacked_function"
_BATCH_CLASSES = {"Array": "pa.Array", "RecordBatch": "pa.RecordBatch", "ChunkedArray": "pa.ChunkedArray"}
#: Of pandas, polars and pyarrow: no function is called with one, but a batch becomes one.
_FRAME_CLASSES = ("DataFrame", "LazyFrame", "Series", "Table")
_INTEGERS = frozenset(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"))
_FLOATS = frozenset(("float16", "float32", "float64"))
# What cannot become an output type by itself, and what to write instead.
_ADVICE = {
    "decimal": "data_type=pa.decimal128(precision, scale))",
    "ndarray": "data_type=pa.list_(pa.float32(), 384)), item type and length, or data_type=pa.list_(pa.float32())",
    "mapping": 'data_type=pa.struct([("label", pa.string()), ("score", pa.float32())]))',
    "list": "data_type=pa.list_(pa.string())), or annotate the items: list[str]",
    "tuple": 'data_type=pa.struct([("label", pa.string()), ("score", pa.float32())])), or annotate a NamedTuple',
    "null": "data_type=pa.int64()), or whatever type the column has",
}


@dataclasses.dataclass(frozen=True)
class AnnotatedType:
    """What an annotation says: ``name`` of a type, ``item`` of a list, ``fields`` of a struct, ``text`` for messages.

    ``takes_none`` is whether a null may be passed: not where the annotation names a type and no ``None``. ``arrow`` is
    the type in ``Annotated[float, pa.float32()]``.
    """

    name: str
    text: str
    item: AnnotatedType | None = None
    fields: tuple[tuple[str, AnnotatedType], ...] = ()
    takes_none: bool = False
    arrow: pa.DataType | None = None

    @property
    def can_be_output(self) -> bool:
        """Whether an Arrow type follows from the annotation alone."""
        if self.arrow is not None:
            return True
        if self.name in ("list", "ndarray"):
            return self.item is not None and self.item.can_be_output
        if self.name in ("struct", "columns"):
            return bool(self.fields) and all(field.can_be_output for _, field in self.fields)
        return (
            self.name not in _ADVICE and self.name not in ("any", "frame") and self.name not in _BATCH_CLASSES.values()
        )

    @property
    def advice(self) -> str:
        """What to write where no Arrow type follows from the annotation: what comes after ``@leman.udf(``."""
        deepest = self
        while deepest.item is not None:
            deepest = deepest.item
        if deepest.name in ("struct", "columns"):
            open_fields = [name for name, field in deepest.fields if not field.can_be_output]
            return f'data_type=pa.struct([("{open_fields[0] if open_fields else "label"}", pa.string()), …]))'
        if deepest.name == "list" and deepest.text.startswith("tuple["):
            return _ADVICE["tuple"]
        return _ADVICE.get(deepest.name, "data_type=pa.float32()), with the type of one value of the column")


def annotation_text(annotation: object) -> str:
    """Return an annotation as its author would write it."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def read_annotation(annotation: Any) -> AnnotatedType:
    """Translate one annotation; what is not known becomes the name ``any``."""
    text = annotation_text(annotation)
    if isinstance(annotation, str):
        # A name that could not be resolved (imported under TYPE_CHECKING, for instance): go by the text.
        tail = annotation.replace(" ", "").rsplit(".", 1)
        if len(tail) == 2 and tail[0] in ("pa", "pyarrow") and tail[1] in _BATCH_CLASSES:
            return AnnotatedType(_BATCH_CLASSES[tail[1]], text)
        if len(tail) == 2 and tail[0] in ("pd", "pl", "pandas", "polars") and tail[1] in _FRAME_CLASSES:
            return AnnotatedType("frame", text, takes_none=True)
        return AnnotatedType("any", text, takes_none=True)
    origin = typing.get_origin(annotation)
    if _is_columns(origin):
        fields = _struct_fields(typing.get_args(annotation)[0])
        return AnnotatedType("columns" if fields else "any", text, fields=fields or ())
    if origin is typing.Annotated:
        described, *notes = typing.get_args(annotation)
        return dataclasses.replace(read_annotation(described), text=text, arrow=_arrow_type_in(notes))
    if origin in (typing.Union, types.UnionType):
        members = [read_annotation(entry) for entry in typing.get_args(annotation) if entry is not type(None)]
        known = members[0] if len(members) == 1 else AnnotatedType("any", text)
        has_none = len(members) < len(typing.get_args(annotation))
        return dataclasses.replace(known, text=text, takes_none=has_none or any(m.takes_none for m in members))
    if origin is typing.Literal:
        kinds = {type(entry) for entry in typing.get_args(annotation)}
        known = read_annotation(kinds.pop()) if len(kinds) == 1 else AnnotatedType("any", text)
        return dataclasses.replace(known, text=text, takes_none=None in typing.get_args(annotation))
    fields = _struct_fields(annotation)
    if fields is not None:
        return AnnotatedType("struct", text, fields=fields)
    name = _class_name(origin or annotation)
    # Anything may be None; a file is given for a blob, and a null one has none.
    takes_none = name == "null" or (name == "any" and not _is_file(origin or annotation))
    return AnnotatedType(name, text, _item(origin, annotation), takes_none=takes_none)


def _arrow_type_in(notes: list[Any]) -> pa.DataType | None:
    pyarrow = sys.modules.get("pyarrow")
    return next((note for note in notes if pyarrow is not None and isinstance(note, pyarrow.DataType)), None)


def _is_file(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, (io.IOBase, typing.IO))


def _is_columns(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "Columns" and getattr(origin, "__module__", "") == _COLUMNS_HOME


def _struct_fields(cls: Any) -> tuple[tuple[str, AnnotatedType], ...] | None:
    """Return the fields of a dataclass, NamedTuple or TypedDict in order, and None for anything else."""
    if not isinstance(cls, type):
        return None
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    elif issubclass(cls, tuple) and isinstance(of_tuple := getattr(cls, "_fields", None), tuple):
        names = list(of_tuple)
    elif typing.is_typeddict(cls):
        names = list(cls.__annotations__)
    else:
        return None
    hints = _field_hints(cls)
    anything = AnnotatedType("any", "nothing", takes_none=True)
    return tuple((name, read_annotation(hints[name]) if name in hints else anything) for name in names)


def _field_hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:  # A name under TYPE_CHECKING, or of a function's own scope: the other fields may do.
        hints = dict(getattr(cls, "__annotations__", {}))
    scope = dict(vars(sys.modules.get(cls.__module__, builtins)))
    for name, entry in hints.items():
        text = entry.__forward_arg__ if isinstance(entry, typing.ForwardRef) else entry
        if isinstance(text, str):
            try:
                hints[name] = eval(text, {"__builtins__": builtins}, scope)
            except Exception:
                hints[name] = text
    return hints


def _class_name(cls: Any) -> str:
    try:
        if cls in _BY_CLASS:
            return _BY_CLASS[cls]
    except TypeError:
        return "any"
    module = getattr(cls, "__module__", None) or ""
    name = getattr(cls, "__name__", "")
    if module == "numpy" and name in _BY_NUMPY_NAME:
        return _BY_NUMPY_NAME[name]
    if module.split(".")[0] == "pyarrow" and isinstance(cls, type):
        for base in cls.__mro__:
            if base.__name__ in _BATCH_CLASSES:
                return _BATCH_CLASSES[base.__name__]
    if module.split(".")[0] in ("pyarrow", "pandas", "polars") and name in _FRAME_CLASSES:
        return "frame"
    return "any"


def _item(origin: Any, annotation: Any) -> AnnotatedType | None:
    arguments = typing.get_args(annotation)
    if not arguments or origin is None:
        return None
    name = _class_name(origin)
    if name == "list" and origin is not tuple and len(arguments) == 1:
        return read_annotation(arguments[0])
    if name == "list" and origin is tuple:
        homogeneous = len(arguments) == 2 and arguments[1] is Ellipsis
        return read_annotation(arguments[0]) if homogeneous else None
    if name == "ndarray" and len(arguments) == 2:
        # numpy.typing.NDArray[np.float32] is ndarray[shape, dtype[np.float32]].
        dtype = typing.get_args(arguments[1])
        return read_annotation(dtype[0]) if dtype else None
    return None


def resolve_annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations with strings evaluated where their names can be found.

    A string whose names cannot be found stays a string; that happens with imports under ``TYPE_CHECKING``.
    """
    while isinstance(function, functools.partial):
        function = function.func
    raw = dict(getattr(function, "__annotations__", {}))
    if not any(isinstance(entry, str) for entry in raw.values()):
        return raw
    scope = dict(getattr(function, "__globals__", None) or {})
    closure = getattr(function, "__closure__", None) or ()
    for name, cell in zip(function.__code__.co_freevars, closure, strict=True):
        try:
            scope[name] = cell.cell_contents
        except ValueError:
            continue
    for name, entry in raw.items():
        if isinstance(entry, str):
            try:
                # The strings are the user's own source, from the function that is about to be run.
                raw[name] = eval(entry, {"__builtins__": builtins}, scope)
            except Exception:
                continue
    return raw


def to_arrow(annotated: AnnotatedType) -> pa.DataType:
    """Return the Arrow type of an annotation for which ``can_be_output`` is true."""
    import pyarrow as pa

    if annotated.arrow is not None:
        return annotated.arrow
    if annotated.name in ("list", "ndarray"):
        assert annotated.item is not None
        return pa.list_(to_arrow(annotated.item))
    if annotated.name in ("struct", "columns"):
        return pa.struct([pa.field(name, to_arrow(field)) for name, field in annotated.fields])
    units = {
        "bool": pa.bool_(),
        "string": pa.string(),
        "binary": pa.binary(),
        "timestamp": pa.timestamp("us"),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "duration": pa.duration("us"),
    }
    return units[annotated.name] if annotated.name in units else pa.type_for_alias(annotated.name)


def accepts(annotated: AnnotatedType, column: pa.DataType) -> bool:
    """Say whether values of a column's type fit an argument's annotation.

    An integer column fits ``float``, as in Python; a float column does not fit ``int``.
    """
    from pyarrow import types as is_type

    if is_type.is_dictionary(column):
        column = column.value_type
    if is_type.is_null(column):
        return True
    name = annotated.name
    is_list = is_type.is_list(column) or is_type.is_large_list(column) or is_type.is_fixed_size_list(column)
    if name == "list":
        return bool(is_list) and (annotated.item is None or accepts(annotated.item, column.value_type))
    if name == "ndarray":
        return bool(is_list)
    if name in _INTEGERS:
        return bool(is_type.is_integer(column) or is_type.is_boolean(column))
    if name in _FLOATS:
        return bool(is_type.is_floating(column) or is_type.is_integer(column) or is_type.is_boolean(column))
    rules: dict[str, Callable[[Any], bool]] = {
        "bool": is_type.is_boolean,
        "string": lambda t: is_type.is_string(t) or is_type.is_large_string(t) or is_type.is_string_view(t),
        "binary": lambda t: (
            is_type.is_binary(t)
            or is_type.is_large_binary(t)
            or is_type.is_fixed_size_binary(t)
            or is_type.is_binary_view(t)
        ),
        "timestamp": is_type.is_timestamp,
        "date": is_type.is_date,
        "time": is_type.is_time,
        "duration": is_type.is_duration,
        "decimal": is_type.is_decimal,
        "mapping": lambda t: is_type.is_struct(t) or is_type.is_map(t),
    }
    rule = rules.get(name)
    return True if rule is None else bool(rule(column))


def check_data_type(value: object) -> pa.DataType | None:
    """Return ``data_type=`` if it is an Arrow type.

    Raises
    ------
    TypeError
        Where it is something else; the message says what to write.
    """
    if value is None:
        return None
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(value, pyarrow.DataType):
        return value
    hint = ""
    annotated = read_annotation(value) if isinstance(value, type) else None
    if annotated is not None and annotated.can_be_output:
        hint = f"; for {annotated.text} write data_type=pa.{_arrow_constructor(annotated.name)}"
    elif isinstance(value, str):
        hint = "; write it with pyarrow, e.g. data_type=pa.float32()"
    elif pyarrow is not None and isinstance(value, pyarrow.Field):
        hint = "; write field.type, and put metadata into field_metadata="
    raise TypeError(f"data_type={value!r}: expected a pyarrow.DataType, got {type(value).__name__}{hint}")


def _arrow_constructor(name: str) -> str:
    arguments = {"timestamp": "timestamp('us')", "time": "time64('us')", "duration": "duration('us')"}
    return arguments.get(name, {"bool": "bool_()", "date": "date32()"}.get(name, f"{name}()"))
