"""A driver killed around each file that it makes, moves or removes; storage that refuses; wall clocks that jump.

Real processes, with ``fault_shim.c`` preloaded. ``LEMAN_ALL_STEPS=1`` (``make steps``) tries every step, else a few.
"""

from __future__ import annotations

import datetime
import errno
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time

import lance
import pyarrow as pa
import pytest

import leman
from leman import job_runner

FRAGMENTS, ROWS = 2, 10  # Rows of a fragment.
DRIVER = """
import sys, time
import leman

uri, log, sleep_s = sys.argv[1], sys.argv[2], float(sys.argv[3])

@leman.udf(version="1")
def counted(x: int) -> int:
    with open(log, "ab", buffering=0) as file:
        file.write(x.to_bytes(8, "little"))
    time.sleep(sleep_s)
    return x * 10

table = leman.connect(uri).open_table("t")
if "y" not in table.schema.names:
    table.add_columns({"y": counted})
sizes = dict(batch_size=5, task_size=5, commit_granularity=1)
result = table.backfill("y", udf=counted, concurrency=1, progress=False, **sizes)
print(result.status, result.metrics["worker_deaths"])
"""
CHECKPOINT = re.compile(r"^(\d+)-[0-9a-f]+-(\d+)-(\d+)(?:-[0-9a-f]{8})?\.lance$")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    target = tmp_path_factory.mktemp("shim") / "shim.so"
    source = pathlib.Path(__file__).with_name("fault_shim.c")
    subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


class Trial:
    """One table in a folder of its own, and drivers on it."""

    def __init__(self, folder: pathlib.Path, shim: pathlib.Path) -> None:
        folder.mkdir()
        self.uri = folder / "db"
        self.calls = folder / "calls"
        self.counter = folder / "counter"
        self.counter.write_bytes(bytes(8))
        self._shim = shim
        rows = pa.table({"x": pa.array(range(FRAGMENTS * ROWS), pa.int64())})
        leman.connect(str(self.uri)).create_table("t", rows, max_rows_per_file=ROWS)

    @property
    def table(self) -> pathlib.Path:
        return self.uri / "t.lance"

    def start(self, sleep_s: float = 0.0, **shim: object) -> subprocess.Popen[str]:
        settings = {f"LEMAN_SHIM_{name.upper()}": str(value) for name, value in shim.items()}
        if settings:
            settings |= {"LD_PRELOAD": str(self._shim)}
            settings.setdefault("LEMAN_SHIM_UNDER", str(self.uri))
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.uri), str(self.calls), str(sleep_s)],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **shim: object) -> tuple[int, str]:
        driver = self.start(**shim)
        out, err = driver.communicate(timeout=120)
        return driver.returncode, out + err

    def steps(self) -> int:
        return int(struct.unpack("<q", self.counter.read_bytes())[0])

    def called(self) -> list[int]:
        return [x for (x,) in struct.iter_unpack("<q", self.calls.read_bytes())] if self.calls.exists() else []

    def checkpointed(self) -> set[int]:
        """Rows of complete checkpoints, and of fragments that are filled."""
        rows: set[int] = set()
        for path in (self.table / "_leman" / "checkpoints").rglob("*.lance"):
            if match := CHECKPOINT.match(path.name):
                fragment, first, end = (int(part) for part in match.groups())
                rows.update(range(fragment * ROWS + first, fragment * ROWS + end))
        return rows | {x for x, y in self.read() if y is not None}

    def read(self, version: int | None = None) -> list[tuple[int, int | None]]:
        """What pylance reads; every fragment is wholly empty or wholly right."""
        read = lance.dataset(str(self.table), version=version).to_table()
        xs = read.column("x").to_pylist()
        ys = read.column("y").to_pylist() if "y" in read.schema.names else [None] * len(xs)
        assert xs == list(range(FRAGMENTS * ROWS))
        for first in range(0, len(xs), ROWS):
            part = ys[first : first + ROWS]
            assert part in ([None] * ROWS, [x * 10 for x in xs[first : first + ROWS]]), (version, part)
        return list(zip(xs, ys, strict=True))

    def expect_done_and_clean(self) -> None:
        assert all(y == x * 10 for x, y in self.read())
        hour_ago = time.time() - 3600
        for path in self.table.rglob("*"):
            if path.is_file():
                os.utime(path, (hour_ago, hour_ago))
        job_runner.clean(str(self.table))
        assert [path.name for path in (self.table / "_leman" / "checkpoints").rglob("*") if path.is_file()] == []
        for version in lance.dataset(str(self.table)).versions():
            self.read(version["version"])


