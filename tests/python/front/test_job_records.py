"""Jobs are read from records; a bad record or a dead driver is told, and hides nothing."""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import leman
from leman.cli import cli
from leman.jobs import request_cancel


def record(table: leman.Table, job_id: str, **fields: Any) -> Path:
    folder = Path(table.uri) / "_leman" / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content = {
        "format": 1,
        "job_id": job_id,
        "table_name": table.name,
        "column": "n_words",
        "status": "DONE",
        "launched_at": "2026-11-23T10:15:30.123Z",
        "updated_at": now,
        "completed_at": None,
        "error": None,
        "driver": {"pid": os.getpid(), "host": socket.gethostname()},
        "read_version": 2,
        "version": 3,
        "udf_name": "n_words",
        "udf_version": "auto-1",
        "where": None,
        "metrics": {"rows_computed": 3, "udf_s": 0.5},
        "events": [{"timestamp": now, "message": "started"}],
        **fields,
    }
    path = folder / f"{job_id}.json"
    path.write_text(json.dumps(content))
    return path


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_record_is_read(texts: leman.Table) -> None:
    record(texts, "job-1")
    job = texts.connection.get_job("job-1")
    assert (job.job_id, job.table_name, job.column, job.status) == ("job-1", "texts", "n_words", "DONE")
    assert job.launched_at == datetime.datetime(2026, 11, 23, 10, 15, 30, 123000, datetime.timezone.utc)
    assert (job.error, job.metrics["rows_computed"], job.events[0]["message"]) == (None, 3, "started")
    assert (job.driver_pid, job.read_version, job.version) == (os.getpid(), 2, 3)
    assert json.loads(json.dumps(job.as_dict()))["launched_at"] == "2026-11-23T10:15:30.123000Z"


def test_jobs_are_listed_newest_first_and_filtered(texts: leman.Table) -> None:
    database = texts.connection
    other = database.create_table("other", {"a": [1]})
    record(texts, "a", launched_at="2026-11-21T00:00:00Z")
    record(
        texts,
        "b",
        launched_at="2026-11-23T00:00:00Z",
        status="FAILED",
        error={"type": "UserFunctionError", "message": "m"},
    )
    record(other, "c", launched_at="2026-11-22T00:00:00Z")
    assert [job.job_id for job in database.list_jobs()] == ["b", "c", "a"]
    assert [job.job_id for job in database.list_jobs("texts")] == ["b", "a"]
    assert [job.job_id for job in database.list_jobs(status="FAILED")] == ["b"]
    assert (database.get_job("b").error_type, database.get_job("b").error) == ("UserFunctionError", "m")


def test_wrong_arguments_are_named(texts: leman.Table) -> None:
    database = texts.connection
    with pytest.raises(ValueError, match="status='done': expected one of PENDING"):
        database.list_jobs(status="done")
    with pytest.raises(leman.TableNotFoundError):
        database.list_jobs("nope")
    with pytest.raises(leman.JobNotFoundError, match="job_id='nope': no table of"):
        database.get_job("nope")
    with pytest.raises(ValueError, match=r"job_id='\.\./x'"):
        database.get_job("../x")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[1]", "not a JSON object"),
        ('"x"', "not a JSON object"),
        ("[" * 100_000, "cannot be read"),
        ('{"format": 2}', "its format is 2, and this Leman reads 1"),
        ('{"format": 1, "job_id": "other", "status": "DONE"}', "its job_id is 'other'"),
        ('{"format": 1, "job_id": "bad", "status": "NICE"}', "its status is 'NICE'"),
        ('{"format": 1, "job_id": "bad", "status": "DONE", "launched_at": "soon"}', "cannot be read"),
        ('{"format": 1, "job_id": "bad", "status": "DONE", "metrics": 3, "error": "x"}', "cannot be read"),
        ("\udcff\udcfe", "cannot be read"),
    ],
)
def test_a_record_that_cannot_be_read_is_told_and_hides_no_other(texts: leman.Table, content: str, why: str) -> None:
    record(texts, "good")
    (Path(texts.uri) / "_leman" / "jobs" / "bad.json").write_bytes(content.encode(errors="surrogateescape"))
    jobs = {job.job_id: job for job in texts.connection.list_jobs()}
    assert jobs["good"].status == "DONE"
    assert (jobs["bad"].status, jobs["bad"].error_type) == ("FAILED", "CorruptRecord")
    assert why in (jobs["bad"].error or "")


