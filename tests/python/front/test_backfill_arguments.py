"""Every argument of backfill reaches the spec, and every error is raised before any work."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import leman
from leman import local_resources


@leman.udf
def n_words(text: str) -> int:
    return len(text.split())


@leman.udf(data_type=pa.int64())
def rows(batch: pa.RecordBatch) -> pa.Array:
    return batch["number"]


@pytest.fixture
def table(texts: leman.Table) -> leman.Table:
    texts.add_columns({"n_words": n_words, "rows": rows})
    return texts


def spec_of(table: leman.Table, runner: Any, column: str = "n_words", **arguments: Any) -> Any:
    table.backfill(column, **arguments)
    return runner.specs[-1]


def test_the_signature_is_as_documented() -> None:
    parameters = inspect.signature(leman.Table.backfill).parameters
    shown = {name: repr(entry.default) for name, entry in parameters.items() if entry.kind is entry.KEYWORD_ONLY}
    assert shown == {
        "input_columns": "None",
        "udf": "None",
        "where": "None",
        "concurrency": "8",
        "intra_applier_concurrency": "1",
        "refresh_status_secs": "2.0",
        "commit_granularity": "64",
        "read_version": "None",
        "task_shuffle_diversity": "8",
        "batch_size": "10240",
        "num_frags": "None",
        "skip_frags": "0",
        "task_size": "None",
        "checkpoint_size": "None",
        "min_checkpoint_size": "None",
        "max_checkpoint_size": "None",
        "num_cpus": "None",
        "num_gpus": "None",
        "memory": "None",
        "resources": "None",
        "label_selector": "None",
        "executor": "None",
        "timeout": "None",
        "stall_timeout": "None",
        "retry_failed": "False",
        "job_id": "None",
        "progress": "None",
    }
    assert inspect.signature(leman.Table.backfill_async).parameters.keys() == parameters.keys()


def test_defaults_reach_the_spec(table: leman.Table, runner: Any) -> None:
    spec = spec_of(table, runner)
    assert (spec.column, spec.table_name, spec.table_uri) == ("n_words", "texts", table.uri)
    assert (spec.read_version, spec.output_type, spec.udf, spec.udf_version) == (
        2,
        pa.int64(),
        n_words,
        n_words.version,
    )
    assert (spec.input_columns, spec.where, spec.done_version) == (("text",), None, n_words.version)
    assert (spec.concurrency, spec.intra_applier_concurrency, spec.refresh_status_secs) == (8, 1, 2.0)
    assert (spec.commit_granularity, spec.task_shuffle_diversity) == (64, 8)
    assert (spec.batch_size, spec.checkpoint_rows, spec.task_rows) == (10240, None, None)
    assert type(spec.batch_size) is int
    assert (spec.num_frags, spec.skip_frags, spec.timeout_s, spec.memory_bytes) == (None, 0, None, None)
    assert runner.datasets[-1].version == 2


def test_given_values_reach_the_spec(table: leman.Table, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_resources, "cpu_count", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    spec = spec_of(
        table,
        runner,
        where="number > 1",
        concurrency=np.int64(3),
        intra_applier_concurrency=2,
        refresh_status_secs=1,
        commit_granularity=None,
        task_shuffle_diversity=1,
        num_frags=2,
        skip_frags=1,
        task_size=5,
        min_checkpoint_size=2,
        max_checkpoint_size=9,
        num_cpus=0.5,
        num_gpus=1,
        memory=2**20,
        timeout=3,
        job_id="my-job_1",
    )
    assert (spec.where, spec.concurrency, spec.intra_applier_concurrency) == ("number > 1", 3, 2)
    assert type(spec.concurrency) is int
    assert (spec.refresh_status_secs, spec.commit_granularity, spec.task_shuffle_diversity) == (1.0, None, 1)
    assert (spec.num_frags, spec.skip_frags, spec.task_rows) == (2, 1, 5)
    assert (spec.min_checkpoint_rows, spec.max_checkpoint_rows) == (2, 9)
    assert (spec.num_cpus, spec.num_gpus, spec.memory_bytes, spec.timeout_s) == (0.5, 1.0, 2**20, 3.0)
    assert spec.job_id == "my-job_1"


@pytest.mark.parametrize(
    ("arguments", "batch_size", "checkpoint_rows"),
    [
        ({}, 10240, None),
        ({"batch_size": None}, 10240, None),
        ({"batch_size": 10240}, 10240, 10240),
        ({"batch_size": 100}, 100, 100),
        ({"checkpoint_size": 50}, 10240, 50),
        ({"batch_size": 100, "checkpoint_size": 50}, 100, 50),
        ({"batch_size": 100, "max_checkpoint_size": 60}, 100, 60),
    ],
)
def test_a_batch_size_that_was_given_fixes_the_checkpoint(
    table: leman.Table, runner: Any, arguments: dict[str, Any], batch_size: int, checkpoint_rows: int | None
) -> None:
    spec = spec_of(table, runner, **arguments)
    assert (spec.batch_size, spec.checkpoint_rows) == (batch_size, checkpoint_rows)


def test_the_functions_sizes_hold_unless_the_call_gives_others(texts: leman.Table, runner: Any) -> None:
    @leman.udf(batch_size=10, checkpoint_size=20, task_size=40, num_cpus=2, memory=100, max_checkpoint_size=30)
    def f(number: int) -> int:
        return number

    texts.add_columns({"f": f})
    spec = spec_of(texts, runner, "f")
    assert (spec.batch_size, spec.checkpoint_rows, spec.task_rows) == (10, 20, 40)
    assert (spec.num_cpus, spec.memory_bytes, spec.max_checkpoint_rows) == (2.0, 100, 30)
    spec = spec_of(texts, runner, "f", batch_size=5, task_size=7, num_cpus=1, memory=200)
    assert (spec.batch_size, spec.checkpoint_rows, spec.task_rows) == (5, 5, 7)
    assert (spec.num_cpus, spec.memory_bytes) == (1.0, 200)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"concurency": 2},
        TypeError,
        "backfill() got an unexpected keyword argument 'concurency'. Did you mean 'concurrency'?",
    ),
    ({"concurrency": 0}, ValueError, "concurrency=0: expected an integer >= 1"),
    ({"concurrency": -1}, ValueError, "concurrency=-1: expected an integer >= 1"),
    ({"concurrency": True}, TypeError, "concurrency=True: expected an integer >= 1, got a bool"),
    ({"concurrency": 2.0}, TypeError, "concurrency=2.0: expected an integer >= 1, got float"),
    ({"concurrency": "2"}, TypeError, "concurrency='2': expected an integer >= 1, got str"),
    ({"concurrency": None}, TypeError, "concurrency=None: expected an integer >= 1, got NoneType"),
    ({"intra_applier_concurrency": 0}, ValueError, "intra_applier_concurrency=0"),
    ({"refresh_status_secs": 0}, ValueError, "refresh_status_secs=0: expected a number > 0"),
    ({"refresh_status_secs": "2"}, TypeError, "refresh_status_secs='2': expected a number > 0, got str"),
    ({"commit_granularity": 0}, ValueError, "commit_granularity=0: expected an integer >= 1"),
    ({"commit_granularity": 1.5}, TypeError, "commit_granularity=1.5"),
    ({"task_shuffle_diversity": 0}, ValueError, "task_shuffle_diversity=0"),
    ({"batch_size": 0}, ValueError, "batch_size=0: expected an integer >= 1"),
    ({"batch_size": False}, TypeError, "batch_size=False"),
    ({"task_size": 0}, ValueError, "task_size=0"),
    ({"checkpoint_size": -5}, ValueError, "checkpoint_size=-5"),
    ({"min_checkpoint_size": 5, "max_checkpoint_size": 4}, ValueError, "min_checkpoint_size=5, max_checkpoint_size=4"),
    (
        {"checkpoint_size": 5, "max_checkpoint_size": 4},
        ValueError,
        "checkpoint_size=5: expected at most max_checkpoint_size=4",
    ),
    ({"checkpoint_size": 5, "min_checkpoint_size": 6}, ValueError, "checkpoint_size=5: expected at least"),
    ({"num_frags": 0}, ValueError, "num_frags=0: expected an integer >= 1"),
    ({"skip_frags": -1}, ValueError, "skip_frags=-1: expected an integer >= 0"),
    ({"num_cpus": -0.5}, ValueError, "num_cpus=-0.5: expected a number >= 0"),
    ({"num_gpus": "all"}, TypeError, "num_gpus='all'"),
    ({"memory": 0}, ValueError, "memory=0"),
    ({"memory": "4GiB"}, TypeError, "memory='4GiB': expected an integer >= 1, got str"),
    ({"timeout": 0}, ValueError, "timeout=0: expected a number > 0"),
    ({"timeout": float("inf")}, ValueError, "timeout=inf"),
    ({"job_id": "../x"}, ValueError, "job_id='../x': expected 1 to 128 letters, digits, '-' or '_'"),
    ({"job_id": ""}, ValueError, "job_id=''"),
    ({"job_id": 3}, TypeError, "job_id=3: expected a str, got int"),
    ({"progress": "yes"}, TypeError, "progress='yes': expected True, False, None or an object with start"),
    ({"read_version": 77}, ValueError, "read_version=77: table 'texts' has no such version; it has 1-2"),
    ({"read_version": 0}, ValueError, "read_version=0: expected an integer >= 1"),
    ({"read_version": True}, TypeError, "read_version=True"),
    ({"read_version": 1}, leman.ColumnNotFoundError, "col_name='n_words': the table (version 1) has no such column"),
    ({"udf": len}, TypeError, "udf=<built-in function len>: expected a UDF"),
    ({"input_columns": "text"}, TypeError, "input_columns='text': expected a list of column names, e.g. ['text']"),
    ({"input_columns": []}, ValueError, "input_columns=[]: expected a list of column names"),
    ({"input_columns": ["tex"]}, leman.ColumnNotFoundError, "Did you mean 'text'?"),
    ({"input_columns": ["text", "info.tag"]}, ValueError, "expected 1 columns for the arguments ['text']"),
    ({"input_columns": ["number"]}, TypeError, "column 'number' is int64, but argument 'text'"),
    ({"input_columns": ["n_words"]}, ValueError, "would read 'n_words', the column that it fills"),
    ({"where": 3}, TypeError, "where=3: expected a str, got int"),
    ({"where": " "}, ValueError, "where=' ': expected a str that is not empty"),
    (
        {"where": "numbr > 1"},
        leman.ColumnNotFoundError,
        "where='numbr > 1': the table has no column 'numbr'. Did you mean 'number'?",
    ),
    ({"where": "number >"}, ValueError, "where='number >': not a valid SQL condition"),
    ({"where": "number > 1; drop"}, ValueError, "expected one SQL condition, but something follows it"),
    ({"where": "number in (1, 2"}, ValueError, "not a valid SQL condition"),
    ({"where": "number + 1"}, ValueError, "expected a condition that is true or false for each row"),
    ({"where": "text = "}, ValueError, "not a valid SQL condition"),
    ({"where": "number = 'abc'"}, ValueError, "not a valid SQL condition"),
    ({"where": "nofunc(number)"}, ValueError, "Invalid function 'nofunc'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG, ids=[str(entry[0]) for entry in WRONG])
def test_a_wrong_argument_is_refused_before_any_work(
    table: leman.Table, runner: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    for call in (table.backfill, table.plan_backfill, table.backfill_async):
        with pytest.raises(error) as caught:
            call("n_words", **arguments)
        said = str(caught.value).replace("plan_backfill()", "backfill()").replace("backfill_async()", "backfill()")
        assert message in said
        assert "/rust/" not in said
    assert runner.specs == runner.planned == []


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (
            "n_word",
            leman.ColumnNotFoundError,
            "col_name='n_word': the table (version 2) has no such column. Did you mean 'n_words'?",
        ),
        ("number", ValueError, "column 'number' has no function; pass one as udf=, or register it with alter_columns"),
        (3, TypeError, "col_name=3: expected a column name (str), got int"),
        ("info.size", leman.ColumnNotFoundError, "col_name='info.size'"),
        ("../x", leman.ColumnNotFoundError, "col_name='../x'"),
    ],
)
def test_a_wrong_column_is_refused(table: leman.Table, column: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        table.backfill(column)
    assert message in str(caught.value)


def test_filters_may_use_struct_fields_comments_and_row_ids(table: leman.Table, runner: Any) -> None:
    for where in ("info.size = 1", "number > 1 -- the later ones", "_rowid > 0", "length(text) > 1", "n_words IS NULL"):
        assert spec_of(table, runner, where=where).where == where


def test_input_columns_override_the_sources_of_a_scalar_function(table: leman.Table, runner: Any) -> None:
    assert spec_of(table, runner, input_columns=["info.tag"]).input_columns == ("info.tag",)


def test_input_columns_with_a_record_batch_function_are_a_value_error_that_says_so(
    table: leman.Table, runner: Any
) -> None:
    for arguments in ({}, {"udf": rows}):
        with pytest.raises(ValueError, match=r"not valid for a pa\.RecordBatch UDF"):
            table.backfill("rows", input_columns=["number"], **arguments)
    assert runner.specs == []


def test_a_whole_row_function_reads_every_column_but_its_own(table: leman.Table, runner: Any) -> None:
    expected = tuple(name for name in table.schema.names if name != "rows")
    assert spec_of(table, runner, "rows").input_columns == expected


def test_udf_overrides_the_columns_function_for_one_job(table: leman.Table, runner: Any) -> None:
    @leman.udf(version="other")
    def other(number: int) -> int:
        return number

    spec = spec_of(table, runner, udf=other)
    assert (spec.udf, spec.udf_version, spec.input_columns) == (other, "other", ("number",))
    assert spec.done_version == n_words.version
    assert spec_of(table, runner).udf is n_words


def test_udf_of_another_type_is_refused(table: leman.Table) -> None:
    @leman.udf
    def other(number: int) -> str:
        return ""

    with pytest.raises(TypeError, match="column 'n_words' is int64, but function 'other' makes string"):
        table.backfill("n_words", udf=other)


def test_a_plain_column_can_be_filled_with_udf_where_it_is_null(table: leman.Table, runner: Any) -> None:
    spec = spec_of(table, runner, "number", udf=n_words)
    assert spec.done_version == n_words.version


def test_the_object_of_this_process_is_used_only_while_the_column_has_its_version(
    table: leman.Table, runner: Any
) -> None:
    assert spec_of(table, runner).udf is n_words

    @leman.udf(version="2")
    def newer(text: str) -> int:
        return 0

    leman.connect(table.connection.uri).open_table("texts").alter_columns({"path": "n_words", "udf": newer})
    assert spec_of(table, runner).udf is newer


def test_read_version_and_a_pinned_table_choose_the_snapshot(table: leman.Table, runner: Any) -> None:
    table.add_columns({"later": "number"})
    assert spec_of(table, runner, read_version=2).read_version == 2
    assert runner.datasets[-1].version == 2
    pinned = table.connection.open_table("texts", version=2)
    assert spec_of(pinned, runner).read_version == 2
    assert spec_of(table, runner).read_version == 3


def test_an_empty_table_is_no_error(database: leman.Connection, runner: Any) -> None:
    table = database.create_table("empty", schema=pa.schema([("text", pa.string())]))
    table.add_columns({"n_words": n_words})
    result = table.backfill("n_words", where="text IS NOT NULL")
    assert (result.status, result.rows_total) == ("DONE", 0)


def test_the_result_is_the_job_id_and_more(table: leman.Table) -> None:
    import pickle

    result = table.backfill("n_words", job_id="job-1")
    assert result == result.job_id == "job-1"
    assert isinstance(result, str)
    assert (result.status, result.rows_total, result.rows_computed, result.rows_skipped) == ("DONE", 3, 3, 0)
    assert (result.fragments_committed, result.version, result.duration_s, result.metrics) == (
        1,
        3,
        0.5,
        {"udf_s": 0.25},
    )
    assert pickle.loads(pickle.dumps(result)).rows_total == 3
    assert "3 rows computed" in result.summary()


def test_new_job_ids_differ_and_are_valid(table: leman.Table) -> None:
    ids = {table.backfill("n_words") for _ in range(3)}
    assert len(ids) == 3
    assert all(set(job) <= set("0123456789abcdef-") for job in ids)


def test_plan_returns_what_the_engine_says(table: leman.Table, runner: Any) -> None:
    assert table.plan_backfill("n_words", num_frags=1) == "plan of n_words"
    assert runner.planned[0].num_frags == 1


def test_a_handle_tells_how_the_job_goes(table: leman.Table, runner: Any) -> None:
    import threading

    go = threading.Event()
    runner.wait_for = lambda cancel: go.wait(10)
    handle = table.backfill_async("n_words", job_id="slow")
    assert (handle.job_id, handle.done(), handle.status) == ("slow", False, "RUNNING")
    with pytest.raises(TimeoutError, match=r"job slow still runs after 0.01 s"):
        handle.result(timeout=0.01)
    go.set()
    assert handle.result(timeout=10).status == "DONE"
    assert (handle.done(), handle.status) == (True, "DONE")


def test_a_handle_can_cancel(table: leman.Table, runner: Any) -> None:
    import time

    def until_cancelled(cancel: Any) -> None:
        while not cancel.cancelled:
            time.sleep(0.01)
        raise leman.JobCancelledError("cancelled", "slow")

    runner.wait_for = until_cancelled
    handle = table.backfill_async("n_words")
    handle.cancel()
    with pytest.raises(leman.JobCancelledError):
        handle.result(timeout=10)
    assert handle.status == "CANCELLED"


def test_an_error_of_the_job_reaches_the_caller(table: leman.Table, runner: Any) -> None:
    runner.error = leman.UserFunctionError("row 3: ValueError: bad", "j")
    with pytest.raises(leman.UserFunctionError, match="row 3"):
        table.backfill("n_words")
    handle = table.backfill_async("n_words")
    with pytest.raises(leman.JobFailedError):
        handle.result(timeout=10)
    assert handle.status == "FAILED"


def test_the_snapshot_does_not_move_when_the_table_does(
    table: leman.Table, runner: Any, forget_functions: Callable[[], None]
) -> None:
    table.backfill("n_words")
    table.add_columns({"later": "number"})
    assert table.version == 3
    assert runner.datasets[0].version == 2
