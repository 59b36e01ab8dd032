"""What is lost when a process, a node, a network or the driver goes: time, but no value, and nothing acknowledged."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from ray_nodes import outcome

from leman.jobs import request_cancel

ROWS = 1200
CHECKPOINT = 20
SLOW = {"concurrency": 3, "checkpoint_size": CHECKPOINT, "task_size": 100}


def wait_until(what: Callable[[], Any], timeout_s: float = 90.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def expect_all(jobs: Any, told: dict[str, Any], lost_workers: int) -> None:
    """Every value is there and right, and only rows that were in a lost worker's hands were computed twice."""
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(ROWS)]
    times = jobs.times_called()
    assert set(times) == set(range(ROWS))
    # What is checkpointed is told at once; a worker that dies has at most one unfinished checkpoint in its hands, and
    # one that it may have published and not told.
    assert sum(times.values()) - ROWS <= 2 * CHECKPOINT * lost_workers


def workers_seen(jobs: Any, *, node: str = "") -> set[int]:
    return {call.pid for call in jobs.calls() if not node or call.node == node}


def test_kill_9_of_an_actor(jobs: Any) -> None:
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: len(jobs.calls()) > 100)
    victim = jobs.calls()[-1].pid
    os.kill(victim, signal.SIGKILL)
    told = outcome(driver)
    expect_all(jobs, told, 1)
    assert told["metrics"]["worker_deaths"] == 1
    assert f"(pid {victim})" in jobs.events(told["job_id"])
    assert told["metrics"]["rows_computed"] == ROWS


def test_a_cancelled_job_ends_its_workers_and_goes_on_later(jobs: Any) -> None:
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: len(jobs.calls()) > 200)
    workers = workers_seen(jobs)
    assert request_cancel(jobs.db.list_jobs()[0])
    told = outcome(driver)
    assert told["error_type"] == "JobCancelledError", told["err"]
    wait_until(lambda: not any(alive(pid) for pid in workers))
    told = jobs.run("slow", **SLOW)
    expect_all(jobs, told, len(workers))
    assert told["metrics"]["rows_resumed"] > 0


@pytest.mark.long_cluster
def test_a_silent_node_is_given_up_and_its_zombies_do_no_harm(own_jobs: Any) -> None:
    jobs = own_jobs
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: workers_seen(jobs, node="1") and workers_seen(jobs, node="2") and len(jobs.calls()) > 100)
    zombies = workers_seen(jobs, node="1")
    cut_s = time.time()
    jobs.cluster.cut(jobs.cluster.nodes[1])
    told = outcome(driver)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(ROWS)]
    events = jobs.events(told["job_id"])
    assert events.count("was silent for 4 s") == len(zombies), events
    gone = jobs.event_times(told["job_id"], "was silent")
    print(f"a node that was cut off was given up after {gone[0] - cut_s:.1f} s")
    # What replaces them runs elsewhere.
    assert not workers_seen(jobs, node="1") - zombies
    if jobs.cluster.has_namespaces:
        # They end by themselves: nobody can reach them.
        wait_until(lambda: not any(alive(pid) for pid in zombies))


@pytest.mark.long_cluster
def test_kill_9_of_a_raylet(own_jobs: Any) -> None:
    jobs = own_jobs
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: workers_seen(jobs, node="1") and len(jobs.calls()) > 100)
    lost = workers_seen(jobs, node="1")
    assert jobs.cluster.signal(jobs.cluster.nodes[1], signal.SIGKILL, only="raylet/raylet")
    expect_all(jobs, outcome(driver), len(lost))
    wait_until(lambda: not any(alive(pid) for pid in lost))


@pytest.mark.long_cluster
def test_kill_9_of_the_driver_and_the_same_call_again(jobs: Any) -> None:
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: len(jobs.calls()) > 300)
    driver.kill()
    driver.wait()
    workers = workers_seen(jobs)
    wait_until(lambda: not any(alive(pid) for pid in workers))
    told = jobs.run("slow", **SLOW)
    expect_all(jobs, told, len(workers))
    assert told["metrics"]["rows_resumed"] > 0
    assert told["rows_computed"] < ROWS


@pytest.mark.long_cluster
def test_a_node_that_joins_midway_is_used(own_jobs: Any) -> None:
    jobs = own_jobs
    jobs.numbers(rows=3 * ROWS, fragments=4)
    # Each worker asks for a node's whole processors: two fit, the third has to wait.
    driver = jobs.start("gated", num_cpus=2, **SLOW)
    wait_until(lambda: len(workers_seen(jobs)) == 2)
    jobs.cluster.add_node(cpus=2, labels={"zone": "c"})
    wait_until(lambda: workers_seen(jobs, node="3"))
    jobs.open_gate()
    told = outcome(driver)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(3 * ROWS)]
    assert set(jobs.times_called().values()) == {1}


@pytest.mark.long_cluster
def test_workers_of_a_drained_node_finish_what_they_have_in_hand(own_jobs: Any) -> None:
    jobs = own_jobs
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("gated", **SLOW)
    wait_until(lambda: len(workers_seen(jobs)) == 3)
    # What Kubernetes does to a pod, and a cloud to a spot machine: SIGTERM to its first process, which drains the node.
    assert jobs.cluster.signal(jobs.cluster.nodes[1], signal.SIGTERM, only="ray start")
    wait_until(lambda: "is about to go" in jobs.events(jobs.db.list_jobs()[0].job_id))
    jobs.open_gate()
    told = outcome(driver)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(ROWS)]
    events = jobs.events(told["job_id"])
    assert events.count("has left nothing behind") == len(workers_seen(jobs, node="1")), events
    assert told["metrics"]["worker_deaths"] == 0, events
    assert set(jobs.times_called().values()) == {1}


@pytest.mark.long_cluster
def test_a_node_that_goes_at_once_costs_time_only(own_jobs: Any) -> None:
    jobs = own_jobs
    jobs.numbers(rows=ROWS, fragments=4)
    driver = jobs.start("slow", **SLOW)
    wait_until(lambda: workers_seen(jobs, node="1") and len(jobs.calls()) > 100)
    jobs.cluster.signal(jobs.cluster.nodes[1], signal.SIGTERM)  # to all of its processes
    expect_all(jobs, outcome(driver), len(workers_seen(jobs, node="1")))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
