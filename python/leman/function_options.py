"""What ``@leman.udf`` takes besides the function, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from .function_types import check_data_type
from .on_error import Matcher, checked_matchers

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class FunctionOptions:
    """Options of a user function; meanings as documented at :func:`leman.udf`."""

    data_type: pa.DataType | None = None
    version: str | None = None
    input_columns: tuple[str, ...] | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: int | None = None
    resources: Mapping[str, float] = dataclasses.field(default_factory=dict)
    label_selector: Mapping[str, str] = dataclasses.field(default_factory=dict)
    batch_size: int | None = None
    checkpoint_size: int | None = None
    min_checkpoint_size: int | None = None
    max_checkpoint_size: int | None = None
    task_size: int | None = None
    timeout: float | None = None
    max_in_flight: int | None = None
    on_error: tuple[Matcher, ...] = ()
    field_metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    name: str | None = None


OPTION_NAMES = tuple(field.name for field in dataclasses.fields(FunctionOptions))
# What Geneva's decorator takes and this one does not: what to do instead.
_INSTEAD = {
    "error_handling": "write on_error=[Retry(…), Skip(…)]",
    "manifest": "give a cluster its packages with runtime_env; a function's own modules travel with it",
    "auto_backfill": "call backfill when rows were added: it computes only those",
}


def checked_options(given: Mapping[str, Any]) -> FunctionOptions:
    """Check the options of ``@leman.udf``.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what was expected.
    """
    for name in given:
        if name in _INSTEAD:
            raise TypeError(f"udf() got an unexpected keyword argument {name!r}: {_INSTEAD[name]}")
    given = _with_gpus(given)
    check.reject_unknown("udf", {name: given[name] for name in given if name not in OPTION_NAMES}, OPTION_NAMES)
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in (
        "batch_size",
        "checkpoint_size",
        "min_checkpoint_size",
        "max_checkpoint_size",
        "task_size",
        "memory",
        "max_in_flight",
    ):
        if name in values:
            values[name] = check.integer(name, values[name], minimum=1)
    for name in ("num_cpus", "num_gpus"):
        if name in values:
            values[name] = check.number(name, values[name], minimum=0.0)
    if "resources" in values:
        values["resources"] = check.custom_resources("resources", values["resources"])
    if "label_selector" in values:
        values["label_selector"] = check.label_selector("label_selector", values["label_selector"])
    for name in ("version", "name"):
        if name in values:
            values[name] = check.text(name, values[name])
    if "timeout" in values:
        values["timeout"] = check.optional_seconds("timeout", values["timeout"])
    if "input_columns" in values:
        values["input_columns"] = check.column_paths("input_columns", values["input_columns"])
    if "data_type" in values:
        values["data_type"] = check_data_type(values["data_type"])
    if "on_error" in values:
        values["on_error"] = checked_matchers(values["on_error"])
    if "field_metadata" in values:
        values["field_metadata"] = _checked_metadata(values["field_metadata"])
    options = FunctionOptions(**values)
    check_sizes(options.min_checkpoint_size, options.max_checkpoint_size, options.checkpoint_size)
    return options


def _with_gpus(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with ``num_gpus`` for ``cuda``, Geneva's other name for one GPU."""
    rest = {name: value for name, value in given.items() if name != "cuda"}
    cuda = given.get("cuda", False)
    if not isinstance(cuda, bool):
        raise TypeError(f"cuda={cuda!r}: expected True (num_gpus=1) or False, got {type(cuda).__name__}")
    if not cuda:
        return rest
    num_gpus = rest.get("num_gpus")
    if num_gpus is not None and not num_gpus:
        raise ValueError(f"cuda=True and num_gpus={num_gpus!r} contradict each other; num_gpus alone says it all")
    return {**rest, "num_gpus": 1 if num_gpus is None else num_gpus}


def check_sizes(minimum: int | None, maximum: int | None, fixed: int | None) -> None:
    """Refuse checkpoint sizes that contradict each other."""
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(
            f"min_checkpoint_size={minimum}, max_checkpoint_size={maximum}: expected a minimum that is at most the "
            "maximum"
        )
    if fixed is None:
        return
    if minimum is not None and fixed < minimum:
        raise ValueError(f"checkpoint_size={fixed}: expected at least min_checkpoint_size={minimum}")
    if maximum is not None and fixed > maximum:
        raise ValueError(f"checkpoint_size={fixed}: expected at most max_checkpoint_size={maximum}")


def _checked_metadata(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"field_metadata={value!r}: expected a dict of str to str, got {type(value).__name__}")
    for key, entry in value.items():
        if not isinstance(key, str) or not isinstance(entry, str):
            raise TypeError(f"field_metadata: expected a dict of str to str, but it has {key!r}: {entry!r}")
        if key.startswith("leman."):
            raise ValueError(f"field_metadata has the key {key!r}: keys that begin with 'leman.' are Leman's own")
    return dict(value)
