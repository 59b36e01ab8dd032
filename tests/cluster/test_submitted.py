"""A job on the cluster by ``ray job submit``: exit code and logs are those of the command."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_jobs import Jobs, small_cluster

pytestmark = pytest.mark.long_cluster
FUNCTIONS = Path(__file__).parent / "cluster_functions.py"


@pytest.fixture(scope="module")
def cluster_with_dashboard() -> Iterator[object]:
    cluster = small_cluster(dashboard=True)
    yield cluster
    cluster.close()


def submit(jobs: Jobs, *arguments: str) -> subprocess.CompletedProcess[str]:
    cluster = jobs.cluster
    leman = f"{shlex.quote(cluster.program('python'))} -m leman.cli"
    command = [
        cluster.program("ray"),
        "job",
        "submit",
        "--address",
        cluster.dashboard,
        "--",
        *leman.split(),
        *arguments,
    ]
    process = cluster.start(command, LEMAN_EXECUTOR="ray")
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_exit_code_and_logs(cluster_with_dashboard: object, tmp_path: Path) -> None:
    jobs = Jobs(cluster_with_dashboard, tmp_path)  # type: ignore[arg-type]
    jobs.numbers(rows=200, fragments=2)
    added = submit(jobs, "add-column", jobs.db.uri, "t", "y", "--udf", f"{FUNCTIONS}:slow")
    assert added.returncode == 0, added.stdout + added.stderr
    done = submit(jobs, "backfill", jobs.db.uri, "t", "y", "--executor", "ray", "--udf", f"{FUNCTIONS}:slow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 rows computed" in done.stdout
    assert jobs.values() == [x * x for x in range(200)]
    job = jobs.db.list_jobs()[0]
    assert "runs on node" in jobs.events(job.job_id)
    failed = submit(
        jobs, "backfill", jobs.db.uri, "t", "y", "--executor", "ray", "--num-gpus", "9", "--udf", f"{FUNCTIONS}:plain"
    )
    assert failed.returncode != 0
    assert jobs.cluster.token not in done.stdout + done.stderr + failed.stdout + failed.stderr
