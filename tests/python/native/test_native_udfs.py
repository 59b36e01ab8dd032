"""Native functions, from a column's declaration to its values."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from native_library import ROOT, build

import leman

ROWS = {
    "text": ["to be or not", "x", None],
    "x": [1.0, 2.0, -3.0],
    "vector": pa.array([[1.0], [], [2.0, 4.0]], pa.list_(pa.float32())),
}


@pytest.fixture
def table(tmp_path: Path) -> leman.Table:
    return leman.connect(tmp_path / "db").create_table("texts", pa.table(ROWS))


def filled(table: leman.Table, column: str, function: Any, **options: Any) -> list[Any]:
    table.add_columns({column: function})
    result = table.backfill(column, progress=False, **{"concurrency": 1, **options})
    assert result.status == "DONE"
    return table.to_arrow().column(column).to_pylist()


def test_texts_numbers_and_structs(table: leman.Table, sample_library: Path) -> None:
    words = leman.native_udf(sample_library, "word_count")
    assert (words.name, words.kind, words.arguments, words.data_type) == ("word_count", "native", ("text",), pa.int32())
    assert filled(table, "words", words) == [4, 1, None]
    assert filled(table, "root", leman.native_udf(sample_library, "root")) == [1.0, pytest.approx(2**0.5), None]
    sizes = filled(table, "size", leman.native_udf(sample_library, "size"))
    assert sizes == [{"bytes": 12, "empty": False}, {"bytes": 1, "empty": False}, None]


def test_parameters_are_part_of_the_version(table: leman.Table, sample_library: Path) -> None:
    thrice, twice = (leman.native_udf(sample_library, "scale", by=by) for by in (3, 2))
    assert filled(table, "scaled", thrice) == [3.0, 6.0, -9.0]
    assert thrice.version != twice.version
    assert thrice.version == leman.native_udf(sample_library, "scale", params={"by": 3}).version
    table.alter_columns({"path": "scaled", "udf": twice})
    assert table.backfill("scaled", concurrency=1, progress=False).rows_computed == 3
    assert table.to_arrow().column("scaled").to_pylist() == [2.0, 4.0, -6.0]


def test_many_rows_over_processes_and_threads(tmp_path: Path, sample_library: Path) -> None:
    rows = pa.table({"x": pa.array(range(200_000), pa.int64())})
    table = leman.connect(tmp_path / "db").create_table("numbers", rows, max_rows_per_file=50_000)
    values = filled(
        table, "y", leman.native_udf(sample_library, "plus_one"), concurrency=2, intra_applier_concurrency=2
    )
    assert values == list(range(1, 200_001))


def test_a_row_that_fails_meets_on_error(table: leman.Table, sample_library: Path) -> None:
    mean = leman.native_udf(sample_library, "mean", input_columns=["vector"])
    table.add_columns({"mean": mean})
    with pytest.raises(leman.UserFunctionError, match=r"mean\(\): an empty list has no mean"):
        table.backfill("mean", concurrency=1, progress=False)
    skipping = leman.native_udf(
        sample_library,
        "mean",
        input_columns=["vector"],
        on_error=[leman.Skip(leman.NativeFunctionError, match="empty list")],
    )
    result = table.backfill("mean", udf=skipping, concurrency=1, progress=False)
    assert (result.rows_computed, result.rows_skipped) == (3, 1)
    assert table.to_arrow().column("mean").to_pylist() == [1.0, None, 3.0]
    (error,) = table.get_errors(column_name="mean")
    assert (error.row, error.error_message) == (1, "an empty list has no mean")


def test_a_batch_function_skips_the_rows_that_fail(table: leman.Table, sample_library: Path) -> None:
    skip = [leman.Skip(leman.NativeFunctionError, match="no root of")]
    roots = leman.native_udf(sample_library, "roots", input_columns=["x"], on_error=skip)
    assert filled(table, "roots", roots) == ["1", "1", None]
    (error,) = table.get_errors(column_name="roots")
    assert (error.row, error.error_type) == (2, "leman.errors.NativeFunctionError")


def test_threads_of_one_worker_are_inside_at_once(tmp_path: Path, sample_library: Path) -> None:
    rows = pa.table({"x": pa.array(range(64), pa.int64())})
    table = leman.connect(tmp_path / "db").create_table("numbers", rows, max_rows_per_file=32)
    meets = leman.native_udf(sample_library, "meets_another", input_columns=["x"], task_size=8)
    # Each of the two threads waits in its first call for the other one to come.
    assert filled(table, "met", meets, concurrency=1, intra_applier_concurrency=2) == [True] * 64


def test_a_stored_function_is_used_by_another_process(table: leman.Table, sample_library: Path) -> None:
    table.add_columns({"words": leman.native_udf(sample_library, "word_count")})
    script = (
        f"import leman; table = leman.connect({table.connection.uri!r}).open_table('texts'); "
        "print(table.backfill('words', concurrency=1, progress=False).status)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "DONE", run.stderr
    table.checkout_latest()
    assert table.to_arrow().column("words").to_pylist() == [4, 1, None]


def test_a_library_that_changed_or_moved(table: leman.Table, sample_library: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lib" / "libmine.so"
    copy.parent.mkdir()
    shutil.copyfile(sample_library, copy)
    table.add_columns({"words": leman.native_udf(copy, "word_count")})
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(leman.JobFailedError, match=r"libmine.so of function 'word_count' has another content"):
        table.backfill("words", concurrency=1, progress=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(sample_library, elsewhere / "libmine.so")
    copy.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEMAN_NATIVE_PATH", str(elsewhere))
        assert table.backfill("words", concurrency=1, progress=False).status == "DONE"


def test_it_can_be_called_and_previewed(table: leman.Table, sample_library: Path) -> None:
    assert leman.native_udf(sample_library, "word_count")("one two") == 2
    preview = leman.native_udf(sample_library, "mean", input_columns=["vector"]).preview(table)
    assert [row.output for row in preview.rows] == [1.0, None, 3.0]
    assert [str(error) for error in preview.errors] == ["mean(): an empty list has no mean"]


def test_wrong_libraries_names_parameters_and_columns(table: leman.Table, sample_library: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.so"):
        leman.native_udf("nowhere.so", "f")
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(ValueError, match=r"text\.so cannot be loaded"):
        leman.native_udf(tmp_path / "text.so", "f")
    with pytest.raises(ValueError, match=r"no function 'word_cuont'; it has: plus_one, .*Did you mean 'word_count'"):
        leman.native_udf(sample_library, "word_cuont")
    with pytest.raises(FileNotFoundError, match="is a folder; give the path"):
        leman.native_udf(tmp_path, "f")
    with pytest.raises(TypeError, match="library=3: expected the path of a shared library"):
        leman.native_udf(3, "f")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"params='by': expected a dict"):
        leman.native_udf(sample_library, "scale", params="by")  # type: ignore[arg-type]
    words = leman.native_udf(sample_library, "word_count")
    assert words(text="to be") == 2
    with pytest.raises(TypeError, match=r"word_count\(text\): argument 'text' takes string, got 3"):
        words(3)
    with pytest.raises(TypeError, match=r"word_count\(text\): missing a required argument: 'text'"):
        words()
    with pytest.raises(TypeError, match=r"word_count\(\): argument 'text' takes string, got int64"):
        words.call_batch([pa.array([3])])
    with pytest.raises(TypeError, match="max_in_flight"):
        leman.native_udf(sample_library, "scale", max_in_flight=3)
    with pytest.raises(ValueError, match=r"timeout=-3"):
        leman.native_udf(sample_library, "plus_one", timeout=-3)
    with pytest.raises(leman.NativeFunctionError, match="an empty list has no mean"):
        leman.native_udf(sample_library, "mean")([])
    with pytest.raises(TypeError, match="JSON can hold"):
        leman.native_udf(sample_library, "scale", by=object())
    with pytest.raises(TypeError, match="column 'x' is double, but argument 'x' of function 'plus_one' takes int64"):
        table.add_columns({"y": leman.native_udf(sample_library, "plus_one")})
    table.add_columns({"scaled": leman.native_udf(sample_library, "scale")})
    with pytest.raises((leman.JobFailedError, ValueError), match="the parameter by is missing"):
        table.backfill("scaled", concurrency=1, progress=False)


def test_a_library_of_another_abi_or_that_crashes(tmp_path: Path) -> None:
    source = ROOT / "tests" / "native" / "broken_udfs.cc"
    with pytest.raises(ValueError, match="version 99 of the UDF ABI"):
        leman.native_udf(build(source, tmp_path / "libversion.so", "-DBROKEN_VERSION"), "broken")
    crashing = tmp_path / "crash.cc"
    crashing.write_text("#include <cstdlib>\nnamespace { const bool now = (std::abort(), true); }\n")
    with pytest.raises(ValueError, match="a library must do nothing when it is loaded"):
        leman.native_udf(build(crashing, tmp_path / "libcrash.so"), "f")


def test_a_function_that_crashes_is_a_worker_that_died(table: leman.Table, tmp_path: Path) -> None:
    source = tmp_path / "crash.cc"
    source.write_text(
        "#include <leman/udf.h>\n#include <cstdlib>\n"
        "LEMAN_UDF(crash, [](double x) -> double { if (x < 0) std::abort(); return x; });\n"
    )
    table.add_columns({"y": leman.native_udf(build(source, tmp_path / "libcrash.so"), "crash")})
    with pytest.raises(leman.WorkerCrashError, match="row"):
        table.backfill("y", input_columns=["x"], concurrency=1, progress=False)


def test_columns_of_one_pass_have_a_function_each(tmp_path: Path, sample_library: Path) -> None:
    data = {"x": [float(i) for i in range(300)], "text": [f"{i} words" for i in range(300)]}
    table = leman.connect(tmp_path / "db").create_table("t", data)
    functions = {
        "thrice": leman.native_udf(sample_library, "scale", by=3),
        "twice": leman.native_udf(sample_library, "scale", by=2),
        "root": leman.native_udf(sample_library, "root"),
        "or_zero": leman.native_udf(sample_library, "or_zero"),
        "chars": leman.builtin_udf("char_count", input_columns=["text"]),
        "words": leman.builtin_udf("word_count", input_columns=["text"]),
    }
    table.add_columns(functions)
    results = table.backfill(list(functions), concurrency=1, progress=False)
    assert {result.column: result.rows_computed for result in results} == dict.fromkeys(functions, 300)
    assert sum("rows_computed_alongside" in result.metrics for result in results) == 4
    found = table.to_arrow()
    for name, function in functions.items():
        values = data["text" if name in ("chars", "words") else "x"]
        assert found[name].to_pylist() == function.call_batch([pa.array(values)]).to_pylist(), name
