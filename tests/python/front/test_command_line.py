"""The leman command: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import leman
from leman import cli

FEATURES = """
import leman
import pyarrow as pa
from words import split

@leman.udf
def n_words(text: str) -> int:
    return len(split(text))

@leman.udf(version="2")
def better(text: str) -> int:
    return 0

@leman.udf
class Embed:
    def __init__(self, size):
        self.size = size
    def __call__(self, text: str) -> list[float]:
        return [0.0] * self.size

def plain(x): return x
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "words.py").write_text("def split(text): return text.split()\n")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("features", "words", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def succeed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = cli.run(arguments)
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def fail(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert cli.run(arguments) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.err


def test_a_user_registers_fills_and_looks(
    texts: leman.Table, project: Path, capsys: pytest.CaptureFixture[str], runner: Any, forget_functions: Any
) -> None:
    db = texts.connection.uri
    out = succeed(capsys, "add-column", db, "texts", "n_words", "--udf", "features.py:n_words")
    assert f"leman backfill {db} texts n_words" in out
    forget_functions()
    out = succeed(
        capsys, "backfill", db, "texts", "n_words", "--where", "number > 1", "--concurrency", "2", "--memory", "1GiB"
    )
    assert out.startswith("DONE: 3 rows computed, 1 fragment committed in 0.5 s (job ")
    spec = runner.specs[0]
    assert (spec.where, spec.concurrency, spec.memory_bytes) == ("number > 1", 2, 2**30)
    assert (spec.batch_size, spec.checkpoint_rows, spec.commit_granularity) == (10240, None, 64)
    assert spec.udf.instantiate()("a b") == 2
    out = succeed(capsys, "show", db, "texts")
    assert "n_words(text)" in out
    assert "texts: 3 rows in 1 fragment" in out
    assert succeed(capsys, "plan", db, "texts", "n_words") == "plan of n_words\n"


def test_options_of_backfill_reach_the_engine(texts: leman.Table, project: Path, capsys: Any, runner: Any) -> None:
    db = texts.connection.uri
    succeed(capsys, "add-column", db, "texts", "n_words", "--udf", "features:n_words", "--input-columns", "info.tag")
    more = [
        "--batch-size",
        "5",
        "--commit-granularity",
        "none",
        "--timeout",
        "2m",
        "--job-id",
        "j1",
        "--num-frags",
        "1",
    ]
    out = succeed(capsys, "backfill", db, "texts", "n_words", "--json", "--udf", "features:better", *more)
    assert json.loads(out)["job_id"] == "j1"
    spec = runner.specs[0]
    assert (spec.batch_size, spec.checkpoint_rows, spec.commit_granularity) == (5, 5, None)
    assert (spec.timeout_s, spec.num_frags, spec.udf_version) == (120.0, 1, "2")


def test_a_class_is_named_with_its_arguments(texts: leman.Table, project: Path, capsys: Any) -> None:
    succeed(capsys, "add-column", texts.connection.uri, "texts", "embedding", "--udf", "features.py:Embed(size=3)")
    assert "embedding" in texts.schema.names


SEVERAL = """
import typing
import pyarrow as pa
import leman

class Size(typing.NamedTuple):
    words: int
    letters: int

@leman.udf
def size(text: str) -> leman.Columns[Size]:
    return Size(len(text.split()), len(text))

@leman.udf
def as_struct(text: str) -> Size:
    return Size(0, 0)
"""


def test_functions_of_several_columns(texts: leman.Table, project: Path, capsys: Any) -> None:
    db = texts.connection.uri
    (project / "several.py").write_text(SEVERAL)
    add = ("add-column", db, "texts", "--udf", "several.py:size")
    out = succeed(capsys, *add)
    assert "texts.words (int64) is there" in out and "texts.letters (int64) is there" in out
    assert f"Fill them, all in one job, with: leman backfill {db} texts words" in out
    described = json.loads(succeed(capsys, *add, "--prefix", "tag_", "--input-columns", "info.tag", "--json"))
    assert [(entry["column"], entry["type"]) for entry in described] == [
        ("tag_words", "int64"),
        ("tag_letters", "int64"),
    ]
    succeed(capsys, "add-column", db, "texts", "--udf", "several.py:as_struct", "--prefix", "s_")
    succeed(capsys, "add-column", db, "texts", "whole", "--udf", "several.py:as_struct")
    assert {"words", "letters", "tag_words", "s_words", "s_letters", "whole"} <= set(texts.schema.names)
    assert "leave out COLUMN 'x'" in fail(capsys, 2, "add-column", db, "texts", "x", "--udf", "several.py:size")
    assert "leave out COLUMN 'x'" in fail(capsys, 2, *add, "x", "--prefix", "y_")
    assert "needs a name" in fail(capsys, 2, "add-column", db, "texts", "--udf", "several.py:as_struct")
    assert "need the name of a COLUMN" in fail(capsys, 2, "add-column", db, "texts", "--sql", "number")


def test_expressions_and_replacements(texts: leman.Table, project: Path, capsys: Any) -> None:
    db = texts.connection.uri
    succeed(capsys, "add-column", db, "texts", "double", "--sql", "number * 2")
    succeed(capsys, "add-column", db, "texts", "n_words", "--udf", "features:n_words")
    succeed(capsys, "add-column", db, "texts", "n_words", "--udf", "features:better", "--replace")
    described = json.loads(succeed(capsys, "show", db, "texts", "--json"))
    function = next(column for column in described["columns"] if column["name"] == "n_words")["function"]
    assert (function["version"], function["is_current"], function["input_columns"]) == ("2", False, ["text"])


@pytest.mark.parametrize(
    ("udf", "message"),
    [
        ("features.py", "expected module:function, path.py:function, library.so:function or builtin:function"),
        ("nope.py:f", "there is no file 'nope.py'"),
        ("nope:f", "there is no module 'nope'"),
        (
            "features.py:n_word",
            "features.py has no 'n_word'. Did you mean 'n_words'? UDFs there: n_words, better, Embed",
        ),
        ("features:plain", "decorate it with @leman.udf"),
        ("broken.py:f", "importing it failed: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("features:Embed", "pass an instance, with its constructor arguments"),
        ("features:Embed(open('x'))", "expected constructor arguments that are literals"),
        ("features:n_words(1)", "is not a UDF class"),
    ],
)
def test_a_function_that_cannot_be_found_is_wrong_usage(
    texts: leman.Table, project: Path, capsys: Any, udf: str, message: str
) -> None:
    assert message in fail(capsys, 2, "add-column", texts.connection.uri, "texts", "x", "--udf", udf)


def test_exit_codes_tell_what_went_wrong(
    texts: leman.Table, project: Path, capsys: Any, runner: Any, monkeypatch: Any, forget_functions: Any
) -> None:
    db = texts.connection.uri
    succeed(capsys, "add-column", db, "texts", "n_words", "--udf", "features:n_words")
    forget_functions()
    fill = ("backfill", db, "texts", "n_words")
    assert "Did you mean 'texts'" in fail(capsys, 3, "backfill", db, "text", "n_words")
    assert "Did you mean 'n_words'" in fail(capsys, 3, "backfill", db, "texts", "n_word")
    assert "job_id='nope'" in fail(capsys, 3, "job", db, "nope")
    assert "concurrency=0" in fail(capsys, 2, *fill, "--concurrency", "0")
    assert "--concurency" in fail(capsys, 2, *fill, "--concurency", "0")
    assert "expected bytes, or a size such as 4GiB" in fail(capsys, 2, *fill, "--memory", "lots")
    assert "give either --udf or --sql" in fail(capsys, 2, "add-column", db, "texts", "x")
    for error, code in (
        (leman.UserFunctionError("row 3: ValueError: bad", "j"), 1),
        (leman.JobCancelledError("cancelled", "j"), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("unforeseen"), 1),
    ):
        runner.error = error
        assert fail(capsys, code, *fill)
    runner.error = None
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(project / "other-config"))
    forget_functions()
    assert "signed by" in fail(capsys, 4, *fill)
    succeed(capsys, *fill, "--trust")


def test_traceback_shows_where_and_json_errors_are_json(texts: leman.Table, capsys: pytest.CaptureFixture[str]) -> None:
    db = texts.connection.uri
    assert cli.run(["show", db, "nope", "--traceback"]) == 3
    assert "Traceback" in capsys.readouterr().err
    assert cli.run(["show", db, "nope", "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["error"]["type"] == "TableNotFoundError"


def test_tables_jobs_cancel_and_clean(texts: leman.Table, capsys: pytest.CaptureFixture[str]) -> None:
    db = texts.connection.uri
    assert "texts" in succeed(capsys, "tables", db)
    assert "there is no folder" in fail(capsys, 3, "tables", db + "-misspelt")
    listed = json.loads(succeed(capsys, "tables", db, "--json"))
    assert listed == [{"name": "texts", "rows": 3, "columns": 5, "version": 1}]
    assert succeed(capsys, "jobs", db) == "No jobs.\n"
    folder = Path(texts.uri) / "_leman" / "jobs"
    folder.mkdir(parents=True)
    failed = {
        "format": 1,
        "job_id": "j1",
        "column": "x",
        "status": "FAILED",
        "error": {"type": "T", "message": "why\x1b[2J\nmore"},
    }
    (folder / "j1.json").write_text(json.dumps({**failed, "metrics": {"rows_computed": 5}}))
    out = succeed(capsys, "jobs", db)
    assert "texts.x" in out
    assert "why" in out
    assert "\x1b" not in out
    assert "FAILED" in succeed(capsys, "job", db, "j1")
    assert json.loads(succeed(capsys, "job", db, "j1", "--json"))["metrics"] == {"rows_computed": 5}
    assert "is over already: FAILED" in succeed(capsys, "cancel", db, "j1")
    assert succeed(capsys, "clean", db) == "texts: files_removed 3\n"
    assert succeed(capsys, "clean", db, "texts", "--dry-run") == "texts: files_removed 0\n"


def test_every_command_has_help_and_the_group_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    out = succeed(capsys, "--help")
    assert "features.py:n_words" in out
    assert "Exit codes: 0 done, 1 job failed" in out
    for name in cli.cli.commands:
        assert "Usage: leman" in succeed(capsys, name, "--help")
    assert leman.__version__ in succeed(capsys, "--version")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_a_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "_LEMAN_COMPLETE" in succeed(capsys, "completion", shell)


def test_tables_and_columns_are_completed(texts: leman.Table) -> None:
    db = texts.connection.uri
    words = {f"leman show {db} te": "texts", f"leman backfill {db} texts num": "number", "leman bac": "backfill"}
    for line, expected in words.items():
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(leman.__file__).parents[1]),
            "_LEMAN_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        command = [sys.executable, "-m", "leman.cli"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.split() == [f"plain,{expected}"], done.stderr


def test_secrets_of_the_store_are_not_printed(texts: leman.Table, capsys: pytest.CaptureFixture[str]) -> None:
    out = succeed(capsys, "show", texts.connection.uri, "texts", "--json", "--storage-option", "key=MARKER-SECRET")
    assert "MARKER" not in out
    assert "expected KEY=VALUE" in fail(capsys, 2, "tables", texts.connection.uri, "--storage-option", "key")
