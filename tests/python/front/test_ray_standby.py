"""Worker actors that wait for the next job: which job gets them, and when they end. No Ray is needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from leman.ray_standby import StandbyKey, StandbyWorkers

KEY = StandbyKey("1 CPU", "None", "caption v1")
OTHER = StandbyKey("1 CPU", "None", "embed v1")


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    actors: list[Any] = []
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(kill=lambda actor, no_restart: actors.append(actor)))
    return actors


@pytest.fixture
def standby(ended: list[Any]) -> Iterator[StandbyWorkers]:
    workers = StandbyWorkers()
    workers.open()
    yield workers
    workers.close()


def test_the_same_function_gets_the_actors_of_the_job_before(standby: StandbyWorkers, ended: list[Any]) -> None:
    assert standby.put(KEY, "a")
    assert standby.put(KEY, "b")
    standby.claim(KEY)
    assert {standby.take(KEY), standby.take(KEY)} == {"a", "b"}
    assert standby.take(KEY) is None
    assert ended == []


def test_another_function_gets_none_and_their_room(standby: StandbyWorkers, ended: list[Any]) -> None:
    standby.put(KEY, "a")
    assert standby.take(OTHER) is None
    standby.claim(OTHER)
    assert ended == ["a"]
    assert standby.take(KEY) is None


def test_two_jobs_at_once_do_not_mix(standby: StandbyWorkers) -> None:
    standby.put(KEY, "a")
    assert not standby.put(OTHER, "b")
    assert standby.take(KEY) == "a"
    assert standby.put(OTHER, "b")


def test_they_end_with_the_block_and_none_is_kept_outside_of_one(ended: list[Any]) -> None:
    standby = StandbyWorkers()
    assert not standby.put(KEY, "early")
    standby.open()
    standby.put(KEY, "a")
    standby.close()
    assert ended == ["a"]
    assert not standby.put(KEY, "late")


def test_they_end_when_no_job_comes(ended: list[Any]) -> None:
    standby = StandbyWorkers(idle_s=0.05)
    standby.open()
    standby.put(KEY, "a")
    standby.put(KEY, "b")
    deadline_s = time.monotonic() + 10.0
    while len(ended) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert sorted(ended) == ["a", "b"]
    assert standby.take(KEY) is None
