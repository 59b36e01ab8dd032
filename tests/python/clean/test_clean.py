"""`leman clean`: what dead jobs left goes, nothing that is needed does."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import lance
import pyarrow as pa
import pytest
from click.testing import CliRunner

import leman
from leman import lance_cleanup
from leman.cli import cli
from leman.job_runner import clean
from leman.lance_cleanup import clean_table

from .conftest import Beside, times, wait_until

DONE_FILE = "leman-f" + "1" * 24 + "-0-0123456789ab.lance"


def is_filled(table: leman.Table) -> bool:
    return table.count_rows("y = x * 10") == table.count_rows()


def put(root: pathlib.Path, name: str, content: bytes = b"x") -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def put_record(root: pathlib.Path, job_id: str, status: str, **fields: object) -> None:
    record = {"format": 1, "job_id": job_id, "status": status, "column": "y", **fields}
    put(root, f"_leman/jobs/{job_id}.json", json.dumps(record).encode())


def age(root: pathlib.Path, name: str, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(root / name, (then, then))


def test_a_killed_jobs_checkpoints_go_and_the_next_backfill_computes_everything(
    db: leman.Connection, beside: Beside
) -> None:
    beside.killed_backfill()
    left = beside.checkpoints()
    told = clean(db.table_uri("numbers"), dry_run=True)
    assert {item["file"] for item in told["would_remove"]} >= left
    assert beside.checkpoints() == left
    done = clean(db.table_uri("numbers"))
    assert (done["files"], done["bytes"], done["kept"]) == (told["files"], told["bytes"], told["kept"])
    assert done["files"] >= 5
    assert done["bytes"] > 0
    assert beside.checkpoints() == set()
    assert not any(name.startswith("_leman/leases/") for name in beside.files())
    again = beside.backfill(0.0)
    said, failed = again.communicate(timeout=60)
    assert again.returncode == 0, failed
    assert said.split() == ["400"]
    assert is_filled(db.open_table("numbers"))


def test_a_killed_jobs_commits_stay(db: leman.Connection, beside: Beside) -> None:
    driver = beside.backfill(0.005, commit_granularity=1, task_shuffle_diversity=1)
    table = db.open_table("numbers")
    wait_until(lambda: db.open_table("numbers").count_rows("y is not null") >= 100, driver)
    driver.kill()
    driver.wait()
    clean_table(db.table_uri("numbers"), grace_s=0)
    table = db.open_table("numbers")
    assert table.count_rows("y is not null and y = x * 10") == table.count_rows("y is not null") >= 100
    assert table.backfill("y", udf=times, concurrency=2, progress=False).status == "DONE"
    assert is_filled(db.open_table("numbers"))


def test_cleaning_twice_is_a_no_op(db: leman.Connection, beside: Beside) -> None:
    beside.killed_backfill()
    # What a worker leaves that is killed while Lance writes for it.
    put(beside.root, f"{sorted(beside.checkpoints())[0].rpartition('/')[0]}/.tmpa1B2c3")
    clean_table(db.table_uri("numbers"), grace_s=0)
    files = beside.files()
    assert clean_table(db.table_uri("numbers"), grace_s=0) == {"files": 0, "bytes": 0, "kept": 0}
    assert beside.files() == files
    assert list((beside.root / "_leman/checkpoints").iterdir()) == []


def test_a_running_job_keeps_its_files_and_succeeds(db: leman.Connection, beside: Beside) -> None:
    beside.killed_backfill(factor=7)
    driver = beside.backfill(0.01, commit_granularity=1)
    before = len(beside.checkpoints())
    wait_until(lambda: len(beside.checkpoints()) >= before + 5, driver)
    for _ in range(20):
        # What the killed job left is too young to be told from what the running one makes: it stays, too.
        assert clean(db.table_uri("numbers"))["files"] == 0
        time.sleep(0.02)
    said, failed = driver.communicate(timeout=60)
    assert driver.returncode == 0, failed
    # Nothing was computed twice, so nothing that the job needed was removed.
    assert said.split() == ["400"]
    assert db.list_jobs()[0].metrics["rows_computed"] == 400
    assert is_filled(db.open_table("numbers"))


def test_a_running_job_keeps_the_checkpoints_that_it_resumes_from(db: leman.Connection, beside: Beside) -> None:
    beside.killed_backfill()
    saved = beside.checkpoints()
    driver = beside.backfill(0.01)
    wait_until(lambda: len(beside.checkpoints()) > len(saved), driver)
    # With a grace of less than nothing, every file is older than the job.
    told = clean_table(db.table_uri("numbers"), dry_run=True, grace_s=-1000)
    kept = {item["file"] for item in told["would_keep"]}
    assert saved <= kept or driver.poll() is not None
    assert not any(item["file"].startswith("_leman/checkpoints/") for item in told["would_remove"])
    said, failed = driver.communicate(timeout=60)
    assert driver.returncode == 0, failed
    rows = sum(
        int(end) - int(start) for start, end in (name[:-6].split("-")[-3:-1] for name in saved if "tmp" not in name)
    )
    assert int(said) == 400 - rows


def test_every_version_tag_and_branch_stays_readable(
    db: leman.Connection, numbers: leman.Table, beside: Beside
) -> None:
    uri = db.table_uri("numbers")
    numbers.backfill("y", udf=times, concurrency=1, progress=False)

    @leman.udf(version="negative")
    def negative(x: int) -> int:
        return -x

    lance.dataset(uri).tags.create("times", lance.dataset(uri).version)
    lance.dataset(uri).create_branch("team/side", lance.dataset(uri).version)
    db.open_table("numbers").backfill("y", udf=negative, concurrency=1, progress=False)
    lance.dataset(uri).insert(pa.table({"x": [400], "y": [4000]}))
    lance.dataset(uri).drop_columns(["y"])
    dataset = lance.dataset(uri)
    detached = _detached_version(uri)
    before = {entry["version"]: dataset.checkout_version(entry["version"]).to_table() for entry in dataset.versions()}
    stray = put(beside.root, f"data/{DONE_FILE}")
    assert clean_table(uri, grace_s=0, payload_grace_s=0)["files"] == 1
    assert stray not in beside.files()
    for version, rows in before.items():
        assert lance.dataset(uri, version=version).to_table() == rows
    assert lance.dataset(uri).checkout_version("times").count_rows("y = x * 10") == 400
    assert lance.dataset(uri).checkout_version(("team/side", None)).count_rows("y = x * 10") == 400
    assert lance.dataset(uri).checkout_version(detached).count_rows("y = -x") == 400


def _detached_version(uri: str) -> int:
    # A version of its own that refers to files which, let us say, no other one does.
    dataset = lance.dataset(uri)
    full = next(
        v["version"] for v in reversed(dataset.versions()) if "y" in dataset.checkout_version(v["version"]).schema.names
    )
    old = dataset.checkout_version(full)
    operation = lance.LanceOperation.Overwrite(old.schema, [fragment.metadata for fragment in old.get_fragments()][:4])
    return lance.LanceDataset.commit(dataset, operation, read_version=dataset.version, detached=True).version


def test_files_that_only_a_branch_or_a_detached_version_refers_to_stay(
    db: leman.Connection, numbers: leman.Table, beside: Beside
) -> None:
    uri = db.table_uri("numbers")
    numbers.backfill("y", udf=times, concurrency=1, progress=False)
    dataset = lance.dataset(uri)
    dataset.create_branch("team/side", dataset.version)
    detached = _detached_version(uri)
    side = dataset.checkout_version(("team/side", None))
    kept_aside = lance.LanceDataset.commit(
        side,
        lance.LanceOperation.Overwrite(side.schema, [f.metadata for f in side.get_fragments()]),
        read_version=side.version,
        detached=True,
    ).version
    dataset.drop_columns(["y"])
    dataset = lance.dataset(uri)
    # Lance itself keeps the files of branches; the manifests of the main line that refer to them go.
    for manifest in (beside.root / "_versions").glob("1844*.manifest"):
        if (2**64 - 1) - int(manifest.stem) < dataset.version:
            manifest.unlink()
    assert clean_table(uri, grace_s=0)["files"] == 0
    assert lance.dataset(uri).checkout_version(("team/side", None)).count_rows("y = x * 10") == 400
    assert lance.dataset(uri).checkout_version(detached).count_rows("y = x * 10") == 400
    side = lance.dataset(uri).checkout_version(("team/side", None)).checkout_version(kept_aside)
    assert side.count_rows("y = x * 10") == 400
    for child in (beside.root / "tree", beside.root / "_refs"):
        subprocess.run(["rm", "-r", str(child)], check=True)
    assert clean_table(uri, grace_s=0)["files"] == 0
    next((beside.root / "_versions").glob("d*.manifest")).unlink()
    assert clean_table(uri, grace_s=0)["files"] == 4


def test_foreign_files_stay(db: leman.Connection, beside: Beside) -> None:
    computation = "a" * 32
    foreign = {
        put(beside.root, name)
        for name in (
            "data/leman-notes.lance",
            "data/0123456789abcdef.lance",
            "data/notes.txt",
            f"data/deep/{DONE_FILE}",
            DONE_FILE,
            "_leman/notes.txt",
            "_leman/mine/j.json",
            "_leman/jobs/notes.txt",
            "_leman/udfs/mine.pkl",
            "_leman/checkpoints/notes.txt",
            "_leman/checkpoints/mine/0-0123456789abcdef-0-10.lance",
            f"_leman/checkpoints/{computation}/notes.txt",
        )
    }
    name = f"_leman/checkpoints/{computation}/0-0123456789abcdef-0-10.lance"
    put(beside.root, name)
    assert clean_table(db.table_uri("numbers"), grace_s=0, payload_grace_s=0, jobs_older_than_days=0)["files"] == 1
    assert name not in beside.files()
    assert foreign <= beside.files()


def test_links_are_not_followed(db: leman.Connection, beside: Beside, tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    inside = elsewhere / "0-0123456789abcdef-0-10.lance"
    put(elsewhere, inside.name)
    (beside.root / "_leman/checkpoints").mkdir(parents=True)
    (beside.root / "_leman/checkpoints" / ("b" * 32)).symlink_to(elsewhere)
    clean_table(db.table_uri("numbers"), grace_s=0)
    assert inside.exists()


def test_a_young_data_file_of_no_version_stays(db: leman.Connection, beside: Beside) -> None:
    stray = put(beside.root, f"data/{DONE_FILE}")
    # Its bytes are old, its name is new: a checkpoint becomes a data file like that.
    age(beside.root, stray, days=3)
    report = clean(db.table_uri("numbers"), dry_run=True)
    assert report["files"] == 0
    assert [item["file"] for item in report["would_keep"]] == [stray]
    assert clean(db.table_uri("numbers")) == {"files": 0, "bytes": 0, "kept": 1}
    assert clean_table(db.table_uri("numbers"), grace_s=0) == {"files": 1, "bytes": 1, "kept": 0}


def test_a_job_on_another_machine_that_was_heard_of_keeps_everything_younger_than_its_start(
    db: leman.Connection, beside: Beside
) -> None:
    name = put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    driver = {"pid": 1, "host": "elsewhere"}
    put_record(beside.root, "far", "RUNNING", launched_at=now, updated_at=now, read_version=1, driver=driver)
    assert clean(db.table_uri("numbers"))["files"] == 0
    old = "2020-01-01T00:00:00Z"
    put_record(beside.root, "far", "RUNNING", launched_at=old, updated_at=old, read_version=1, driver=driver)
    assert clean(db.table_uri("numbers"))["files"] == 1
    assert name not in beside.files()


@pytest.mark.parametrize("record", [b"", b"\xff{", b"[]", b'{"format": 2, "job_id": "odd"}'])
def test_a_young_record_that_cannot_be_read_keeps_everything(
    db: leman.Connection, beside: Beside, record: bytes
) -> None:
    put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    put(beside.root, "_leman/jobs/odd.json", record)
    assert clean(db.table_uri("numbers")) == {"files": 0, "bytes": 0, "kept": 1}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format": 1, "holder": 3}', b'{"renewed_at_us": 1e400, "holder": {}}']
)
def test_a_young_lease_that_cannot_be_read_keeps_everything(
    db: leman.Connection, beside: Beside, content: bytes
) -> None:
    put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    put(beside.root, "_leman/leases/0123456789abcdef.json", content)
    assert clean(db.table_uri("numbers")) == {"files": 0, "bytes": 0, "kept": 1}


def test_a_lease_is_enough_to_keep_everything(db: leman.Connection, beside: Beside) -> None:
    put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    holder = {"pid": 7, "host": "elsewhere", "boot_id": "", "start_ticks": 0}
    lease = {"format": 1, "column": "y", "job_id": "j", "token": "t", "fence": 1, "holder": holder}
    put(
        beside.root,
        "_leman/leases/0123456789abcdef.json",
        json.dumps({**lease, "renewed_at_us": int(time.time() * 1e6)}).encode(),
    )
    assert clean(db.table_uri("numbers")) == {"files": 0, "bytes": 0, "kept": 1}
    put(beside.root, "_leman/leases/0123456789abcdef.json", json.dumps({**lease, "renewed_at_us": 0}).encode())
    assert clean(db.table_uri("numbers"))["files"] == 2


def test_stored_functions_of_a_version_stay_and_others_go_after_a_day(
    db: leman.Connection, numbers: leman.Table, beside: Beside
) -> None:
    used = next(name for name in beside.files() if name.endswith(".pkl"))
    lance.dataset(db.table_uri("numbers")).drop_columns(["y"])
    unused = put(beside.root, f"_leman/udfs/{'c' * 64}.pkl")
    age(beside.root, used, days=2)
    age(beside.root, unused, days=0.9)
    assert clean(db.table_uri("numbers"))["files"] == 0
    age(beside.root, unused, days=1.1)
    assert clean(db.table_uri("numbers"))["files"] == 1
    assert used in beside.files()
    assert unused not in beside.files()


def test_job_records_and_cancel_requests(db: leman.Connection, beside: Beside) -> None:
    put_record(beside.root, "over", "DONE")
    put(beside.root, "_leman/jobs/over.cancel")
    put(beside.root, "_leman/errors/over.json")
    assert clean(db.table_uri("numbers"))["files"] == 1
    assert {"_leman/jobs/over.json", "_leman/errors/over.json"} <= beside.files()
    assert clean(db.table_uri("numbers"), jobs_older_than_days=1)["files"] == 0
    assert clean(db.table_uri("numbers"), jobs_older_than_days=0)["files"] == 2


def test_a_file_that_cannot_be_removed_is_an_error_and_the_others_go(
    db: leman.Connection, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"_leman/checkpoints/{'a' * 32}"
    stuck = put(beside.root, f"{folder}/0-0123456789abcdef-0-10.lance")
    other = put(beside.root, f"{folder}/0-0123456789abcdef-10-20.lance")
    list_files = lance_cleanup._Folder.list_files

    def list_and_replace(place: lance_cleanup._Folder) -> object:
        listing = list_files(place)
        # Not even root can unlink a folder.
        (beside.root / stuck).unlink()
        (beside.root / stuck).mkdir()
        return listing

    monkeypatch.setattr(lance_cleanup._Folder, "list_files", list_and_replace)
    with pytest.raises(OSError, match=r"1 leftover file\(s\) were removed, and 1 could not be"):
        clean(db.table_uri("numbers"))
    assert not (beside.root / other).exists()


def test_a_table_that_cannot_be_read_loses_nothing(db: leman.Connection, beside: Beside) -> None:
    put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    for manifest in (beside.root / "_versions").glob("*.manifest"):
        manifest.write_bytes(b"not a manifest")
    before = beside.files()
    with pytest.raises(Exception, match="nothing was removed"):
        clean(db.table_uri("numbers"))
    assert beside.files() == before


def test_the_command_says_what_would_go_and_what_went(
    db: leman.Connection, folder: pathlib.Path, beside: Beside
) -> None:
    name = put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    stray = put(beside.root, f"data/{DONE_FILE}")
    would = CliRunner().invoke(cli, ["clean", str(folder), "numbers", "--dry-run"])
    assert would.exit_code == 0, would.output
    assert would.output.splitlines() == [
        "numbers: files 1, bytes 1, kept 1",
        f"  remove {name}  1 bytes  (checkpoint of no running job)",
        f"  keep {stray}  1 bytes  (too young: somebody may be about to use it)",
    ]
    told = CliRunner().invoke(cli, ["clean", str(folder), "--dry-run", "--json"])
    assert json.loads(told.output)["numbers"]["would_remove"] == [
        {"file": name, "bytes": 1, "reason": "checkpoint of no running job"}
    ]
    went = CliRunner().invoke(cli, ["clean", str(folder), "--json", "--jobs-older-than", "30"])
    assert json.loads(went.output) == {"numbers": {"files": 1, "bytes": 1, "kept": 1}}


def test_the_command_as_a_process(folder: pathlib.Path, beside: Beside) -> None:
    put(beside.root, f"_leman/checkpoints/{'a' * 32}/0-0123456789abcdef-0-10.lance")
    for expected in (1, 0):
        command = [sys.executable, "-m", "leman.cli", "clean", str(folder), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"numbers": {"files": expected, "bytes": expected, "kept": 0}}
    missing = subprocess.run([*command[:-2], str(folder), "nothing"], capture_output=True, text=True, timeout=60)
    assert missing.returncode != 0
    assert "no such table" in missing.stderr
