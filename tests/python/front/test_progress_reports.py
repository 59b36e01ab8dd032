"""Progress: bars on a terminal, few lines elsewhere, nothing where nothing is wanted."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from leman import progress

SNAPSHOT = {
    "phase": "compute",
    "rows_total": 1000,
    "rows_computed": 500,
    "rows_checkpointed": 400,
    "fragments_total": 4,
    "fragments_assembled": 1,
    "fragments_committed": 1,
    "bytes_assembled": 1024,
    "bytes_to_assemble": 4096,
    "rows_per_s": 250.0,
    "workers": 2,
    "elapsed_s": 2.0,
}
RESULT = {
    "job_id": "j",
    "status": "DONE",
    "rows_computed": 1000,
    "rows_skipped": 3,
    "fragments_committed": 4,
    "duration_s": 4.0,
    "metrics": {"bytes_assembled": 3072},
}
INFO = {"table_name": "texts", "column": "n_words"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Cell(io.StringIO):
    """As ipykernel's stream."""


Cell.__module__ = "ipykernel.iostream"


def test_in_a_notebook_one_line_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell()
    monkeypatch.setattr(sys, "stderr", cell)
    sink = progress.make_sink(True)
    assert isinstance(sink, progress.ProgressLines)
    sink._interval_s = 0.0
    sink.start(INFO)
    for _ in range(50):
        sink.update(SNAPSHOT)
    sink.finish(RESULT)
    progress.close_sink(sink)
    written = cell.getvalue()
    assert written.count("\n") == 1
    *_, last = written.removesuffix("\n").split("\r")
    assert last.startswith("leman texts.n_words: DONE") and len(last) >= len("leman ") + len(
        progress.describe(SNAPSHOT)
    )


def test_a_line_that_stands_is_ended_where_the_job_ends_in_an_error() -> None:
    cell = Cell()
    sink = progress.ProgressLines(cell, interval_s=0.0, in_place=True)
    sink.update(SNAPSHOT)
    sink.update({**SNAPSHOT, "message": "a worker died"})
    sink.update(SNAPSHOT)
    progress.close_sink(sink)
    first, second, after = cell.getvalue().split("\n")
    assert first.split("\r")[-1].endswith("; a worker died")
    assert (second.rstrip(), after) == (f"leman backfill: {progress.describe(SNAPSHOT)}", "")


def test_progress_false_is_silent() -> None:
    assert progress.make_sink(False) is None


def test_lines_are_few_and_say_what_counts() -> None:
    stream = io.StringIO()
    sink = progress.ProgressLines(stream, interval_s=0.0)
    sink.start(INFO)
    sink.update(SNAPSHOT)
    sink.finish(RESULT)
    first, last = stream.getvalue().splitlines()
    assert first == (
        "leman texts.n_words: 500 of 1,000 rows computed (50 %), 250 rows/s, 400 checkpointed, 1.0 KiB of 4.0 KiB "
        "assembled, 1 of 4 fragments committed, 2 workers"
    )
    assert last == "leman texts.n_words: DONE: 1,000 rows computed, 3 skipped, 4 fragments committed in 4.0 s (job j)"


def test_a_short_job_says_nothing_by_itself_but_a_message_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    sink = progress.make_sink(None)
    assert sink is not None
    sink.start(INFO)
    sink.update(SNAPSHOT)
    sink.finish(RESULT)
    assert stream.getvalue() == ""
    sink.update({**SNAPSHOT, "message": "a worker died"})
    assert "a worker died" in stream.getvalue()


def test_a_closed_stream_does_not_end_the_job() -> None:
    stream = io.StringIO()
    sink = progress.ProgressLines(stream, interval_s=0.0)
    stream.close()
    sink.update(SNAPSHOT)


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    sink = progress.make_sink(None)
    assert isinstance(sink, progress.ProgressBars)
    sink.start(INFO)
    sink.update({**SNAPSHOT, "message": "compaction [seen]"})
    sink.finish(RESULT)
    text = stream.getvalue()
    for word in (
        "computed",
        "checkpointed",
        "assembled",
        "committed",
        "1,000 / 1,000",
        "3.0 KiB / 3.0 KiB",
        "2 workers",
        "compaction [seen]",
        "DONE",
    ):
        assert word in text


def test_closing_gives_the_terminal_back_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    sink = progress.make_sink(True)
    assert sink is not None
    sink.start(INFO)
    progress.close_sink(sink)
    progress.close_sink(sink)
    progress.close_sink(None)


def test_an_incomplete_snapshot_is_shown_as_far_as_it_goes() -> None:
    for snapshot in ({}, {"rows_total": 0, "rows_computed": 0}, {"rows_computed": 5}):
        assert "rows computed" in progress.describe(snapshot)


def test_an_object_of_ones_own_is_taken() -> None:
    class Sink:
        def start(self, info: Any) -> None: ...
        def update(self, snapshot: Any) -> None: ...
        def finish(self, result: Any) -> None: ...

    sink = Sink()
    assert progress.make_sink(sink) is sink
