"""``UserFunction.preview`` and ``leman udf check``: a function tried on a few rows."""

from __future__ import annotations

import asyncio
import json
import typing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import leman
from leman import cli


@pytest.fixture
def table(tmp_path: Path) -> leman.Table:
    rows = {
        "text": ["to be", "", "or not to be"],
        "size": pa.array([1, 2, None], pa.int64()),
        "info": [{"tag": "a"}, {"tag": "b"}, {"tag": None}],
        "values": [[1.0, 2.0], [3.0], []],
    }
    return leman.connect(tmp_path / "db").create_table("texts", pa.table(rows))


@leman.udf
def first_word(text: str) -> str:
    return text.split()[0]


def test_outputs_errors_and_times_of_each_row(table: leman.Table) -> None:
    preview = first_word.preview(table)
    assert [row.inputs for row in preview.rows] == [{"text": "to be"}, {"text": ""}, {"text": "or not to be"}]
    assert [row.output for row in preview.rows] == ["to", None, "or"]
    assert [type(error) for error in preview.errors] == [IndexError]
    assert all(row.elapsed_s > 0 for row in preview.rows)
    shown = str(preview)
    assert "IndexError: list index out of range" in shown and "3 rows, 1 failed" in shown
    assert table.schema.names == ["text", "size", "info", "values"] and table.version == 1


def test_rows_and_columns_are_chosen(table: leman.Table) -> None:
    preview = first_word.preview(table, 1, where="size IS NULL", input_columns=["info.tag"])
    assert [row.inputs for row in preview.rows] == [{"info.tag": None}]
    assert (preview.rows[0].output, preview.errors) == (None, ())  # not called, as in a job


def test_a_result_that_does_not_fit_names_the_declared_type(table: leman.Table) -> None:
    @leman.udf(data_type=pa.int8())
    def large(text: str) -> int:
        return 300

    (error, *_) = large.preview(table, 1).errors
    assert "large() returned 300 (int)" in str(error) and "int8" in str(error)


class Words(typing.NamedTuple):
    first: str
    count: int


def test_async_functions_and_structs_are_tried_as_in_a_job(table: leman.Table) -> None:
    @leman.udf
    class Split:
        async def setup(self) -> None:
            self.loop = asyncio.get_running_loop()

        async def __call__(self, text: str) -> Words:
            assert self.loop is asyncio.get_running_loop()
            await asyncio.sleep(0)
            return Words(text.split()[0], len(text.split()))

    async def in_a_notebook() -> leman.Preview:
        return Split().preview(table)

    for preview in (Split().preview(table), asyncio.run(in_a_notebook())):
        assert [row.output for row in preview.rows] == [
            {"first": "to", "count": 2},
            None,
            {"first": "or", "count": 4},
        ]
        assert [type(error) for error in preview.errors] == [IndexError]


def test_batch_functions_are_called_once_and_by_row_where_that_fails(table: leman.Table) -> None:
    calls = []

    @leman.udf(data_type=pa.int64())
    def double(size: pa.Array) -> pa.Array:
        calls.append(len(size))
        if size.null_count:
            raise ValueError("a null")
        return pa.array([2 * value for value in size.to_pylist()])

    assert [row.output for row in double.preview(table, 2).rows] == [2, 4]
    assert calls == [2]
    preview = double.preview(table, 3)
    assert [row.output for row in preview.rows] == [2, 4, None]
    assert [str(error) for error in preview.errors] == ["a null"]


def test_record_batches_arrays_and_setup(table: leman.Table) -> None:
    @leman.udf(data_type=pa.int64())
    def lengths(batch: pa.RecordBatch) -> pa.Array:
        return pa.array([len(text) for text in batch.column("text").to_pylist()])

    @leman.udf
    class Total:
        def setup(self) -> None:
            self.start = 10.0

        def __call__(self, values: np.ndarray) -> float:
            assert isinstance(values, np.ndarray)
            return self.start + float(values.sum())

    assert [row.output for row in lengths.preview(table).rows] == [5, 0, 12]
    assert [row.output for row in Total().preview(table).rows] == [13.0, 13.0, 10.0]


def test_wrong_arguments(table: leman.Table) -> None:
    with pytest.raises(ValueError, match="n=0"):
        first_word.preview(table, 0)
    with pytest.raises(leman.ColumnNotFoundError, match="Did you mean 'text'"):
        first_word.preview(table, input_columns=["txt"])


def test_a_table_without_rows(tmp_path: Path) -> None:
    empty = leman.connect(tmp_path).create_table("empty", pa.table({"text": pa.array([], pa.string())}))
    assert str(first_word.preview(empty)) == "first_word: no rows to try it on"


def test_leman_udf_check(table: leman.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import leman\n\n@leman.udf\ndef first_word(text: str) -> str:\n    return text.split()[0]\n"
    (tmp_path / "words_of_preview.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(cli.cli, ["udf", "check", "words_of_preview.py:first_word"])
    assert run.exit_code == 0 and run.output.startswith("first_word(text) -> string, scalar, version ")
    run = CliRunner().invoke(cli.cli, ["udf", "check", "words_of_preview.py:first_word", "db", "texts", "--json"])
    assert run.exit_code == 1
    found = json.loads(run.output)["preview"]
    assert found["errors"] == 1 and [row["output"] for row in found["rows"]] == ["'to'", None, "'or'"]
    run = CliRunner().invoke(cli.cli, ["udf", "check", "words_of_preview.py:first_word", "db"])
    assert run.exit_code == 2 and "both URI and TABLE" in run.output
