"""Jobs on a cluster whose table, or checkpoints, lie in a real S3 server that all nodes reach."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_functions import plain
from test_faults import CHECKPOINT, ROWS, SLOW, alive, wait_until, workers_seen

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "objects"))

from s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, find_server, free_port


@pytest.fixture
def s3_jobs(jobs: Any, tmp_path: Path) -> Iterator[Any]:
    """Jobs on a table in S3, whose server runs on the cluster's head: only drivers there see it."""
    binary = find_server()
    if binary is None:
        pytest.skip("no S3 server: tools/bootstrap test builds versitygw where Go is installed")
    bucket = tmp_path / "s3" / "data" / BUCKET
    bucket.mkdir(parents=True)
    (tmp_path / "s3" / "meta").mkdir()
    endpoint = f"{jobs.cluster.nodes[0].address}:{free_port()}"
    command = [binary, "--port", endpoint, "posix", "--sidecar", str(tmp_path / "s3" / "meta"), str(bucket.parent)]
    # It writes a line for each request, which nobody reads meanwhile.
    quiet = ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh"]
    server = jobs.cluster.start([*quiet, *command], ROOT_ACCESS_KEY=ACCESS_KEY, ROOT_SECRET_KEY=SECRET_KEY)
    options = {
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "aws_endpoint": f"http://{endpoint}",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }
    jobs.request = {
        "connect": {"uri": f"s3://{BUCKET}/db", "storage_options": options},
        "rows": ROWS,
        "fragments": 4,
    }
    jobs.bucket = bucket
    yield jobs
    server.kill()
    server.communicate()


def checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("**/_leman/checkpoints/*/*") if path.is_file()]


def test_values_are_those_of_one_machine_and_no_secret_is_written_down(s3_jobs: Any) -> None:
    told = s3_jobs.run("plain", concurrency=3)
    assert told["status"] == "DONE", told["err"]
    assert told["rows_computed"] == ROWS
    assert told["values"] == [plain(x, "t" * (x % 13)) for x in range(ROWS)]
    assert checkpoints(s3_jobs.bucket) == []
    written = [path for path in s3_jobs.bucket.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if SECRET_KEY.encode() in path.read_bytes()]
    for text in (told["out"], told["err"], s3_jobs.cluster.logs()):
        assert SECRET_KEY not in text


@pytest.mark.long_cluster
@pytest.mark.parametrize("place", ["in the table", "in a shared folder", "in another bucket"])
def test_kill_9_of_the_driver_and_the_same_call_again(s3_jobs: Any, tmp_path: Path, place: str) -> None:
    kept = s3_jobs.bucket
    if place == "in a shared folder":
        kept = tmp_path / "checkpoints"
        s3_jobs.request["connect"]["checkpoint_uri"] = str(kept)
    elif place == "in another bucket":
        kept = s3_jobs.bucket.with_name("other-bucket")
        kept.mkdir()
        s3_jobs.request["connect"]["checkpoint_uri"] = "s3://other-bucket/checkpoints"
    driver = s3_jobs.start("slow", **SLOW)
    wait_until(lambda: len(s3_jobs.calls()) > 300 and len(checkpoints(kept)) > 8)
    driver.kill()
    driver.wait()
    workers = workers_seen(s3_jobs)
    wait_until(lambda: not any(alive(pid) for pid in workers))
    if place != "in the table":
        assert checkpoints(s3_jobs.bucket) == []
    told = s3_jobs.run("slow", **SLOW)
    assert told["status"] == "DONE", told["err"]
    assert told["values"] == [x * x for x in range(ROWS)]
    assert told["metrics"]["rows_resumed"] > 0
    assert told["rows_computed"] < ROWS
    times = s3_jobs.times_called()
    assert sum(times.values()) - ROWS <= 2 * CHECKPOINT * len(workers)
    left = [path for path in checkpoints(kept) if not path.name.startswith("tmp-")]
    assert left == []


@pytest.mark.long_cluster
def test_a_folder_of_checkpoints_that_only_the_driver_sees_is_refused(s3_jobs: Any) -> None:
    if not s3_jobs.cluster.has_namespaces:
        pytest.skip("nodes without namespaces of their own share the file system")
    private = s3_jobs.cluster.private / "checkpoints"
    s3_jobs.request["connect"]["checkpoint_uri"] = str(private)
    told = s3_jobs.run("slow", label_selector={"zone": "a"})
    assert told["status"] == "FAILED"
    assert f"does not see the checkpoints' folder {private}/t-" in told["error"]
    assert "storage that all of them share" in told["error"]
    assert not s3_jobs.calls()
    assert checkpoints(private) == []
