"""A short run of tools/torture: real jobs, killed at random times, checked by pylance."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.long
def test_jobs_that_are_killed_again_and_again_lose_nothing() -> None:
    command = [sys.executable, str(ROOT / "tools" / "torture"), "--kills", "12", "--limit-s", "25"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    kills = re.search(r"torture: (\d+) kills", run.stdout)
    assert kills and int(kills[1]) >= 1, run.stdout
