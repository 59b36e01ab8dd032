"""A database in a temporary folder, a key folder of its own, and an engine that only notes what it is asked."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import leman
from leman.function_registry import _bound


class RecordingRunner(types.ModuleType):
    """Stands in for ``leman.job_runner``: keeps the specs, computes nothing."""

    def __init__(self) -> None:
        super().__init__("leman.job_runner")
        self.specs: list[Any] = []
        self.executors: list[Any] = []
        self.datasets: list[Any] = []
        self.planned: list[Any] = []
        self.prewarmed = 0
        self.error: BaseException | None = None
        self.wait_for: Any = None

    def prewarm(self) -> None:
        self.prewarmed += 1

    def run_backfill(
        self, spec: Any, dataset: Any, *, progress: Any = None, cancel: Any = None, executor: Any = None
    ) -> dict[str, Any]:
        self.executors.append(executor)
        self.specs.append(spec)
        self.datasets.append(dataset)
        if self.wait_for is not None:
            self.wait_for(cancel)
        if self.error is not None:
            raise self.error
        rows = dataset.count_rows()
        result = {
            "job_id": spec.job_id,
            "status": "DONE",
            "rows_total": rows,
            "rows_computed": rows,
            "rows_skipped": 0,
            "fragments_total": 1,
            "fragments_committed": 1,
            "version": dataset.version + 1,
            "duration_s": 0.5,
            "metrics": {"udf_s": 0.25},
        }
        if progress is not None:
            progress.start({"job_id": spec.job_id, "table_name": spec.table_name, "column": spec.column})
            progress.finish(result)
        return result

    def plan_backfill(self, spec: Any, dataset: Any) -> str:
        self.planned.append(spec)
        return f"plan of {spec.column}"

    def clean(self, table_uri: str, *, storage_options: dict[str, str], dry_run: bool) -> dict[str, int]:
        return {"files_removed": 0 if dry_run else 3}


@pytest.fixture(autouse=True)
def config_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("config") / "leman"
    monkeypatch.setenv("LEMAN_CONFIG_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def runner(monkeypatch: pytest.MonkeyPatch) -> RecordingRunner:
    stub = RecordingRunner()
    monkeypatch.setitem(sys.modules, "leman.job_runner", stub)
    monkeypatch.setattr(leman, "job_runner", stub, raising=False)
    return stub


@pytest.fixture
def forget_functions() -> Iterator[Any]:
    """Make this process look like another one, which bound no function to a column."""
    _bound.clear()
    yield _bound.clear
    _bound.clear()


@pytest.fixture
def database(tmp_path: Path) -> leman.Connection:
    return leman.connect(tmp_path / "db")


@pytest.fixture
def texts(database: leman.Connection) -> leman.Table:
    data = {
        "text": ["a b", "c", None],
        "number": [1, 2, 3],
        "fraction": [0.5, 1.5, 2.5],
        "vector": [[1.0, 2.0], [3.0], None],
        "info": [{"size": 1, "tag": "x"}, {"size": 2, "tag": "y"}, None],
    }
    return database.create_table("texts", data)
