"""`import leman` loads nothing big, and lancedb comes only when one of its methods is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import leman

BIG = ("pyarrow", "numpy", "lance", "lancedb", "rich", "click", "cloudpickle", "ray", "pandas", "leman.job_runner")


def loaded_after(code: str, tmp_path: Path) -> list[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(leman.__file__).parents[1]),
        "LEMAN_CONFIG_DIR": str(tmp_path / "config"),
    }
    show = f"\nimport sys\nprint('LOADED', *[name for name in {BIG!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + show], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("LOADED")[1].split()


def test_import_leman_loads_nothing_big(tmp_path: Path) -> None:
    assert loaded_after("import leman", tmp_path) == []


def test_defining_a_function_and_matchers_loads_nothing_big(tmp_path: Path) -> None:
    code = """
import leman
@leman.udf(on_error=leman.retry_all())
def n_words(text: str) -> int:
    return len(text.split())
n_words("a b"), n_words.version
leman.connect("db")
"""
    assert loaded_after(code, tmp_path) == []


def test_making_altering_and_reading_a_table_does_not_import_lancedb(tmp_path: Path) -> None:
    code = """
import leman
table = leman.connect("db").create_table("t", {"a": [1]})
table.add_columns({"b": "a + 1"})
table.count_rows(), table.schema, table.to_arrow(), hasattr(table, "_repr_html_"), repr(table)
"""
    loaded = loaded_after(code, tmp_path)
    assert "lancedb" not in loaded
    assert "rich" not in loaded


def test_a_process_that_opens_no_table_does_not_start_workers(tmp_path: Path) -> None:
    assert "leman.job_runner" not in loaded_after(
        "import leman; db = leman.connect('db'); db.table_names(); db.list_jobs()", tmp_path
    )


def test_every_public_name_is_there() -> None:
    for name in leman.__all__:
        assert getattr(leman, name) is not None
    assert set(leman.__all__) <= set(dir(leman))


def test_a_misspelt_public_name_is_suggested() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'conect'. Did you mean 'connect'"):
        leman.conect  # noqa: B018
