"""Decides which function object fills a column, without running anything that is not trusted."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from . import function_registry
from .column_metadata import PLAN_OPTIONS, ColumnFunction
from .stored_function import load_function
from .user_function import UserFunction

if TYPE_CHECKING:
    import pyarrow as pa

    from .table import Table


def column_function(table: Table, column: str, described: ColumnFunction | None) -> UserFunction:
    """Return the function of a column: the object bound in this process, or else the stored one, verified.

    Raises
    ------
    ValueError
        Where the column has no function.
    UntrustedFunctionError
        Where the stored one may not be run.
    """
    if described is None:
        raise ValueError(
            f"column {column!r} has no function; pass one as udf=, or register it with "
            f"alter_columns({{'path': {column!r}, 'udf': function}})"
        )
    here = function_registry.recall(table.uri, column, described.version)
    if here is not None:
        return here
    function = load_function(table.files, column, described, trust_stored_udfs=table.connection.trust_stored_udfs)
    function_registry.remember(table.uri, column, function)
    return function


@dataclasses.dataclass(frozen=True)
class DescribedFunction:
    """What a column's metadata says of its function, with the attributes of a ``UserFunction``; it cannot be called."""

    name: str
    kind: str
    version: str
    data_type: pa.DataType
    input_columns: tuple[str, ...] | None
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: int | None = None
    batch_size: int | None = None
    checkpoint_size: int | None = None
    min_checkpoint_size: int | None = None
    max_checkpoint_size: int | None = None
    task_size: int | None = None

    @classmethod
    def of(cls, described: ColumnFunction, data_type: pa.DataType) -> DescribedFunction:
        """Make one of a column's metadata and type."""
        options: dict[str, Any] = {name: value for name, value in described.options.items() if name in PLAN_OPTIONS}
        columns = described.input_columns
        return cls(described.name, described.kind, described.version, data_type, columns, **options)

    def bind(self, columns: tuple[str, ...]) -> list[Any]:
        """Pair columns with arguments; of these nothing is known here."""
        return []
