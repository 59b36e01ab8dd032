"""The C++ API in programs of its own: what it does, and that its errors are Python's."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import leman
from leman.native_project import cmake_folder

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.xdist_group("cpp_api")


def run(program: Path, *arguments: str, environment: dict[str, str], timeout_s: float = 300) -> str:
    done = subprocess.run(
        [str(program), *arguments], env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-5000:]
    return done.stdout


def test_tables_jobs_threads_and_signals(programs: Path, environment: dict[str, str], tmp_path: Path) -> None:
    environment["TMPDIR"] = str(tmp_path)
    shown = run(programs / "cpp_api_test", environment=environment)
    assert "[  PASSED  ]" in shown
    assert not list(tmp_path.glob("leman-cpp-api-*"))


def stream() -> pa.RecordBatchReader:
    return pa.table({"x": [0]}).to_reader()


def python_errors(db: leman.Connection, table: leman.Table, library: Path) -> dict[str, Callable[[], Any]]:
    def twice(**options: Any) -> Any:
        return leman.native_udf(library, "twice", **options)

    return {
        "uri": lambda: leman.connect(""),
        "table as uri": lambda: leman.connect(table.uri),
        "no such table": lambda: db.open_table("number"),
        "table name": lambda: db.open_table("a/b"),
        "no such version": lambda: db.open_table("numbers", 99),
        "version": lambda: db.open_table("numbers", 0),
        "table taken": lambda: db.create_table("numbers", stream()),
        "mode": lambda: db.create_table("numbers", stream(), mode="replace"),
        "drop": lambda: db.drop_table("gone"),
        "no such job": lambda: db.get_job("none"),
        "status": lambda: db.list_jobs(status="OVER"),
        "filter": lambda: table.count_rows("x +"),
        "column taken": lambda: table.add_columns({"x": twice()}),
        "no such function": lambda: leman.native_udf(library, "twise"),
        "no such library": lambda: leman.native_udf("/nowhere/lib.so", "twice"),
        "no such input": lambda: table.add_columns({"z": twice(input_columns=["missing"])}),
        "wrong type": lambda: table.add_columns({"z": twice(input_columns=["text"])}),
        "unknown parameter": lambda: twice(by=2),
        "batch_size of the function": lambda: twice(batch_size=0),
        "match": lambda: leman.Retry(match="("),
        "no such column": lambda: table.backfill("z"),
        "no function": lambda: table.backfill("x"),
        "concurrency": lambda: table.backfill("y", concurrency=0),
        "commit_granularity": lambda: table.backfill("y", commit_granularity=-1),
        "where": lambda: table.backfill("y", where="x >"),
        "where column": lambda: table.backfill("y", where="missing = 1"),
        "read_version": lambda: table.backfill("y", read_version=99),
        "executor": lambda: table.backfill("y", executor="cloud"),
        "timeout": lambda: table.backfill("y", timeout=-1.0),
        "job_id": lambda: table.backfill("y", job_id="a/b"),
        "plan": lambda: table.plan_backfill("y", batch_size=0),
        "sizes": lambda: table.backfill("y", min_checkpoint_size=10, max_checkpoint_size=5),
    }


def test_errors_have_the_texts_of_python(programs: Path, environment: dict[str, str], tmp_path: Path) -> None:
    db = leman.connect(tmp_path / "db")
    table = db.create_table("numbers", {"x": [1, 2, 3], "text": ["a", "b", "c"]})
    library = programs / "libtest_functions.so"
    table.add_columns({"y": leman.native_udf(library, "twice")})
    lines = run(programs / "print_errors", db.uri, environment=environment).splitlines()
    shown = {name: (kind, text) for name, kind, text in (line.split("\t") for line in lines)}
    assert shown.pop("connect")[0] == "no error"
    expected = {}
    for name, call in python_errors(db, table, library).items():
        with pytest.raises(Exception) as raised:
            call()
        expected[name] = (type(raised.value).__name__, str(raised.value).replace("\n", " "))
    assert shown == expected


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("LEMAN_PYTHON", "python3", "LEMAN_PYTHON='python3': expected the absolute path of a Python 3."),
        ("LEMAN_LIBPYTHON", "/nowhere.so", "LEMAN_LIBPYTHON='/nowhere.so': expected the path of libpython3."),
    ],
)
def test_an_environment_that_cannot_be_used_is_told(
    programs: Path, environment: dict[str, str], variable: str, value: str, text: str
) -> None:
    environment[variable] = value
    shown = run(programs / "print_errors", "db", environment=environment)
    assert shown.startswith("connect\tEnvironmentError\t" + text)


_PLUGIN = """
import ctypes, sys
plugin = getattr(ctypes, sys.argv[1])(sys.argv[2])
text = ctypes.create_string_buffer(4096)
tables = plugin.count_tables(sys.argv[3].encode(), text, len(text))
print(tables, text.value.decode())
import leman
print(len(leman.connect(sys.argv[3]).table_names()))
"""


@pytest.mark.parametrize("loader", ["CDLL", "PyDLL"])
def test_in_a_python_process_it_uses_the_interpreter_that_runs(
    programs: Path, environment: dict[str, str], tmp_path: Path, loader: str
) -> None:
    # PyDLL calls with the GIL held, CDLL without.
    leman.connect(tmp_path / "db").create_table("t", {"x": [1]})
    command = [sys.executable, "-c", _PLUGIN, loader, str(programs / "libplugin.so"), str(tmp_path / "db")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.split(), done.stderr) == (["1", "1"], ""), done.stderr


def test_a_column_with_a_python_function_is_filled(programs: Path, environment: dict[str, str], tmp_path: Path) -> None:
    # The function is stored, and signed by this user's key.
    code = """
