"""Checks SQL that a user wrote, filters and expressions, against a table, without reading a row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import argument_checks as check
from .argument_checks import closest
from .errors import ColumnNotFoundError
from .input_columns import column_paths

if TYPE_CHECKING:
    import lance

_SOURCE_POSITION = re.compile(r",? ?/?[^\s,]*/rust/[^\s,]+\.rs:\d+:\d+")
_WRAPPERS = re.compile(r"^(?:LanceError\([^)]*\): |Invalid user input: |Schema error: |Error during planning: )+")
_MISSING = re.compile(r"No field named ([^\s.]+(?:\.[^\s.]+)*)\.")


def check_filter(dataset: lance.LanceDataset, where: object, argument: str = "where") -> str | None:
    """Return a filter that Lance can plan against the snapshot, or None.

    Raises
    ------
    TypeError
        Where it is not a str.
    ColumnNotFoundError
        Where it names a column that is not there.
    ValueError
        Where it cannot be parsed, has a type error, or is not a condition.
    """
    if where is None:
        return None
    text = check.text(argument, where)
    try:
        _plan(dataset, text)
    except (ValueError, OSError) as error:
        raise _translated(dataset, argument, text, str(error)) from None
    try:
        # Lance ignores what follows a complete condition, as in "a > 1; b".
        _plan(dataset, f"(\n{text}\n)")
    except (ValueError, OSError):
        raise ValueError(f"{argument}={text!r}: expected one SQL condition, but something follows it") from None
    return text


def check_expression(dataset: lance.LanceDataset, column: str, text: str) -> None:
    """Raise where the SQL expression of a new column cannot be planned against the snapshot.

    Raises
    ------
    ColumnNotFoundError
        Where it names a column that is not there.
    ValueError
        Where it cannot be parsed, or has a type error.
    """
    argument = f"SQL expression of column {column!r}"
    try:
        _plan_expression(dataset, text)
    except (ValueError, OSError) as error:
        raise _translated(dataset, argument, text, str(error), "expression") from None
    try:
        _plan_expression(dataset, f"(\n{text}\n)")
    except (ValueError, OSError):
        raise ValueError(f"{argument}={text!r}: expected one SQL expression, but something follows it") from None


def _plan_expression(dataset: lance.LanceDataset, text: str) -> None:
    # The row id, because Lance reads no rows for constants alone.
    dataset.scanner(columns={"value": text}, with_row_id=True).explain_plan()


def _plan(dataset: lance.LanceDataset, condition: str) -> None:
    dataset.scanner(columns=[], filter=condition, with_row_id=True).explain_plan()


def _translated(
    dataset: lance.LanceDataset, argument: str, text: str, message: str, kind: str = "condition"
) -> Exception:
    message = _WRAPPERS.sub("", _SOURCE_POSITION.sub("", message)).strip()
    missing = _MISSING.search(message)
    if missing:
        name = missing.group(1).strip('"`')
        known = list(column_paths(dataset.schema))
        shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        return ColumnNotFoundError(
            f"{argument}={text!r}: the table has no column {name!r}.{closest(name, known)} Columns: {shown}"
        )
    parser = re.search(r"sql parser error: (.*?)\)*$", message, re.DOTALL)
    if parser:
        return ValueError(f"{argument}={text!r}: not a valid SQL {kind}: {parser.group(1)}")
    if "does not return a boolean" in message:
        return ValueError(
            f"{argument}={text!r}: expected a condition that is true or false for each row, e.g. \"lang = 'en'\""
        )
    hint = "; double quotes make a string here, `backticks` a column name" if '"' in text else ""
    return ValueError(f"{argument}={text!r}: not a valid SQL {kind}: {message.splitlines()[0]}{hint}")
