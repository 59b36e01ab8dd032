"""Databases and tables: made, opened, dropped, and shared with lancedb."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import leman


@pytest.mark.parametrize(
    "data",
    [
        pa.table({"a": [1, 2]}),
        pa.record_batch({"a": [1, 2]}),
        pa.table({"a": [1, 2]}).to_reader(),
        {"a": [1, 2]},
        [{"a": 1}, {"a": 2}],
        [pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]})],
    ],
)
def test_a_table_can_be_made_of_many_kinds_of_data(database: leman.Connection, data: Any) -> None:
    assert database.create_table("t", data).to_arrow().to_pydict() == {"a": [1, 2]}


def test_rows_with_different_keys_keep_all_of_them(database: leman.Connection) -> None:
    table = database.create_table("t", [{"a": 1}, {"b": "x"}])
    assert table.to_arrow().to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_data_is_cast_to_a_schema_and_a_schema_alone_makes_an_empty_table(database: leman.Connection) -> None:
    schema = pa.schema([("a", pa.int8())])
    assert database.create_table("t", {"a": [1]}, schema=schema).schema.field("a").type == pa.int8()
    assert database.create_table("e", schema=schema).count_rows() == 0


def test_write_options_go_to_lance(database: leman.Connection) -> None:
    table = database.create_table("t", {"a": list(range(10))}, max_rows_per_file=3)
    assert len(table.to_lance().get_fragments()) == 4
    with pytest.raises(TypeError, match=r"'max_rows_per_fil'. Did you mean 'max_rows_per_file'"):
        database.create_table("u", {"a": [1]}, max_rows_per_fil=3)


@pytest.mark.parametrize("data", [3, "abc", [1, 2], None, []])
def test_what_is_no_data_is_refused(database: leman.Connection, data: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"data|schema"):
        database.create_table("t", data)
    assert database.table_names() == []


def test_an_existing_table_is_neither_lost_nor_hidden(database: leman.Connection) -> None:
    database.create_table("t", {"a": [1]})
    with pytest.raises(ValueError, match="already has a table of that name; mode='overwrite' replaces it"):
        database.create_table("t", {"a": [2]})
    assert database.create_table("t", {"a": [2]}, exist_ok=True).to_arrow().to_pydict() == {"a": [1]}
    assert database.create_table("t", {"b": [2]}, mode="overwrite").to_arrow().to_pydict() == {"b": [2]}
    with pytest.raises(ValueError, match="mode='append': expected 'create' or 'overwrite'"):
        database.create_table("t", {"a": [2]}, mode="append")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\\b", "a\0b", "..", "x" * 300])
def test_a_name_that_is_a_path_goes_nowhere(database: leman.Connection, name: str) -> None:
    for call in (database.open_table, database.drop_table, lambda n: database.create_table(n, {"a": [1]})):
        with pytest.raises(ValueError, match="expected a table name of letters"):
            call(name)
    with pytest.raises(TypeError, match="name=3: expected a table name"):
        database.open_table(3)  # type: ignore[arg-type]


def test_a_missing_table_is_named_with_the_nearest_one(texts: leman.Table) -> None:
    database = texts.connection
    for call in (database.open_table, database.drop_table):
        with pytest.raises(leman.TableNotFoundError, match=r"name='text'.*Did you mean 'texts'. Tables there: texts"):
            call("text")
    database.drop_table("text", ignore_missing=True)


def test_dropping_leaves_nothing(texts: leman.Table) -> None:
    texts.connection.drop_table("texts")
    assert texts.connection.table_names() == []
    assert not Path(texts.uri).exists()


def test_unknown_and_wrong_arguments_of_connect_are_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"'trust_stored_udf'. Did you mean 'trust_stored_udfs'"):
        leman.connect(tmp_path, trust_stored_udf=True)
    with pytest.raises(TypeError, match="uri=3"):
        leman.connect(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uri=''"):
        leman.connect("")
    with pytest.raises(TypeError, match="storage_options: expected a dict of str to str, got list"):
        leman.connect(tmp_path, ["secret"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="trust_stored_udfs='yes'"):
        leman.connect(tmp_path, trust_stored_udfs="yes")  # type: ignore[arg-type]


def test_connecting_to_a_table_says_which_folder_is_meant(texts: leman.Table) -> None:
    with pytest.raises(ValueError, match=r"is a table; connect to the folder that it is in.*open_table\('texts'\)"):
        leman.connect(texts.uri)


def test_a_version_can_be_opened_and_is_read_only(texts: leman.Table) -> None:
    first = texts.version
    texts.add_columns({"double": "number * 2"})
    old = texts.connection.open_table("texts", version=first)
    assert old.version == first
    assert "double" not in old.schema.names
    with pytest.raises(ValueError, match=r"add_columns\(\): table 'texts' was opened at version 1"):
        old.add_columns({"x": "number"})
    with pytest.raises(
        ValueError, match=r"version=99: table 'texts' has no such version or tag; the latest version is 2"
    ):
        texts.connection.open_table("texts", version=99)


def test_leman_and_lancedb_see_each_others_changes(database: leman.Connection) -> None:
    table = database.create_table("t", {"a": [1, 2]})
    table.add([{"a": 3}])
    assert table.count_rows() == len(table) == 3
    assert table.count_rows("a > 1") == 2
    table.add_columns({"b": "a * 2"})
    table.update(where="a = 3", values={"b": 60})
    assert sorted(table.to_arrow()["b"].to_pylist()) == [2, 4, 60]
    table.delete("a = 1")
    assert table.search().limit(10).to_list()[0]["a"] == 2
    assert table.count_rows() == 2


def test_checkout_and_restore_move_both_sides(database: leman.Connection) -> None:
    table = database.create_table("t", {"a": [1, 2]})
    table.add([{"a": 3}])
    table.checkout(1)
    assert table.count_rows() == 2
    assert table.search().limit(10).to_arrow().num_rows == 2
    table.restore()
    assert table.count_rows() == 2
    table.add([{"a": 4}])
    assert table.count_rows() == 3
    with pytest.raises(ValueError, match="version=99"):
        table.checkout(99)
    assert table.count_rows() == 3


def test_a_dataset_in_somebodys_hands_stays_at_its_version(texts: leman.Table) -> None:
    dataset = texts.to_lance()
    texts.add_columns({"double": "number * 2"})
    assert (dataset.version, texts.version) == (1, 2)


def test_a_wrong_filter_of_count_rows_is_named(texts: leman.Table) -> None:
    with pytest.raises(leman.ColumnNotFoundError, match="filter='numbr > 1'"):
        texts.count_rows("numbr > 1")


def test_an_unknown_method_is_suggested(texts: leman.Table) -> None:
    with pytest.raises(AttributeError, match=r"'backfil'. Did you mean 'backfill'"):
        texts.backfil  # noqa: B018
    assert not hasattr(texts, "_private")


def test_workers_are_prewarmed_when_a_table_is_opened_unless_told_otherwise(texts: leman.Table, runner: Any) -> None:
    before = runner.prewarmed
    texts.connection.open_table("texts")
    assert runner.prewarmed == before + 1
    texts.connection.prewarms = False
    texts.connection.open_table("texts")
    assert runner.prewarmed == before + 1


def test_threads_may_share_a_table(database: leman.Connection) -> None:
    table = database.create_table("t", {"a": range(100)})

    def use(number: int) -> int:
        table.add([{"a": number}]) if number % 8 == 0 else table.to_arrow()
        return table.version + table.count_rows() + len(table.schema)

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(use, range(64)))) == 64
    assert table.count_rows() == 108
