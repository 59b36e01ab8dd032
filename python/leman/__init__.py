"""Leman fills columns of Lance tables with user-defined functions, on one machine or on many.

>>> import leman
>>> @leman.udf
... def n_words(text: str) -> int:
...     return len(text.split())
>>> table = leman.connect("./db").open_table("texts")  # doctest: +SKIP
>>> table.add_columns({"n_words": n_words})  # doctest: +SKIP
>>> table.backfill("n_words")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backfill_job import BackfillHandle, BackfillResult
    from .connection import Connection, connect
    from .errors import (
        ColumnBusyError,
        ColumnNotFoundError,
        ConflictError,
        CorruptDataError,
        FunctionTimeoutError,
        JobCancelledError,
        JobFailedError,
        JobNotFoundError,
        JobTimeoutError,
        LemanError,
        NativeFunctionError,
        TableNotFoundError,
        UntrustedFunctionError,
        UserFunctionError,
        WorkerCrashError,
        WorkerOOMError,
        WorkerStallError,
    )
    from .jobs import Job
    from .native_function import NativeFunction, builtin_udf, native_udf
    from .on_error import Fail, Retry, Skip, fail_fast, retry_all, retry_transient, skip_on_error
    from .preview import Preview, PreviewRow
    from .ray_executor import RayCluster, ray_cluster
    from .table import Table
    from .unpacked_function import Columns, UnpackedUDF
    from .user_function import UserFunction, udf

__version__ = "0.1.0"

# Lance warns at each commit of new column data; that is not for a user's terminal. It reads this when it is imported.
if "lance" not in sys.modules:
    os.environ.setdefault("LANCE_LOG", "error")

# Loaded at first use, so that `import leman` costs next to nothing in a worker or a script that only defines functions.
_HOMES = {
    "backfill_job": ("BackfillHandle", "BackfillResult"),
    "connection": ("Connection", "connect"),
    "errors": (
        "ColumnBusyError",
        "ColumnNotFoundError",
        "ConflictError",
        "CorruptDataError",
        "FunctionTimeoutError",
        "JobCancelledError",
        "JobFailedError",
        "JobNotFoundError",
        "JobTimeoutError",
        "LemanError",
        "NativeFunctionError",
        "TableNotFoundError",
        "UntrustedFunctionError",
        "UserFunctionError",
        "WorkerCrashError",
        "WorkerOOMError",
        "WorkerStallError",
    ),
    "jobs": ("Job",),
    "native_function": ("NativeFunction", "builtin_udf", "native_udf"),
    "on_error": ("Fail", "Retry", "Skip", "fail_fast", "retry_all", "retry_transient", "skip_on_error"),
    "preview": ("Preview", "PreviewRow"),
    "ray_executor": ("RayCluster", "ray_cluster"),
    "table": ("Table",),
    "unpacked_function": ("Columns", "UnpackedUDF"),
    "user_function": ("UserFunction", "udf"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BackfillHandle",
    "BackfillResult",
    "ColumnBusyError",
    "ColumnNotFoundError",
    "Columns",
    "ConflictError",
    "Connection",
    "CorruptDataError",
    "Fail",
    "FunctionTimeoutError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobNotFoundError",
    "JobTimeoutError",
    "LemanError",
    "NativeFunction",
    "NativeFunctionError",
    "Preview",
    "PreviewRow",
    "RayCluster",
    "Retry",
    "Skip",
    "Table",
    "TableNotFoundError",
    "UnpackedUDF",
    "UntrustedFunctionError",
    "UserFunction",
    "UserFunctionError",
    "WorkerCrashError",
    "WorkerOOMError",
    "WorkerStallError",
    "__version__",
    "builtin_udf",
    "connect",
    "fail_fast",
    "native_udf",
    "ray_cluster",
    "retry_all",
    "retry_transient",
    "skip_on_error",
    "udf",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        if os.path.isfile(os.path.join(__path__[0], f"{name}.py")):
            # `from . import name` asks here before it loads a module: no time for likely misspellings.
            raise AttributeError(f"module 'leman' has no attribute {name!r} yet.")
        from .argument_checks import closest

        raise AttributeError(f"module 'leman' has no attribute {name!r}.{closest(name, _HOME_OF)}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    # But for this, a submodule of the same name as a public one could come to stand in its place.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