def test_a_driver_killed_at_its_steps_loses_nothing(tmp_path: pathlib.Path, shim: pathlib.Path) -> None:
    first = Trial(tmp_path / "all", shim)
    code, said = first.run(count=first.counter)
    assert code == 0, said
    last = first.steps()
    assert last >= 40, "the shim sees the files that a driver makes"
    steps = range(1, last + 1) if os.environ.get("LEMAN_ALL_STEPS") else range(3, last + 1, max(1, last // 3))
    for step in steps:
        trial = Trial(tmp_path / f"step-{step}", shim)
        code, said = trial.run(count=trial.counter, kill=step)
        assert code == -9, (step, said)
        kept = trial.checkpointed()
        before = len(trial.called())
        code, said = trial.run()
        assert code == 0 and said.startswith("DONE"), (step, said)
        again = kept.intersection(trial.called()[before:])
        assert not again, (step, "computed again though they were kept", again)
        trial.expect_done_and_clean()


def tenfold(x: int) -> int:
    return x * 10


def nothing(x: int) -> int | None:
    return None


REFUSALS = [
    ("/_leman/checkpoints/", errno.ENOSPC),
    ("/_leman/checkpoints/", errno.EIO),
    ("/_versions/", errno.EACCES),
    *[
        pytest.param("/_leman/checkpoints/", number, marks=pytest.mark.long)
        for number in (errno.EACCES, errno.EMFILE, errno.EROFS)
    ],
    *[pytest.param("/_versions/", number, marks=pytest.mark.long) for number in (errno.ENOSPC, errno.EDQUOT)],
]


@pytest.mark.parametrize(("under", "number"), REFUSALS)
def test_storage_that_refuses_ends_the_job_and_the_same_call_goes_on(
    tmp_path: pathlib.Path, shim: pathlib.Path, under: str, number: int
) -> None:
    trial = Trial(tmp_path / "refused", shim)
    table = leman.connect(str(trial.uri)).open_table("t")
    table.add_columns({"y": leman.udf(version="0", data_type=pa.int64())(nothing)})
    code, said = trial.run(error=number, under=under)
    assert code == 1, said
    assert os.strerror(number) in said, said
    assert under in said and "run the same backfill again" in said, said
    assert all(y is None for _, y in trial.read())
    code, said = trial.run()
    assert code == 0 and said.startswith("DONE"), said
    trial.expect_done_and_clean()


QUOTA = [
    "/_leman/checkpoints/",
    *[pytest.param(folder, marks=pytest.mark.long) for folder in ("/_leman/jobs/", "/_leman/leases/")],
]


@pytest.mark.parametrize("under", QUOTA)
def test_a_quota_that_is_used_up_ends_the_job_and_the_same_call_goes_on(
    tmp_path: pathlib.Path, shim: pathlib.Path, under: str
) -> None:
    trial = Trial(tmp_path / "quota", shim)
    leman.connect(str(trial.uri)).open_table("t").add_columns(
        {"y": leman.udf(version="0", data_type=pa.int64())(nothing)}
    )
    code, said = trial.run(error=errno.EDQUOT, full=1, under=under)
    if under == "/_leman/jobs/":
        # The record is for people: what it is about goes on without it.
        assert code == 0 and said.startswith("DONE"), said
    else:
        assert code == 1, said
        assert os.strerror(errno.EDQUOT) in said and under in said and "run the same backfill again" in said, said
    before = len(trial.called())
    kept = trial.checkpointed()
    code, said = trial.run()
    assert code == 0 and said.startswith("DONE"), said
    assert not kept.intersection(trial.called()[before:])
    trial.expect_done_and_clean()


def test_input_that_may_not_be_read_is_named_at_once_and_the_same_call_goes_on(
    tmp_path: pathlib.Path, shim: pathlib.Path
) -> None:
    trial = Trial(tmp_path / "forbidden", shim)
    (victim, _) = sorted((trial.table / "data").glob("*.lance"))
    code, said = trial.run(error=errno.EACCES, read=1, under=victim.name)
    assert code == 1, said
    assert f"data file {victim} of fragment" in said, said
    assert "cannot be read: Permission denied; give the user that runs the job the right" in said, said
    assert "tried" not in said, "what is forbidden is not tried again"
    code, said = trial.run()
    assert code == 0 and said.startswith("DONE"), said
    trial.expect_done_and_clean()


def test_checkpoints_that_may_not_be_read_are_named_kept_and_used_when_they_may(
    tmp_path: pathlib.Path, shim: pathlib.Path
) -> None:
    trial = Trial(tmp_path / "forbidden", shim)
    leman.connect(str(trial.uri)).open_table("t").add_columns({"y": leman.udf(version="1")(tenfold)})
    code, said = trial.run(error=errno.EACCES, under="/_transactions/")
    kept = trial.checkpointed()
    assert code == 1 and kept, said
    before = len(trial.called())
    code, said = trial.run(error=errno.EACCES, read=1, under="/_leman/checkpoints/")
    assert code == 1, said
    assert "Permission denied" in said and "/_leman/checkpoints/" in said and "run the same backfill again" in said, (
        said
    )
    assert trial.checkpointed() >= kept
    code, said = trial.run()
    assert code == 0 and said.startswith("DONE"), said
    assert not kept.intersection(trial.called()[before:])
    trial.expect_done_and_clean()


@pytest.mark.parametrize(
    ("damage", "told"),
    [("missing", "is missing"), ("cut", "bytes, and the table's manifest says"), ("empty", "has 0 bytes")],
)
@pytest.mark.parametrize(
    "where", [pytest.param(None, id="all rows"), pytest.param("x >= 0", id="where", marks=pytest.mark.long)]
)
def test_a_data_file_that_is_not_whole_is_named_at_once_and_nothing_is_lost(
    tmp_path: pathlib.Path, damage: str, told: str, where: str | None
) -> None:
    rows = pa.table({"x": pa.array(range(FRAGMENTS * ROWS), pa.int64())})
    table = leman.connect(str(tmp_path / "db")).create_table("t", rows, max_rows_per_file=ROWS)
    table.add_columns({"y": leman.udf(version="1")(tenfold)})
    (name,) = (file.path for file in table.to_lance().get_fragments()[1].metadata.files if 0 in file.fields)
    victim = pathlib.Path(table.uri, "data", name)
    content = victim.read_bytes()
    victim.unlink()
    if damage != "missing":
        victim.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    kind = leman.JobFailedError if damage == "missing" else leman.CorruptDataError
    arguments = {"where": where, "concurrency": 1, "task_size": ROWS, "batch_size": ROWS, "progress": False}
    if where is not None:
        kind = leman.JobFailedError
    with pytest.raises(
        kind, match=f"(?s)data file {victim} of fragment 1 .*{told}.*put the whole file back.*same back"
    ):
        table.backfill("y", **arguments)
    victim.write_bytes(content)
    assert table.backfill("y", **arguments).rows_computed <= FRAGMENTS * ROWS
    assert table.to_arrow().column("y").to_pylist() == [x * 10 for x in range(FRAGMENTS * ROWS)]


def test_versions_that_are_cleaned_up_under_the_job_are_told(tmp_path: pathlib.Path) -> None:
    rows = pa.table({"x": pa.array(range(FRAGMENTS * ROWS), pa.int64())})
    table = leman.connect(str(tmp_path / "db")).create_table("t", rows, max_rows_per_file=ROWS)
    table.add_columns({"y": leman.udf(version="1")(tenfold)})
    uri, mark = table.uri, tmp_path / "mark"

    @leman.udf(version="1")
    def cleaning(x: int) -> int:
        if not mark.exists():
            mark.touch()
            lance.dataset(uri).optimize.compact_files()
            lance.dataset(uri).cleanup_old_versions(older_than=datetime.timedelta(0))
        return x * 10

    arguments = {"concurrency": 1, "task_size": ROWS, "batch_size": ROWS, "progress": False}
    with pytest.raises(leman.ConflictError, match=r"is missing: the table has moved on from version .*cleaned up"):
        table.backfill("y", udf=cleaning, **arguments)
    assert table.backfill("y", **arguments).status == "DONE"
    assert table.to_arrow().column("y").to_pylist() == [x * 10 for x in range(FRAGMENTS * ROWS)]


def test_wall_clocks_that_jump_cost_nothing(tmp_path: pathlib.Path, shim: pathlib.Path) -> None:
    trial = Trial(tmp_path / "clock", shim)
    offset = tmp_path / "offset"
    offset.write_bytes(bytes(8))
    driver = trial.start(sleep_s=0.1, clock=offset)
    deadline = time.monotonic() + 60
    for hours in (1, -1, 2):
        seen = len(trial.called())
        while len(trial.called()) < seen + 4 and driver.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert driver.poll() is None, "it ended before its clock jumped"
        with offset.open("r+b") as file:  # In place: it is mapped.
            file.write(struct.pack("<q", hours * 3600))
    out, err = driver.communicate(timeout=60)
    assert (driver.returncode, out) == (0, "DONE 0\n"), err
    record = next((trial.table / "_leman" / "jobs").glob("*.json")).read_text()
    now = datetime.datetime.now(datetime.timezone.utc)
    assert f"{now + datetime.timedelta(hours=2):%Y-%m-%dT%H}" in record, "the driver's clock did not jump"
    assert sorted(trial.called()) == list(range(FRAGMENTS * ROWS))
    trial.expect_done_and_clean()
