"""What a column says about its function, in the field metadata: reading it runs nothing.

The keys and rules are those of ``docs/formats/column_metadata.md``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "leman.udf."
FORMAT = "1"
_SIGNED = ("format", "input_columns", "kind", "name", "options", "payload", "signer", "version")
# What planning must know of a function, so that it need not be loaded for that.
PLAN_OPTIONS = (
    "batch_size",
    "checkpoint_size",
    "max_checkpoint_size",
    "memory",
    "min_checkpoint_size",
    "num_cpus",
    "num_gpus",
    "task_size",
)
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class ColumnFunction:
    """The function of a column, as its metadata has it; nothing of it is verified.

    Attributes
    ----------
    name, version, kind : str
        As of the ``UserFunction``.
    input_columns : tuple of str or None
        Columns in argument order; None for the whole row.
    options : mapping
        Sizes and resources of the function: those of ``PLAN_OPTIONS`` that it was given.
    payload : str
        SHA-256 of the stored function.
    signer, signature : str
        Who signed, and the signature.
    python : str
        ``major.minor`` of the Python that stored it.
    done_version : str or None
        See the format document.
    """

    name: str
    version: str
    kind: str
    input_columns: tuple[str, ...] | None
    payload: str
    signer: str = ""
    signature: str = ""
    python: str = ""
    done_version: str | None = None
    options: Mapping[str, int | float] = dataclasses.field(default_factory=dict)

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        values = self._strings()
        signed = {key: values.get(key) for key in _SIGNED}
        return json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def to_metadata(self) -> dict[str, str]:
        """Return the field metadata, with the key prefix."""
        return {PREFIX + key: value for key, value in self._strings().items()}

    def _strings(self) -> dict[str, str]:
        columns = None if self.input_columns is None else list(self.input_columns)
        values: dict[str, str | None] = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "kind": self.kind,
            "input_columns": json.dumps(columns, ensure_ascii=False),
            "options": json.dumps(dict(self.options), sort_keys=True),
            "payload": self.payload,
            "signer": self.signer,
            "signature": self.signature,
            "python": self.python,
            "done_version": self.done_version,
        }
        return {key: value for key, value in values.items() if value is not None}


def read_column_function(field: pa.Field) -> ColumnFunction | None:
    """Return the function that a column's metadata names, or None for a plain column.

    Raises
    ------
    ValueError
        Where the metadata is not of this format.
    """
    values = _leman_values(field.metadata or {})
    if "payload" not in values:
        return None
    if values.get("format") != FORMAT:
        raise ValueError(
            f"column {field.name!r}: its function metadata has format {values.get('format')!r}, and this Leman reads "
            f"{FORMAT!r}; a newer Leman wrote it"
        )
    if not _HASH.fullmatch(values["payload"]):
        raise ValueError(
            f"column {field.name!r}: metadata key leman.udf.payload is not a SHA-256: {values['payload']!r}"
        )
    columns = _parsed(values.get("input_columns", "null"))
    options = _parsed(values.get("options", "{}"))
    if columns is not None and not (isinstance(columns, list) and all(isinstance(entry, str) for entry in columns)):
        raise ValueError(f"column {field.name!r}: metadata key leman.udf.input_columns is not a JSON list of names")
    if not isinstance(options, dict) or not all(_is_size(entry) for entry in options.values()):
        raise ValueError(
            f"column {field.name!r}: metadata key leman.udf.options is not a JSON object of positive numbers"
        )
    return ColumnFunction(
        name=values.get("name", ""),
        version=values.get("version", ""),
        kind=values.get("kind", ""),
        input_columns=None if columns is None else tuple(columns),
        payload=values["payload"],
        signer=values.get("signer", ""),
        signature=values.get("signature", ""),
        python=values.get("python", ""),
        done_version=values.get("done_version"),
        options=options,
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # No value of either key is a plain number.
        return 0


def _is_size(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _leman_values(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    decoded = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}
    return {key[len(PREFIX) :]: value for key, value in decoded.items() if key.startswith(PREFIX)}
