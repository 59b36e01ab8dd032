"""Adding, altering and dropping columns."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import leman
from leman.column_metadata import read_column_function


@leman.udf
def n_words(text: str) -> int:
    return len(text.split())


@leman.udf
def plus(number: int, fraction: float) -> float:
    return number + fraction


@leman.udf(data_type=pa.int64())
def rows(batch: pa.RecordBatch) -> pa.Array:
    return batch["number"]


def described(table: leman.Table, column: str) -> Any:
    return read_column_function(table.schema.field(column))


def test_a_function_column_is_declared_all_null_by_one_metadata_commit(texts: leman.Table) -> None:
    before = texts.version
    files = len(texts.to_lance().get_fragments()[0].data_files())
    texts.add_columns({"n_words": n_words, "sum": (plus, ["number", "fraction"])})
    assert texts.version == before + 1
    assert len(texts.to_lance().get_fragments()[0].data_files()) == files
    assert texts.to_arrow()["n_words"].null_count == 3
    assert texts.schema.field("sum").type == pa.float64()


def test_expressions_are_computed_at_once_and_mix_with_functions(texts: leman.Table) -> None:
    texts.add_columns({"double": "number * 2", "n_words": n_words})
    assert texts.to_arrow()["double"].to_pylist() == [2, 4, 6]
    assert described(texts, "double") is None


def test_pyarrow_fields_add_plain_columns(texts: leman.Table) -> None:
    texts.add_columns(pa.schema([pa.field("plain", pa.int32())]))
    assert described(texts, "plain") is None


def test_struct_fields_are_inputs_by_dotted_path(texts: leman.Table) -> None:
    @leman.udf(input_columns=["info.size"])
    def size(size: int) -> int:
        return size

    texts.add_columns({"size": size})
    assert described(texts, "size").input_columns == ("info.size",)


def test_a_whole_row_function_records_no_inputs_unless_told(texts: leman.Table) -> None:
    texts.add_columns({"all": rows, "some": (rows, ["number"])})
    assert described(texts, "all").input_columns is None
    assert described(texts, "some").input_columns == ("number",)


@pytest.mark.parametrize(
    ("transforms", "error", "message"),
    [
        ({}, ValueError, "expected at least one column"),
        ({"text": n_words}, ValueError, "column 'text' exists already; alter_columns({'path': 'text', 'udf': …})"),
        (
            {"x": (n_words, ["txt"])},
            leman.ColumnNotFoundError,
            "input_columns='txt': the table has no such column. Did you mean 'text'?",
        ),
        (
            {"x": (n_words, ["number"])},
            TypeError,
            "column 'number' is int64, but argument 'text' of function 'n_words' is annotated 'str'",
        ),
        (
            {"x": (plus, ["text", "fraction"])},
            TypeError,
            "column 'text' is string, but argument 'number' of function 'plus' is annotated 'int'",
        ),
        ({"x": (plus, ["fraction", "number"])}, TypeError, "column 'fraction' is double, but argument 'number'"),
        ({"x": (plus, ["number"])}, ValueError, "expected 2 columns for the arguments ['number', 'fraction']"),
        ({"x": (n_words, "text")}, TypeError, "expected a list of column names, e.g. ['text']"),
        ({"x": (n_words,)}, TypeError, "expected (udf, ['input', …]), got 1 values"),
        ({"x": 3}, TypeError, "column 'x': expected a UDF, (udf, ['input', …]) or an SQL expression, got int"),
        ({"x": len}, TypeError, "decorate it with @leman.udf"),
        ({"x": "number +* 3"}, ValueError, "SQL expression of column 'x'='number +* 3': not a valid SQL expression"),
        ({"x": "nothing + 1"}, leman.ColumnNotFoundError, "the table has no column 'nothing'"),
        ({"x": "number; 3"}, ValueError, "expected one SQL expression, but something follows it"),
        ({"": n_words}, TypeError, "column name ''"),
        ({"../x": n_words}, ValueError, "column name '../x'"),
        ({"a.b": n_words}, ValueError, "column name 'a.b'"),
        ({3: n_words}, TypeError, "column name 3"),
        ([1], TypeError, "add_columns([1]): expected"),
        ({"x": (n_words, ["info.tagg"])}, leman.ColumnNotFoundError, "Did you mean 'info.tag'?"),
    ],
)
def test_a_wrong_definition_is_named_and_adds_nothing(
    texts: leman.Table, transforms: Any, error: type[Exception], message: str
) -> None:
    before = texts.version
    with pytest.raises(error) as caught:
        texts.add_columns(transforms)
    assert message in str(caught.value)
    assert texts.version == before


def test_a_missing_input_bound_by_name_says_how_to_bind_another(texts: leman.Table) -> None:
    @leman.udf
    def f(body: str) -> int:
        return 0

    with pytest.raises(leman.ColumnNotFoundError, match=r"'body' is an argument of function 'f'; input_columns=\[…\]"):
        texts.add_columns({"x": f})


def test_a_wrong_expression_adds_no_function_column_either(texts: leman.Table) -> None:
    with pytest.raises((ValueError, OSError)):
        texts.add_columns({"n_words": n_words, "bad": "nope + 1"})
    assert "n_words" not in texts.schema.names


@pytest.mark.parametrize(
    ("annotation", "column", "fits"),
    [
        (int, pa.int8(), True),
        (int, pa.string(), False),
        (int, pa.float32(), False),
        (float, pa.int64(), True),
        (float, pa.string(), False),
        (bool, pa.int64(), False),
        (str, pa.large_string(), True),
        (str, pa.dictionary(pa.int8(), pa.string()), True),
        (str, pa.binary(), False),
        (bytes, pa.large_binary(), True),
        (bytes, pa.string(), False),
        (int | None, pa.int64(), True),
        (str | None, pa.int64(), False),
        (list[float], pa.list_(pa.float32(), 2), True),
        (list[str], pa.list_(pa.int64()), False),
        (list, pa.list_(pa.int64()), True),
        (list[int], pa.int64(), False),
        (np.ndarray, pa.list_(pa.int64()), True),
        (np.ndarray, pa.int64(), False),
        (np.float32, pa.float64(), True),
        (dict, pa.struct([("a", pa.int64())]), True),
        (dict, pa.string(), False),
        (datetime.datetime, pa.timestamp("ns", "UTC"), True),
        (datetime.datetime, pa.date32(), False),
        (Any, pa.string(), True),
        (object, pa.int64(), True),
        (int | str, pa.int64(), True),
        ("SomethingUnknown", pa.int64(), True),
    ],
)
def test_annotations_are_held_against_column_types(
    database: leman.Connection, annotation: Any, column: pa.DataType, fits: bool
) -> None:
    table = database.create_table("t", schema=pa.schema([("x", column)]))

    def f(x: Any) -> int:
        return 0

    f.__annotations__["x"] = annotation
    if fits:
        table.add_columns({"y": leman.udf(f)})
    else:
        with pytest.raises(TypeError, match=r"column 'x' is .*, but argument 'x' of function 'f' is annotated"):
            table.add_columns({"y": leman.udf(f)})


def test_altering_to_another_version_keeps_done_version_so_that_all_is_recomputed(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})

    @leman.udf(version="2")
    def better(text: str) -> int:
        return 1

    texts.alter_columns({"path": "n_words", "udf": better})
    after = described(texts, "n_words")
    assert (after.version, after.done_version, after.name) == ("2", n_words.version, "better")


def test_altering_to_the_same_function_changes_nothing_that_counts(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})
    texts.alter_columns({"path": "n_words", "udf": n_words})
    assert described(texts, "n_words").done_version == n_words.version


def test_altering_the_inputs_only_takes_done_version_away(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})
    texts.alter_columns({"path": "n_words", "input_columns": ["info.tag"]})
    after = described(texts, "n_words")
    assert (after.input_columns, after.done_version, after.version) == (("info.tag",), None, n_words.version)


def test_a_plain_column_can_be_given_a_function(texts: leman.Table, runner: Any) -> None:
    @leman.udf
    def f(text: str) -> int:
        return 0

    texts.alter_columns({"path": "number", "udf": f})
    texts.backfill("number")
    assert (runner.specs[0].done_version, runner.specs[0].udf) == (None, f)


def test_lances_own_alterations_pass_through_and_keep_the_function(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})
    texts.alter_columns({"path": "n_words", "name": "words"}, {"path": "fraction", "rename": "f"})
    texts.alter_columns({"path": "words", "data_type": pa.int32()})
    assert {"words", "f"} <= set(texts.schema.names)
    assert described(texts, "words").version == n_words.version
    with pytest.raises(TypeError, match="column 'words' is int32, but function 'n_words' makes int64"):
        texts.backfill("words")


@pytest.mark.parametrize(
    ("alteration", "error", "message"),
    [
        ({"path": "nope", "udf": n_words}, leman.ColumnNotFoundError, "path='nope'"),
        (
            {"path": "fraction", "udf": n_words},
            TypeError,
            "column 'fraction' is double, but function 'n_words' makes int64",
        ),
        ({"path": "number", "udff": n_words}, TypeError, "'udff'. Did you mean 'udf'?"),
        ({"udf": n_words}, TypeError, "path=None"),
        ("number", TypeError, "alter_columns('number'): expected a dict"),
        ({"path": "number", "input_columns": ["text"]}, ValueError, "column 'number' has no function"),
        ({"path": "number", "udf": n_words, "name": "x"}, ValueError, "in two dicts"),
        ({"path": "number", "udf": len}, TypeError, "udf=<built-in function len>"),
    ],
)
def test_a_wrong_alteration_is_named_and_changes_nothing(
    texts: leman.Table, alteration: Any, error: type[Exception], message: str
) -> None:
    before = texts.version
    with pytest.raises(error) as caught:
        texts.alter_columns(alteration)
    assert message in str(caught.value)
    assert texts.version == before


def test_columns_can_be_dropped(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})
    texts.drop_columns(["n_words"])
    assert "n_words" not in texts.schema.names
    with pytest.raises(leman.ColumnNotFoundError, match="columns='n_words'"):
        texts.drop_columns(["n_words"])
    with pytest.raises(TypeError, match=r"columns='text': expected a list of column names, e.g. \['text'\]"):
        texts.drop_columns("text")  # type: ignore[arg-type]


def test_metadata_of_a_newer_format_is_refused_not_guessed(texts: leman.Table) -> None:
    texts.add_columns({"n_words": n_words})
    texts.to_lance().update_field_metadata({"n_words": {"leman.udf.format": "2"}})
    with pytest.raises(ValueError, match="format '2', and this Leman reads '1'; a newer Leman wrote it"):
        texts.backfill("n_words")
