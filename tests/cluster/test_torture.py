"""A short run of tools/torture on a cluster of its own: actors, drivers and nodes killed at random times."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "tools" / "torture"


@pytest.mark.long_cluster
def test_jobs_on_a_cluster_that_is_killed_again_and_again_lose_nothing() -> None:
    command = [sys.executable, str(TORTURE), "--executor", "ray", "--kills", "12", "--limit-s", "60"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    kills = re.search(r"torture: (\d+) kills", run.stdout)
    assert kills and int(kills[1]) >= 1, run.stdout