import sys, leman
@leman.udf
def plus_one(x: int) -> int:
    return x + 1
leman.connect(sys.argv[1]).create_table("t", {"x": [1, 2, 3]}).add_columns({"y": plus_one})
"""
    db = str(tmp_path / "db")
    subprocess.run([sys.executable, "-c", code, db], env=environment, check=True, timeout=120)
    place = tmp_path / "checkpoints"
    elsewhere = {**environment, "CHECKPOINT_URI": str(place)}
    assert run(programs / "fill_column", db, "t", "y", environment=elsewhere) == "3 rows computed\n"
    assert [folder.name for folder in place.glob("t-*/_leman/checkpoints/*")]
    assert leman.connect(db).open_table("t").to_arrow()["y"].to_pylist() == [2, 3, 4]
    stranger = subprocess.run(
        [str(programs / "fill_column"), db, "t", "y"],
        env={**environment, "LEMAN_CONFIG_DIR": str(tmp_path / "stranger")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert stranger.returncode == 1
    assert stranger.stdout.startswith("UntrustedFunctionError\t")


def test_a_call_is_interrupted_also_where_the_program_blocks_signals(
    programs: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    code = """
import sys, leman
@leman.udf(timeout=2, on_error=leman.Skip(TimeoutError))
def two_hangs(x: int) -> int:
    import os
    import time
    with open(os.environ["LEMAN_TEST_CALLS"], "a") as calls:
        calls.write(f"{x}\\n")
    time.sleep(600 if x == 2 else 0)
    return x
leman.connect(sys.argv[1]).create_table("t", {"x": [1, 2, 3]}).add_columns({"y": two_hangs})
"""
    db = str(tmp_path / "db")
    subprocess.run([sys.executable, "-c", code, db], env=environment, check=True, timeout=120)
    calls = tmp_path / "calls"
    blocking = {**environment, "BLOCK_SIGNALS": "1", "LEMAN_TEST_CALLS": str(calls)}
    run(programs / "fill_column", db, "t", "y", environment=blocking)
    assert leman.connect(db).open_table("t").to_arrow()["y"].to_pylist() == [1, None, 3]
    # A call that no signal reaches ends with its worker, and its rows are computed again.
    assert calls.read_text().split() == ["1", "2", "3"]


def test_exit_functions_of_python_run_when_the_program_ends(
    programs: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    # Ray for one stops its processes there.
    leman.connect(tmp_path / "db").create_table("t", {"data": ["a"]}).add_columns(
        {"y": leman.builtin_udf("byte_count")}
    )
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\natexit.register(lambda: open(f'{os.environ[\"LEMAN_TEST_EXITS\"]}/{os.getpid()}', 'w'))\n"
    )
    search = os.pathsep.join([str(tmp_path), *filter(None, [environment.get("PYTHONPATH")])])
    exits = tmp_path / "exits"
    exits.mkdir()
    program = subprocess.Popen(
        [str(programs / "fill_column"), str(tmp_path / "db"), "t", "y"],
        env={**environment, "PYTHONPATH": search, "LEMAN_TEST_EXITS": str(exits)},
    )
    assert program.wait(120) == 0
    assert (exits / str(program.pid)).exists()


def test_the_example_of_the_readme_runs(programs: Path, environment: dict[str, str], tmp_path: Path) -> None:
    example = re.search(r"```cpp\n(#include <leman/leman.h>.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "main.cc").write_text(example[1])
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(example CXX)\nset(CMAKE_CXX_STANDARD 20)\n"
        "find_package(leman REQUIRED)\nadd_executable(example main.cc)\n"
        "target_link_libraries(example PRIVATE leman::leman)\n"
        f"leman_add_udf_library(text_functions {ROOT / 'examples' / 'cpp_api' / 'text_functions.cc'})\n"
    )
    configure = ["cmake", "-S", ".", "-B", ".", "-G", "Ninja", f"-Dleman_DIR={cmake_folder()}"]
    for command in (configure, ["cmake", "--build", "."]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    table = leman.connect(tmp_path / "db").create_table("texts", {"text": ["to be", "or not to be"]})
    done = subprocess.run(["./example"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    table.checkout_latest()
    assert table.to_arrow()["n_words_native"].to_pylist() == [2, 4]


def options_of_the_header() -> dict[str, str | None]:
    """Member name -> initializer of ``BackfillOptions``."""
    text = (ROOT / "include" / "leman" / "backfill.h").read_text()
    body = text.split("struct BackfillOptions {")[1].split("\n};")[0]
    code = re.sub(r"//.*", "", body)
    members = re.findall(r"(\w+)(?:\s*=\s*([^;]+))?;", code)
    return {name: value or None for name, value in members}


def test_options_have_the_names_and_defaults_of_python() -> None:
    header = options_of_the_header()
    assert header.pop("cancel", "") is None and header.pop("show_progress") == "false"
    parameters = inspect.signature(leman.Table.backfill).parameters.values()
    python = {entry.name: entry.default for entry in parameters if entry.kind is entry.KEYWORD_ONLY}
    assert list(header) == list(python)
    assert python.pop("batch_size") == 10240 and header.pop("batch_size") is None
    as_cpp = {None: None, False: "false"}
    assert header == {name: as_cpp.get(value, str(value)) for name, value in python.items() if value != 0} | {
        "skip_frags": "0",
        "retry_failed": "false",
    }
