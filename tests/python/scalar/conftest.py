"""The calls under test: the engine's ``call_scalar``, or that of the small module built for these tests alone."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest


@dataclass
class Failure:
    """What a failed call reports."""

    kind: str
    error: str
    failed_row: int
    type_name: str
    message: str
    traceback: str
    exception: BaseException | None


class _Exported:
    def __init__(self, field: pa.Field, array: Any) -> None:
        self._field, self._array = field, array

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        return self._field.__arrow_c_schema__(), self._array


class Calls:
    """``call_scalar`` with pyarrow in and out."""

    def __init__(self, module: Any) -> None:
        self._call = module.call_scalar
        self.counts: dict[str, int] = {}

    def run(self, function: Any, batch: Any, out: Any, **options: Any) -> pa.Array | Failure:
        field = out if isinstance(out, pa.Field) else pa.field("out", out)
        reply = self._call(function, batch, field, **options)
        self.counts = {name: reply.pop(name) for name in ("calls", "null_inputs", "failed_rows")}
        if "array" not in reply:
            return Failure(**reply)
        array = pa.array(_Exported(field, reply["array"]))
        array.validate(full=True)
        return array

    def ok(self, function: Any, batch: Any, out: Any, **options: Any) -> pa.Array:
        result = self.run(function, batch, out, **options)
        assert not isinstance(result, Failure), result.error
        return result

    def fails(self, function: Any, batch: Any, out: Any, **options: Any) -> Failure:
        result = self.run(function, batch, out, **options)
        assert isinstance(result, Failure), result
        return result

    def returning(self, values: list[Any], out: Any) -> pa.Array | Failure:
        """Row i of the result is what values[i] becomes."""
        batch = pa.record_batch({"i": pa.array(range(len(values)), pa.int64())})
        return self.run(lambda i: values[i], batch, out)

    def seen(self, array: pa.Array, **options: Any) -> list[Any]:
        """The objects that a function of one argument is given for the rows of an array."""
        values: list[Any] = []
        self.ok(values.append, pa.record_batch({"x": array}), pa.int8(), **options)
        return values


def _module() -> Any:
    directory = os.environ.get("LEMAN_SCALAR_TEST_DIR")
    if directory:
        sys.path.insert(0, directory)
        try:
            return importlib.import_module("_scalar_test")
        finally:
            sys.path.remove(directory)
    try:
        engine = importlib.import_module("leman._engine")
    except ImportError:
        return None
    return engine if hasattr(engine, "call_scalar") else None


@pytest.fixture(scope="session")
def calls() -> Calls:
    module = _module()
    if module is None:
        pytest.skip("no call_scalar: set LEMAN_SCALAR_TEST_DIR to the build of python/bindings/scalar")
    return Calls(module)
