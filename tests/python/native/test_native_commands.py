"""``leman udf inspect`` and ``new``, the CMake package, and ``--udf library.so:function``."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

import leman
from leman import builtin_libraries, cli


def invoke(*arguments: str) -> str:
    run = CliRunner().invoke(cli.cli, list(arguments))
    assert run.exit_code == 0, run.output
    return run.output


def test_inspect_lists_what_there_is(sample_library: Path) -> None:
    shown = invoke("udf", "inspect", str(sample_library))
    assert "is_long(text: string, limit: int64) -> bool" in shown
    assert "or_zero(x: double?) -> double" in shown
    entries = {entry["name"]: entry for entry in json.loads(invoke("udf", "inspect", str(sample_library), "--json"))}
    assert entries["mean"]["inputs"] == [{"name": "values", "type": "list<item: float>", "takes_null": False}]
    assert entries["scale"]["shares_state"] is False and entries["mean"]["shares_state"] is True


def test_inspect_names_functions_that_need_parameters() -> None:
    library = str(builtin_libraries.builtin_library("dot"))
    shown = invoke("udf", "inspect", library)
    assert "word_count(text: string) -> int64" in shown
    assert "dot(…)  needs parameters: vector_b: expected a list of numbers" in shown
    entries = {entry["name"]: entry for entry in json.loads(invoke("udf", "inspect", library, "--json"))}
    assert "vector_b" in entries["dot"]["refusal"] and "refusal" not in entries["minhash"]


def test_a_new_project_builds_in_three_commands(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    project = tmp_path / "project"
    assert "features.cc" in invoke("udf", "new", str(project))
    folder = invoke("--cmake-dir").strip()
    configure = ["cmake", "-S", str(project), "-B", str(project / "build"), f"-Dleman_DIR={folder}"]
    subprocess.run(configure, check=True, capture_output=True, timeout=120)
    subprocess.run(["cmake", "--build", str(project / "build")], check=True, capture_output=True, timeout=300)
    library = project / "build" / "libfeatures.so"
    assert "word_count(text: string) -> int32" in invoke("udf", "inspect", str(library))

    whole = CliRunner().invoke(cli.cli, ["udf", "check", str(library)])
    assert f"It has: word_count, norm; write --udf {library}:word_count" in str(whole.exception)

    table = leman.connect(tmp_path / "db").create_table("texts", pa.table({"body": ["a b", "c"]}))
    reference = f"{library}:word_count"
    invoke("add-column", str(tmp_path / "db"), "texts", "words", "--udf", reference, "--input-columns", "body")
    invoke("backfill", str(tmp_path / "db"), "texts", "words", "--concurrency", "1", "--quiet")
    table.checkout_latest()
    assert table.to_arrow().column("words").to_pylist() == [2, 1]


def test_a_project_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.cc").write_text("")
    run = CliRunner().invoke(cli.cli, ["udf", "new", str(tmp_path)])
    assert run.exit_code != 0 and "not an empty folder" in str(run.exception)
