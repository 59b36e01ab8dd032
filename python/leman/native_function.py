"""Functions of native libraries: ``leman.native_udf``. ABI: ``docs/formats/native_udf_abi.md``."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from .builtin_libraries import builtin_library, functions_of_system_libraries
from .function_options import OPTION_NAMES, checked_options
from .function_signature import NATIVE, Argument, FunctionSignature
from .user_function import UserFunction

if TYPE_CHECKING:
    import pyarrow as pa

_INSPECTION_TIMEOUT_S = 60.0
_SEARCH_VARIABLE = "LEMAN_NATIVE_PATH"
# Changes when a result of a built-in function changes.
_BUILTIN_VERSION = "builtin-1"
#: What a function says of itself; see :func:`describe_library`.
Description = dict[str, Any]


def native_udf(
    library: str | os.PathLike[str], function: str, /, *, params: Mapping[str, Any] | None = None, **options: Any
) -> NativeFunction:
    """Make a user-defined function of a function in a native library.

    The library is loaded by the workers, and by a process that asks what it offers; not by this one.

    Parameters
    ----------
    library : path
        A shared library that was built with ``leman/udf.h``. Workers on other machines look for it at the same path,
        then in the folders of ``LEMAN_NATIVE_PATH``; its content has to be the same.
    function : str
        The function's name in it.
    params : mapping, optional
        Parameters of the function, as JSON can hold them.
    **options
        Options of :func:`leman.udf` that a native function can have (``input_columns``, ``on_error``, ``num_cpus``,
        ``batch_size``, ``timeout``, …); every other name is a parameter of the function.

    Returns
    -------
    NativeFunction

    Raises
    ------
    FileNotFoundError
        Where there is no such library.
    TypeError, ValueError
        Where it is no library of UDFs, has no such function, or does not take the parameters.
    """
    if not isinstance(library, (str, os.PathLike)):
        raise TypeError(f"library={library!r}: expected the path of a shared library, got {type(library).__name__}")
    path = Path(os.fspath(library)).expanduser()
    name = check.text("function", function)
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "no such file"
        raise FileNotFoundError(f"library={check.shown(str(library))}: {what}; give the path of a shared library (.so)")
    return _made(path.resolve(), name, params, options, is_builtin=False)


def builtin_udf(function: str, /, *, params: Mapping[str, Any] | None = None, **options: Any) -> NativeFunction:
    """Make a user-defined function of one that comes with Leman; ``docs/builtin_functions.md`` lists them.

    Parameters
    ----------
    function : str
        Its name, e.g. ``"word_count"``.
    params, **options
        As of :func:`native_udf`.

    Returns
    -------
    NativeFunction

    Raises
    ------
    FileNotFoundError
        Where it needs a library of the system that was not there when Leman was built.
    TypeError, ValueError
        Where there is no such function, or it does not take the parameters.
    """
    name = check.text("function", function)
    try:
        return _made(builtin_library(name), name, params, options, is_builtin=True)
    except ValueError as error:
        if f"no function {name!r}" not in str(error):
            raise
        others = functions_of_system_libraries()
        known = [*(entry["name"] for entry in describe_library(builtin_library(""))), *others]
        raise ValueError(
            f"there is no built-in function {name!r}.{check.closest(name, known)} There are: {', '.join(known)}"
        ) from None


def _made(
    path: Path, name: str, params: Mapping[str, Any] | None, options: Mapping[str, Any], *, is_builtin: bool
) -> NativeFunction:
    for refused in ("data_type", "max_in_flight"):
        if refused in options:
            raise TypeError(
                f"native_udf() got {refused}=: a native function has none; pass it in "
                "params= if it is a parameter of the function"
            )
    if params is not None and not isinstance(params, Mapping):
        raise TypeError(f"params={params!r}: expected a dict of the function's parameters, got {type(params).__name__}")
    parameters = {key: value for key, value in options.items() if key not in OPTION_NAMES}
    parameters.update(params or {})
    given = {key: value for key, value in options.items() if key in OPTION_NAMES}
    return NativeFunction(path, name, _as_json(parameters), given, is_builtin=is_builtin)


class NativeFunction(UserFunction):
    """A function of a native library that fills a column; made by :func:`leman.native_udf`."""

    def __init__(
        self, library: Path, function: str, parameters: str, options: Mapping[str, Any], *, is_builtin: bool
    ) -> None:
        self.library = library
        self.is_builtin = is_builtin
        self.library_sha256 = hash_of(library)
        self.function = function
        self.parameters = parameters
        (described,) = describe_library(library, function, parameters)
        self.inputs: tuple[pa.Field, ...] = tuple(described["inputs"].type)
        checked = checked_options(options)
        arguments = tuple(Argument(field.name, False, None) for field in self.inputs)
        self._declared_version: str = _BUILTIN_VERSION if is_builtin else described["version"]
        self._target = native_udf  # what pickles and hashes look at; it is never called
        self._constructor_arguments = None
        self.take_options(
            checked.name or function,
            FunctionSignature(NATIVE, arguments, None),
            dataclasses.replace(checked, data_type=described["output"].type),
        )

    @property
    def version(self) -> str:
        """A hash of the library's content (or of the version that the function declares), name and parameters."""
        if self._version is None:
            code = self._declared_version or self.library_sha256
            text = json.dumps([code, self.function, self.parameters])
            self._version = "native-" + hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._version

    def input_refusal(self, argument: Argument, data_type: pa.DataType) -> str | None:
        """Say why a column cannot be passed, or None where it can."""
        declared = next(field for field in self.inputs if field.name == argument.name).type
        if _reads(declared, data_type):
            return None
        return f"takes {declared}; cast the column, or bind another one with input_columns=[…]"

    def local_library(self) -> str:
        """Return where the library lies on this machine.

        Raises
        ------
        FileNotFoundError
            Where there is no file with its content.
        """
        if self.is_builtin:
            return str(builtin_library(self.function))
        folders = [Path(entry) for entry in os.environ.get(_SEARCH_VARIABLE, "").split(os.pathsep) if entry]
        candidates = [self.library, *(folder / self.library.name for folder in folders)]
        found = [path for path in candidates if path.is_file()]
        for path in found:
            if hash_of(path) == self.library_sha256:
                return str(path)
        what = f"has another content ({', '.join(map(str, found))})" if found else "is not there"
        raise FileNotFoundError(
            f"the library {self.library} of function {self.name!r} {what}; expected the one with SHA-256 "
            f"{self.library_sha256[:16]}…: put it there or into a folder of {_SEARCH_VARIABLE}, or register the "
            "function anew with alter_columns"
        )

    def instantiate(self) -> Any:
        """Check that the library is here; the engine loads it."""
        self.local_library()
        return self._call_once

    def call_batch(self, columns: list[pa.Array]) -> pa.Array:
        """Call the function on whole columns, in this process.

        Raises
        ------
        NativeFunctionError
            Where the function fails on a row.
        """
        import pyarrow as pa

        from . import _engine

        for argument, field, column in zip(self.arguments, self.inputs, columns, strict=True):
            if not _reads(field.type, column.type):
                raise TypeError(f"{self.name}(): argument {argument!r} takes {field.type}, got {column.type}")
        inputs = pa.StructArray.from_arrays(columns, names=list(self.arguments))
        return _engine.call_native_function(self.local_library(), self.function, self.parameters, inputs)

    def _call_once(self, *args: Any, **named: Any) -> Any:
        import inspect

        import pyarrow as pa

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        # A library may call its arguments what no Python name can be.
        names = [field.name if field.name.isidentifier() else f"argument_{i}" for i, field in enumerate(self.inputs)]
        signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        try:
            bound = signature.bind(*args, **named)
        except TypeError as error:
            raise TypeError(f"{self.name}{signature}: {error}") from None
        columns = []
        for name, field in zip(names, self.inputs, strict=True):
            value = bound.arguments[name]
            try:
                columns.append(pa.array([value], type=field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise TypeError(
                    f"{self.name}{signature}: argument {name!r} takes {field.type}, got {value!r} ({error})"
                ) from None
        return self.call_batch(columns)[0].as_py()

    def leman_version_parts(self) -> object:
        """What the version of another function that calls this one depends on."""
        return self.version


def describe_library(library: Path, function: str | None = None, parameters: str = "{}") -> list[Description]:
    """Ask a library what it offers, in a process of its own.

    Returns
    -------
    list of dict
        ``name``, ``version``, ``summary``, ``shares_state``, ``inputs`` (a struct field) and ``output`` (a field) of
        each function, or of the one named. In the list of all, a function that does not take the parameters has
        ``refusal``, a message, instead of the last two.

    Raises
    ------
    ValueError
        Where it is no library of UDFs, or has no such function.
    """
    request = json.dumps({"library": str(library), "function": function, "parameters": parameters})
    command = [sys.executable, "-c", f"import {__name__} as native; native.print_description()"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    try:
        run = subprocess.run(
            command,
            input=request,
            capture_output=True,
            text=True,
            timeout=_INSPECTION_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"library={str(library)!r}: it did not answer within {_INSPECTION_TIMEOUT_S:g} s") from None
    try:
        answer = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (run.stderr.strip().splitlines() or ["no output"])[-1]
        raise ValueError(
            f"library={str(library)!r}: the process that loaded it ended with {run.returncode} ({last}); a library "
            "must do nothing when it is loaded"
        ) from None
    if "error" in answer:
        raise ValueError(answer["error"])
    return [_restored(entry) for entry in answer["functions"]]


def print_description() -> None:
    """Answer :func:`describe_library`: the request is on stdin, the answer the last line of stdout."""
    request = json.load(sys.stdin)
    import pyarrow as pa

    from . import _engine

    try:
        described = _engine.describe_native_library(request["library"], request["function"], request["parameters"])
    except (ValueError, RuntimeError) as error:
        print(json.dumps({"error": str(error) + _meant(request, str(error))}))
        return
    functions = []
    for entry in described:
        if "refusal" in entry:
            functions.append(entry)
            continue
        schema = pa.schema([entry.pop("inputs").with_name("inputs"), entry.pop("output").with_name("output")])
        functions.append({**entry, "schema": base64.b64encode(schema.serialize()).decode()})
    print(json.dumps({"functions": functions}))


def _meant(request: Mapping[str, Any], error: str) -> str:
    """Return what a function may have been meant that a library has not."""
    from . import _engine

    if f"has no function {request['function']!r}" not in error:
        return ""
    offered = _engine.describe_native_library(request["library"], None, request["parameters"])
    return "." + meant if (meant := check.closest(request["function"], [entry["name"] for entry in offered])) else ""


def _restored(entry: Description) -> Description:
    if "refusal" in entry:
        return entry
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(entry.pop("schema"))))
    return {**entry, "inputs": schema.field("inputs"), "output": schema.field("output")}


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _as_json(parameters: Mapping[str, Any]) -> str:
    try:
        return json.dumps(parameters, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"params={dict(parameters)!r}: expected values that JSON can hold: {error}") from None


def _reads(declared: pa.DataType, column: pa.DataType) -> bool:
    from pyarrow import types as is_type

    if declared == column:
        return True
    text = is_type.is_string(column) or is_type.is_large_string(column)
    if is_type.is_string(declared):
        return bool(text)
    if is_type.is_binary(declared):
        return bool(text or is_type.is_binary(column) or is_type.is_large_binary(column))
    if is_type.is_list(declared):
        is_list = is_type.is_list(column) or is_type.is_large_list(column) or is_type.is_fixed_size_list(column)
        return bool(is_list and column.value_type == declared.value_type)
    return False
