"""A stored function runs only if its bytes are the signed ones and the signer is trusted."""

from __future__ import annotations

import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import leman
from leman.column_definition import mark_done
from leman.column_metadata import read_column_function

RAN: list[str] = []


@leman.udf(field_metadata={"unit": "words"}, batch_size=7)
def n_words(text: str) -> int:
    return len(text.split())


def folder(table: leman.Table) -> Path:
    return Path(table.uri) / "_leman" / "udfs"


@pytest.fixture
def filled(texts: leman.Table, forget_functions: Callable[[], None]) -> leman.Table:
    texts.add_columns({"n_words": n_words})
    forget_functions()
    return texts


def test_the_column_tells_its_function(filled: leman.Table) -> None:
    field = filled.schema.field("n_words")
    described = read_column_function(field)
    assert described is not None
    assert (described.name, described.kind, described.version) == ("n_words", "scalar", n_words.version)
    assert described.input_columns == ("text",)
    assert described.options == {"batch_size": 7}
    assert described.done_version == n_words.version
    assert field.metadata[b"unit"] == b"words"
    assert [path.name for path in folder(filled).iterdir()] == [f"{described.payload}.pkl"]


def test_ones_own_stored_function_just_works(filled: leman.Table, runner: Any) -> None:
    filled.backfill("n_words")
    assert runner.specs[0].udf.version == n_words.version
    assert runner.specs[0].udf.instantiate()("a b c") == 3


def test_the_key_is_made_once_and_for_its_owner_only(filled: leman.Table, config_folder: Path) -> None:
    path = config_folder / "signing_key.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    filled.add_columns({"again": (n_words, ["text"])})
    assert path.read_bytes() == before


def test_a_key_that_others_may_read_is_warned_of(filled: leman.Table, config_folder: Path) -> None:
    path = config_folder / "signing_key.json"
    path.chmod(0o640)
    with pytest.warns(UserWarning, match=r"is open to other users .*\(mode 640\).*chmod 600"):
        filled.add_columns({"again": (n_words, ["text"])})


def use_another_key(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(folder))


def test_a_function_by_another_signer_is_refused_and_the_signer_named(
    filled: leman.Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config_folder: Path, runner: Any
) -> None:
    key = json.loads((config_folder / "signing_key.json").read_text())
    use_another_key(monkeypatch, tmp_path / "other")
    with pytest.raises(leman.UntrustedFunctionError, match=f"signed by '{key['owner']}/{key['key_id']}'") as caught:
        filled.backfill("n_words")
    assert "trust_stored_udfs=True" in str(caught.value)
    assert runner.specs == []


def test_explicit_trust_or_the_callers_own_object_is_enough(
    filled: leman.Table,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    runner: Any,
    forget_functions: Callable[[], None],
) -> None:
    use_another_key(monkeypatch, tmp_path / "other")
    filled.backfill("n_words", udf=n_words)
    trusting = leman.connect(filled.connection.uri, trust_stored_udfs=True).open_table("texts")
    trusting.backfill("n_words")
    assert len(runner.specs) == 2


def test_a_team_key_can_be_added(
    filled: leman.Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config_folder: Path, runner: Any
) -> None:
    use_another_key(monkeypatch, tmp_path / "other")
    trusted = tmp_path / "other" / "trusted_keys"
    trusted.mkdir(parents=True)
    (trusted / "team.json").write_bytes((config_folder / "signing_key.json").read_bytes())
    filled.backfill("n_words")
    assert len(runner.specs) == 1


def test_a_payload_that_was_changed_is_refused_even_with_trust(filled: leman.Table, runner: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(Path(filled.uri) / "evil"),))

    (path,) = folder(filled).iterdir()
    path.write_bytes(pickle.dumps(Evil()))
    trusting = leman.connect(filled.connection.uri, trust_stored_udfs=True).open_table("texts")
    with pytest.raises(leman.UntrustedFunctionError, match="was changed after it was signed"):
        trusting.backfill("n_words")
    assert not (Path(filled.uri) / "evil").exists()


@pytest.mark.parametrize("key", ["version", "input_columns", "name", "kind", "signature", "options"])
def test_a_description_that_was_changed_is_refused(filled: leman.Table, key: str) -> None:
    changed = {"input_columns": '["info.tag"]', "kind": "array", "signature": "0" * 64, "options": '{"batch_size": 1}'}
    filled.to_lance().update_field_metadata({"n_words": {f"leman.udf.{key}": changed.get(key, "x")}})
    with pytest.raises(leman.UntrustedFunctionError, match=r"signature of the stored function .* is not valid"):
        filled.backfill("n_words")


def test_nothing_is_unpickled_by_opening_showing_and_planning(
    filled: leman.Table, runner: Any, monkeypatch: Any
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr("leman.stored_function.restore", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    table = leman.connect(filled.connection.uri).open_table("texts")
    assert table.schema.names
    assert table.plan_backfill("n_words") == "plan of n_words"
    assert runner.planned[0].batch_size == 7
    assert runner.planned[0].checkpoint_rows == 7
    assert runner.planned[0].udf_version == n_words.version
    assert table.connection.list_jobs() == []


@pytest.mark.parametrize("payload", ["../../../etc/passwd", "abc", "", "A" * 64])
def test_a_payload_name_that_is_no_hash_goes_nowhere(filled: leman.Table, payload: str) -> None:
    filled.to_lance().update_field_metadata({"n_words": {"leman.udf.payload": payload}})
    with pytest.raises(ValueError, match="is not a SHA-256"):
        filled.backfill("n_words")


def test_a_payload_that_is_gone_is_explained(filled: leman.Table) -> None:
    (path,) = folder(filled).iterdir()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="pass the function as udf="):
        filled.backfill("n_words")


def test_mark_done_writes_the_version_once(filled: leman.Table) -> None:
    dataset = filled.to_lance()
    mark_done(dataset, ("n_words",), "v2")
    assert filled.schema.field("n_words").metadata[b"leman.udf.done_version"] == b"v2"
    before = filled.version
    mark_done(filled.to_lance(), ("n_words",), "v2")
    mark_done(filled.to_lance(), ("text",), "v2")
    assert filled.version == before


def test_storage_options_reach_neither_metadata_nor_files(tmp_path: Path, runner: Any) -> None:
    secret = "MARKER-SECRET-1234"
    connection = leman.connect(tmp_path / "db", {"aws_secret_access_key": secret})
    table = connection.create_table("t", {"text": ["a"]})
    table.add_columns({"n_words": n_words})
    table.backfill("n_words")
    for path in (tmp_path / "db").rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    assert secret not in repr(connection) + repr(table)
