"""User-defined functions: the ``@leman.udf`` decorator and what it makes."""

from __future__ import annotations

import functools
import inspect
import pickle
import threading
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from .function_options import OPTION_NAMES, FunctionOptions, checked_options
from .function_payload import warn_if_large, what_cannot_be_pickled
from .function_signature import RECORD_BATCH, SCALAR, Argument, FunctionSignature, read_signature
from .function_types import AnnotatedType, accepts, to_arrow
from .function_version import code_version

if TYPE_CHECKING:
    import datetime

    import pyarrow as pa

    from .on_error import Matcher
    from .preview import Preview
    from .table import Table

_pickling = threading.local()
_DEFAULT_MAX_IN_FLIGHT = 64


class UserFunction:
    """A function that fills a column; made by :func:`udf`, and still callable like the plain function.

    Attributes
    ----------
    name : str
        For people; by default the function's own name.
    kind : {"scalar", "array", "record_batch", "native"}
        Called with the values of a row, one ``pyarrow.Array`` a column, or one ``pyarrow.RecordBatch``; or out of a
        native library.
    arguments : tuple of str
        Names of the arguments that columns are bound to, in order.
    input_columns : tuple of str or None
        Columns (dotted paths for struct fields) in argument order, where they differ from ``arguments``.
    options : FunctionOptions
        Everything else that the decorator was given; each option is an attribute here too.
    """

    def __init__(
        self,
        target: Callable[..., Any] | type,
        options: FunctionOptions,
        constructor_arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> None:
        written = target.func if isinstance(target, functools.partial) else target
        functools.update_wrapper(self, written, updated=())
        self._target = target
        self._constructor_arguments = constructor_arguments
        name = options.name or str(getattr(written, "__name__", ""))
        function = target.__call__ if isinstance(target, type) else target
        self.take_options(name, read_signature(name, function, is_method=isinstance(target, type)), options)
        self._check_output()
        self._check_async(target)

    def take_options(self, name: str, signature: FunctionSignature, options: FunctionOptions) -> None:
        """Set what every kind of function has."""
        self.options = options
        self.name: str = name
        self._signature = signature
        self.kind: str = signature.kind
        self.input_columns: tuple[str, ...] | None = options.input_columns
        self.num_cpus: float | None = options.num_cpus
        self.num_gpus: float | None = options.num_gpus
        self.memory: int | None = options.memory
        self.resources: Mapping[str, float] = options.resources
        self.label_selector: Mapping[str, str] = options.label_selector
        self.batch_size: int | None = options.batch_size
        self.checkpoint_size: int | None = options.checkpoint_size
        self.min_checkpoint_size: int | None = options.min_checkpoint_size
        self.max_checkpoint_size: int | None = options.max_checkpoint_size
        self.task_size: int | None = options.task_size
        self.timeout: float | None = options.timeout
        self.is_async: bool = self._signature.is_async
        self.max_in_flight: int = options.max_in_flight or _DEFAULT_MAX_IN_FLIGHT
        self.on_error: tuple[Matcher, ...] = options.on_error
        self.field_metadata: Mapping[str, str] = options.field_metadata
        self._data_type = options.data_type
        self._version = options.version
        self._local_instance: Callable[..., Any] | None = None
        if self.input_columns is not None:
            self.bind(self.input_columns)

    @property
    def data_type(self) -> pa.DataType:
        """Arrow type of one value of the column."""
        if self._data_type is None:
            assert self._signature.returns is not None
            self._data_type = to_arrow(self._signature.returns)
        return self._data_type

    @property
    def fills_columns(self) -> bool:
        """Whether the return annotation says a column for each field: ``leman.Columns[…]``."""
        returns = self._signature.returns
        return returns is not None and returns.name == "columns"

    @property
    def version(self) -> str:
        """The version given to the decorator, or a hash of the code; see ``docs/formats/column_metadata.md``."""
        # Computed late: helpers may be defined below the function in its module.
        if self._version is None:
            self._version = code_version(self._target, self._constructor_arguments)
        return self._version

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments that columns are bound to; ones with a default only as ``input_columns`` asks for."""
        named = self._signature.arguments
        if self.input_columns is not None and self.kind != RECORD_BATCH:
            return tuple(argument.name for argument in named[: len(self.input_columns)])
        return tuple(argument.name for argument in named if not argument.has_default)

    @property
    def ndarray_arguments(self) -> frozenset[str]:
        """Arguments annotated with ``numpy.ndarray``: a list value is passed as an array."""
        return frozenset(
            argument.name
            for argument in self._signature.arguments
            if argument.annotated is not None and argument.annotated.name == "ndarray"
        )

    def bind(self, columns: tuple[str, ...]) -> list[tuple[str, Argument]]:
        """Pair columns with the arguments that they are passed to.

        Raises
        ------
        ValueError
            Where there are too few or too many columns.
        """
        if self.kind == RECORD_BATCH:
            return []
        named = self._signature.arguments
        required = sum(not argument.has_default for argument in named)
        if not required <= len(columns) <= len(named):
            wanted = str(required) if required == len(named) else f"{required} to {len(named)}"
            raise ValueError(
                f"input_columns={list(columns)!r}: expected {wanted} columns for the arguments "
                f"{[argument.name for argument in named]!r} of function {self.name!r}, got {len(columns)}"
            )
        return list(zip(columns, named, strict=False))

    def input_refusal(self, argument: Argument, data_type: pa.DataType) -> str | None:
        """Say why values of a column's type cannot be passed as ``argument``, or None where they can."""
        annotated = argument.annotated
        if annotated is None or accepts(annotated, data_type):
            return None
        return f"is annotated {annotated.text!r}; change the annotation, or bind another column with input_columns=[…]"

    def instantiate(self) -> Callable[..., Any]:
        """Return the plain callable; a worker calls this once for each of its threads.

        For a class this makes the instance and calls its ``setup()`` where it has one.
        """
        if not isinstance(self._target, type):
            return self._target
        positional, keywords = self._constructor_arguments or ((), {})
        instance: Callable[..., Any] = self._target(*positional, **keywords)
        setup = getattr(instance, "setup", None)
        if callable(setup) and not inspect.iscoroutinefunction(setup):
            setup()  # An async one is awaited on the event loop that the calls run on.
        return instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function."""
        if self._local_instance is None:
            self._local_instance = self.instantiate()
        return self._local_instance(*args, **kwargs)

    def preview(
        self, table: Table, n: int = 10, *, where: str | None = None, input_columns: list[str] | None = None
    ) -> Preview:
        """Try the function on a few rows of a table, in this process; nothing is written.

        Parameters
        ----------
        table : Table
            Whose rows to read.
        n : int
            Rows to try: the first ones, or the first that ``where`` selects.
        where : str, optional
            SQL condition that selects the rows.
        input_columns : list of str, optional
            Columns for the arguments in order, as for ``backfill``.

        Returns
        -------
        Preview
            Inputs, outputs, errors and seconds of each row; printing it shows them as a table. A batch function is
            called once with all rows, and once a row where that fails. ``on_error`` is not applied: every error shows.

        Raises
        ------
        TypeError, ValueError
            Where an argument is wrong, or a column is missing or does not fit the function's annotation.
        """
        from .preview import preview_function

        return preview_function(self, table, n, where=where, input_columns=input_columns)

    def __repr__(self) -> str:
        return f"<leman.udf {self.name}({', '.join(a.name for a in self._signature.arguments)}) {self.kind}>"

    def leman_version_parts(self) -> object:
        """What the version of another function that calls this one depends on."""
        return self.options.version or (self._target, self._constructor_arguments)

    def _check_output(self) -> None:
        returns = self._signature.returns
        if self._data_type is not None:
            return
        if returns is not None and returns.name == "columns" and returns.can_be_output:
            return
        if self.kind != SCALAR:
            raise TypeError(
                f"function {self.name!r} returns a batch, so its annotations do not tell the column's type; "
                "write @leman.udf(data_type=pa.float32()), the type of one value"
            )
        if returns is None:
            raise TypeError(
                f"function {self.name!r} has no return annotation; write one ('-> int') or "
                "@leman.udf(data_type=pa.int64())"
            )
        if not returns.can_be_output:
            raise TypeError(
                f"function {self.name!r}: no Arrow type follows from its return annotation {returns.text!r}; "
                f"write @leman.udf({returns.advice}"
            )

    def _check_async(self, target: Callable[..., Any] | type) -> None:
        if self.is_async:
            return
        if self.options.max_in_flight is not None:
            raise ValueError(
                f"max_in_flight={self.options.max_in_flight}: only for async functions, and {self.name!r} is a plain "
                "def; write async def, or use intra_applier_concurrency (threads) of backfill"
            )
        if inspect.iscoroutinefunction(getattr(target, "setup", None)):
            raise TypeError(
                f"class {self.name!r} has an async setup(), but its __call__ is a plain def, so there is no event loop "
                "to run it on; make both async, or neither"
            )

    def __getstate__(self) -> dict[str, Any]:
        # A worker must see the version that the driver saw, and never an instance that was built here.
        return {**self.__dict__, "_version": self.version, "_local_instance": None}

    def __reduce_ex__(self, protocol: Any) -> Any:
        if getattr(_pickling, "inside", False):
            return object.__reduce_ex__(self, protocol)
        return restore, (pickle_function(self),)


def pickle_function(function: UserFunction) -> bytes:
    """Return a function as bytes that any process with the same installed packages can load.

    Code of ``__main__`` and of the user's own modules is inside by value.

    Raises
    ------
    TypeError
        Where something that the function refers to cannot be pickled.
    """
    import cloudpickle

    from .own_modules import pickled_by_value

    target, arguments = function._target, function._constructor_arguments
    with pickled_by_value():
        # Inside, a function that refers to itself must be reached through pickle's memo, not by another pickle.
        _pickling.inside = True
        try:
            payload = bytes(cloudpickle.dumps(function))
        except (TypeError, pickle.PicklingError, AttributeError, RecursionError) as error:
            culprit = what_cannot_be_pickled(target, arguments)
            raise TypeError(
                f"function {function.name!r} cannot be sent to worker processes: {culprit}{error}. Make files, locks, "
                "clients and models inside the function, or in setup() of a class (a module of your own that is used "
                "as a whole is sent as a whole; 'from module import name' takes along only that name)"
            ) from error
        finally:
            _pickling.inside = False
        warn_if_large(function.name, len(payload), target, arguments)
    return payload


def restore(payload: bytes) -> UserFunction:
    """Load what :func:`pickle_function` made; runs code, so only for bytes that are trusted."""
    function = pickle.loads(payload)
    if not isinstance(function, UserFunction):
        raise TypeError(f"expected a pickled leman.UserFunction, got {type(function).__name__}")
    return function


class UserFunctionClass:
    """A decorated class: calling it with constructor arguments makes the :class:`UserFunction`."""

    def __init__(self, cls: type, options: FunctionOptions) -> None:
        functools.update_wrapper(self, cls, updated=())
        self._class = cls
        self._options = options
        if "__call__" not in _own_names(cls):
            raise TypeError(
                f"class {cls.__name__} has no __call__ method; @leman.udf calls its instance for each value"
            )
        # Wrong types are found here, not at the first use.
        read_signature(options.name or cls.__name__, cls.__call__, is_method=True)

    def __call__(self, *args: Any, **kwargs: Any) -> UserFunction:
        """Make the user function; the instance itself is built later, in each worker."""
        constructor = vars(self._class).get("__init__") or self._class.__init__  # type: ignore[misc]
        if isinstance(constructor, types.FunctionType):
            try:
                inspect.signature(constructor).bind(None, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{self._class.__name__}(): {error}") from None
        elif args or kwargs:
            raise TypeError(f"{self._class.__name__}() takes no arguments, since the class has no __init__")
        return UserFunction(self._class, self._options, (args, dict(sorted(kwargs.items()))))

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._class,)

    def __repr__(self) -> str:
        return f"<leman.udf class {self._class.__name__}>"


def _own_names(cls: type) -> set[str]:
    return {
        name
        for base in cls.__mro__
        if base.__module__ not in ("builtins", "typing", "collections.abc")
        for name in vars(base)
    }


@overload
def udf(function: type, /) -> UserFunctionClass: ...  # type: ignore[overload-overlap]
@overload
def udf(function: Callable[..., Any], /) -> UserFunction: ...
@overload
def udf(
    function: None = None,
    /,
    *,
    data_type: pa.DataType | None = None,
    version: str | None = None,
    input_columns: list[str] | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    cuda: bool = False,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
    label_selector: Mapping[str, str] | None = None,
    batch_size: int | None = None,
    checkpoint_size: int | None = None,
    min_checkpoint_size: int | None = None,
    max_checkpoint_size: int | None = None,
    task_size: int | None = None,
    timeout: float | datetime.timedelta | None = None,
    max_in_flight: int | None = None,
    on_error: Matcher | list[Matcher] | tuple[Matcher, ...] | None = None,
    field_metadata: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Callable[[Any], Any]: ...
def udf(function: Any = None, /, **options: Any) -> Any:
    """Make a user-defined function of a function or a class with ``__call__``.

    Use it bare (``@leman.udf``) or with options (``@leman.udf(data_type=pa.float32())``).

    Parameters
    ----------
    data_type : pyarrow.DataType, optional
        Type of one value of the column; inferred from the return annotation of a scalar function where possible.
    version : str, optional
        Changes when results change; by default a hash of the code.
    input_columns : list of str, optional
        Columns (dotted paths for struct fields) in argument order; by default the argument names.
    num_cpus, num_gpus : float, optional
        Resources of one worker thread.
    cuda : bool
        The same as ``num_gpus=1``.
    memory : int, optional
        Bytes that a worker may use.
    resources : dict of str to float, optional
        Custom resources of one worker, on a cluster.
    label_selector : dict of str to str, optional
        Labels of the nodes that workers may run on, on a cluster: ``{"zone": "in(a,b)"}``.
    batch_size : int, optional
        Rows read at once; also fixes the rows of a checkpoint.
    checkpoint_size, min_checkpoint_size, max_checkpoint_size : int, optional
        Rows of a checkpoint: fixed, or bounds where Leman chooses.
    task_size : int, optional
        Rows of a task.
    timeout : float or timedelta, optional
        Seconds that one call may take; a longer one is interrupted and fails with ``FunctionTimeoutError``.
    max_in_flight : int, optional
        For ``async def``: rows that one thread works on at the same time; 64 by default.
    on_error : matcher or list of matchers, optional
        What to do when the function raises: ``Retry``, ``Skip``, ``Fail``; first match wins.
    field_metadata : dict of str to str, optional
        Metadata of the column.
    name : str, optional
        Shown to people; by default the function's name.

    Returns
    -------
    UserFunction, or for a class its factory, or with options a decorator

    Raises
    ------
    TypeError, ValueError
        Where an option is unknown or wrong, or the function cannot be a UDF; the message says what to write.
    """
    checked = checked_options(options)

    def decorate(target: Any) -> UserFunction | UserFunctionClass:
        if isinstance(target, (UserFunction, UserFunctionClass)):
            raise TypeError(f"{target!r} is already a UDF; apply @leman.udf once")
        if isinstance(target, type):
            return UserFunctionClass(target, checked)
        function = target.func if isinstance(target, functools.partial) else target
        if not isinstance(function, types.FunctionType):
            raise TypeError(
                f"udf({target!r}): expected a function written with def, or a class with __call__ "
                f"(options are passed by name: {', '.join(OPTION_NAMES[:3])}, …); got {type(target).__name__}"
                f"{_instead_of(target)}"
            )
        return UserFunction(target, checked)

    return decorate if function is None else decorate(function)


def _instead_of(target: Any) -> str:
    """Return what to write instead of a callable that is no function."""
    if not callable(target):
        return ""
    name = getattr(target, "__name__", type(target).__name__)
    if isinstance(target, types.MethodType) and not isinstance(target.__self__, type):
        owner = type(target.__self__).__name__
        return (
            f". Give {owner} a __call__ that does what {name}() does, and write leman.udf({owner})(…) with its "
            "constructor's arguments: each worker makes one of its own"
        )
    if "__call__" in _own_names(type(target)) and not isinstance(target, (types.MethodType, functools.partial)):
        cls = type(target)
        if cls.__module__ not in ("functools", "numpy"):
            advice = f". Write leman.udf({cls.__name__})(…) with its constructor's arguments"
            return f"{advice}: each worker makes one of its own"
    return f". Write a def that calls it: 'def f(x: float) -> float: return {name}(x)', with the types that are meant"


def as_user_function(argument: str, value: object) -> UserFunction:
    """Return a UDF given as itself or as a decorated class without constructor arguments.

    Raises
    ------
    TypeError
        Where ``value`` is something else, or the class needs arguments.
    """
    if isinstance(value, UserFunction):
        return value
    if isinstance(value, UserFunctionClass):
        try:
            return value()
        except TypeError as error:
            raise TypeError(
                f"{argument}={value!r}: pass an instance, with its constructor arguments: {error}"
            ) from None
    hint = "; decorate it with @leman.udf" if callable(value) else ""
    raise TypeError(f"{argument}={value!r}: expected a UDF, got {type(value).__name__}{hint}")


__all__ = ["AnnotatedType", "UserFunction", "UserFunctionClass", "as_user_function", "pickle_function", "udf"]