def test_a_running_job_of_this_process_runs(texts: leman.Table) -> None:
    record(texts, "live", status="RUNNING")
    assert texts.connection.get_job("live").status == "RUNNING"


def test_a_running_job_whose_driver_died_is_shown_as_failed_and_resumable(texts: leman.Table) -> None:
    before = record(texts, "dead", status="RUNNING", driver={"pid": dead_process(), "host": socket.gethostname()})
    content = before.read_text()
    job = texts.connection.get_job("dead")
    assert (job.status, job.error_type) == ("FAILED", "DriverDied")
    assert "run the same backfill again to resume" in (job.error or "")
    assert before.read_text() == content


def test_a_process_id_that_was_given_away_is_no_driver(texts: leman.Table) -> None:
    here = {"pid": os.getpid(), "host": socket.gethostname()}
    record(texts, "other-start", status="RUNNING", driver={**here, "start_ticks": 1})
    record(texts, "other-boot", status="RUNNING", driver={**here, "boot_id": "x"})
    record(texts, "silent", status="RUNNING", driver=here, updated_at="2026-01-01T00:00:00Z")
    assert {job.status for job in texts.connection.list_jobs()} == {"FAILED"}


def ago(seconds: float) -> str:
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)).isoformat()


def test_a_silent_driver_elsewhere_is_lost_and_after_ten_minutes_dead(texts: leman.Table) -> None:
    away = {"pid": 1, "host": "elsewhere.example"}
    record(texts, "fresh", status="RUNNING", driver=away, updated_at=ago(50))
    record(texts, "silent", status="RUNNING", driver=away, updated_at=ago(70))
    record(texts, "old", status="RUNNING", driver=away, updated_at=ago(700))
    jobs = {job.job_id: job for job in texts.connection.list_jobs()}
    assert {name: job.status for name, job in jobs.items()} == {"fresh": "RUNNING", "silent": "LOST", "old": "FAILED"}
    assert "(process 1 on elsewhere.example) has not been heard of for" in (jobs["silent"].error or "")
    assert "has not been heard of for 12 min" in (jobs["old"].error or "")


def test_a_silent_driver_that_lives_here_is_lost_and_cleaned_after_by_nobody(texts: leman.Table) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        driver = {"pid": process.pid, "host": socket.gethostname(), "start_ticks": ticks}
        record(texts, "silent", status="RUNNING", driver=driver, updated_at=ago(7000))
        job = texts.connection.get_job("silent")
        assert (job.status, job.error_type, job.is_over) == ("LOST", "DriverLost", False)
        asked = CliRunner().invoke(cli, ["cancel", texts.connection.uri, "silent"])
        assert "was asked to stop. But its driver (process" in asked.output and "for 117 min since" in asked.output
        listed = CliRunner().invoke(cli, ["jobs", texts.connection.uri, "--status", "lost"])
        assert "silent: its driver (process" in listed.output
    finally:
        process.communicate(b"\n", timeout=30)
    assert texts.connection.get_job("silent").status == "FAILED"


def test_cancelling_writes_a_request_beside_the_record(texts: leman.Table) -> None:
    path = record(texts, "live", status="RUNNING")
    assert request_cancel(texts.connection.get_job("live"))
    assert json.loads(path.with_suffix(".cancel").read_text())["format"] == 1
    record(texts, "over")
    assert not request_cancel(texts.connection.get_job("over"))
    assert not path.with_name("over.cancel").exists()


def test_a_job_id_of_a_job_that_runs_is_refused(texts: leman.Table) -> None:
    @leman.udf
    def f(number: int) -> int:
        return number

    texts.add_columns({"f": f})
    record(texts, "live", status="RUNNING")
    record(texts, "over")
    with pytest.raises(ValueError, match="job_id='live': a job of that id is RUNNING"):
        texts.backfill("f", job_id="live")
    assert texts.backfill("f", job_id="over") == "over"
