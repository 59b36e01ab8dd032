"""Jobs on a cluster: results, placement, errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from cluster_functions import plain, vector
from cluster_jobs import Jobs
from ray_nodes import await_line, outcome

from leman.jobs import request_cancel


def test_the_values_are_those_of_the_local_executor_bit_for_bit(jobs: Any) -> None:
    table = jobs.numbers()
    table.add_columns({"plain_here": plain, "vector_here": vector})
    for column in ("plain_here", "vector_here"):
        table.backfill(column, concurrency=2, progress=False)
    told = jobs.run("plain vector", column="plain_there vector_there", concurrency=3)
    assert told["status"] == "DONE", told["err"]
    assert told["rows_computed"] == 2000
    for name in ("plain", "vector"):
        here, there = (bits(jobs, f"{name}_{place}") for place in ("here", "there"))
        assert here.type == there.type
        assert here.validity == there.validity
        assert here.values == there.values


class Bits(NamedTuple):
    """A column as it is in memory."""

    type: pa.DataType
    validity: list[bool]
    values: bytes


def bits(jobs: Any, name: str) -> Bits:
    column = jobs.db.open_table("t").to_lance().to_table([name])[name].combine_chunks()
    flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    return Bits(column.type, column.is_valid().to_pylist(), flat.to_numpy(zero_copy_only=False).tobytes())


@pytest.mark.long_cluster
def test_workers_run_where_labels_and_resources_say(jobs: Any) -> None:
    jobs.numbers(rows=120, fragments=4)
    for column, function, placement, node in (
        ("a", "slow", {"label_selector": {"zone": "a"}}, "1"),
        ("b", "slow", {"label_selector": {"zone": "!in(a)"}}, "2"),
        ("g", "slow", {"num_gpus": 0.5}, "2"),
        ("l", "slow", {"resources": {"licence": 0.5}}, "1"),
        ("f", "placed", {}, "2"),
        ("j", "placed", {"label_selector": {"zone": "a"}}, "1"),  # the job's word counts more than the function's
    ):
        before = len(jobs.calls())
        told = jobs.run(function, column=column, concurrency=2, **placement)
        assert told["status"] == "DONE", told["err"]
        calls = jobs.calls()[before:]
        assert {call.node for call in calls} == {node}, column
        assert {call.niceness for call in calls} == {0}
        assert all((call.gpus in ("0", "1")) == (column == "g") for call in calls), column


def test_workers_serve_the_next_job_of_their_function_and_write_no_secret_down(jobs: Any) -> None:
    jobs.numbers(rows=200, fragments=2)
    told = jobs.run("slow", column="y z", concurrency=2)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values("y") == jobs.values("z") == [x * x for x in range(200)]
    calls = jobs.calls()
    first, second = ({call.pid for call in part} for part in (calls[:200], calls[200:]))
    assert len(calls) == 400
    assert first & second, (first, second)
    records = Path(jobs.db.uri, "t.lance", "_leman").rglob("*.json")
    written = "".join(path.read_text(errors="replace") for path in records)
    logs = jobs.cluster.logs()
    assert told["job_id"] in written
    assert logs
    for text in (told["out"], told["err"], written, logs):
        assert jobs.cluster.token not in text


@pytest.mark.long_cluster
def test_a_cluster_that_asks_for_a_token_refuses_another_one_and_nobody_repeats_it(jobs: Any) -> None:
    jobs.numbers(rows=40, fragments=1)
    wrong = "0123456789abcdef0123456789abcdef"
    told = outcome(jobs.start("slow", environment={"RAY_AUTH_TOKEN": wrong}))
    assert told["exit_code"] != 0
    assert "authentication" in told["err"].lower(), told["err"]
    assert not jobs.calls()
    for text in (told["out"], told["err"], jobs.cluster.logs()):
        assert wrong not in text
        assert jobs.cluster.token not in text
    # In a file, as ``ray get-auth-token`` puts it there, it is found as well as in the variable.
    file = jobs.cluster.folder / "token"
    file.write_text(jobs.cluster.token)
    told = outcome(jobs.start("slow", environment={"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": str(file)}))
    assert told["status"] == "DONE", told["err"]
    assert jobs.cluster.token not in told["out"] + told["err"]


def test_what_no_node_has_is_reported_with_what_there_is(jobs: Any) -> None:
    jobs.numbers(rows=100, fragments=1)
    told = jobs.run("slow", num_gpus=3)
    assert told["status"] == "FAILED"
    assert "asks for 1 CPU, 3 GPU" in told["error"]
    assert re.search(r"\d CPU, 2 GPU, .*zone=b", told["error"]), told["error"]
    assert not jobs.calls()


def test_a_function_that_fails_names_its_row(jobs: Any) -> None:
    jobs.numbers(rows=1000, fragments=2)
    told = jobs.run("failing", concurrency=2)
    assert (told["status"], told["error_type"]) == ("FAILED", "UserFunctionError")
    assert "ValueError: no sevens" in told["error"]
    assert "row 277 of fragment 1" in told["error"]


@pytest.mark.long_cluster
def test_a_table_that_only_the_driver_sees_is_refused(jobs: Any) -> None:
    if not jobs.cluster.has_namespaces:
        pytest.skip("nodes without namespaces of their own share the file system")
    private = Jobs(jobs.cluster, jobs.cluster.private)
    private.numbers(rows=100, fragments=1)
    told = private.run("slow", label_selector={"zone": "a"})
    assert told["status"] == "FAILED"
    assert f"does not see the table {private.db.uri}/t.lance" in told["error"]
    assert "storage that all of them share" in told["error"]


@pytest.mark.long_cluster
def test_a_job_that_starts_before_any_node_has_joined_waits_for_one(head_jobs: Any) -> None:
    jobs = head_jobs
    jobs.numbers(rows=200, fragments=2)
    driver = jobs.start("slow", concurrency=2)
    await_line(driver, "waiting for nodes")
    jobs.cluster.add_node(cpus=2)
    told = outcome(driver)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(200)]
    assert {call.node for call in jobs.calls()} == {"1"}


@pytest.mark.long_cluster
def test_what_only_the_autoscaler_can_make_is_waited_for_and_let_go(autoscaled_jobs: Any) -> None:
    jobs = autoscaled_jobs
    jobs.numbers(rows=200, fragments=2)
    told = jobs.run("slow", concurrency=1, num_gpus=1)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(200)]
    assert "waiting for the autoscaler: nodes are on their way (1 of type gpu" in told["err"]
    assert "waiting for the autoscaler" in jobs.events(told["job_id"])
    assert {call.gpus for call in jobs.calls()} == {"0"}
    # Nothing holds the node any more: had the request stayed, it would, too.
    jobs.cluster.await_nodes(1, exactly=True)
    # Two nodes of this type fit in all, but none of them is that large.
    told = jobs.run("slow", column="z", num_cpus=4)
    assert told["status"] == "FAILED"
    assert "no node of the cluster can hold a worker, which asks for 4 CPU" in told["error"]


@pytest.mark.long_cluster
@pytest.mark.parametrize("end", ["cancelled", "killed"])
def test_a_job_that_ends_while_it_waits_asks_for_nothing_any_more(autoscaled_jobs: Any, end: str) -> None:
    jobs = autoscaled_jobs
    jobs.numbers(rows=200, fragments=2)
    driver = jobs.start("gated", concurrency=2, num_cpus=2, task_size=50)
    # All workers are asked for at once, not one after the other.
    await_line(driver, "waiting for the autoscaler: nodes are on their way (2 of type cpu")
    if end == "cancelled":
        assert request_cancel(jobs.db.list_jobs()[0])
        assert outcome(driver)["error_type"] == "JobCancelledError"
    else:
        driver.kill()
        driver.wait()
    # The nodes that were on their way may come, and go again, since nothing asks for them.
    jobs.cluster.await_nodes(1, exactly=True, settled_s=8.0)


@pytest.mark.long_cluster
def test_a_driver_outside_of_the_cluster(jobs: Any) -> None:
    jobs.numbers(rows=200, fragments=2)
    outside = {"address": f"ray://{jobs.cluster.nodes[0].address}:{jobs.cluster.client_port}"}
    told = jobs.run("slow", concurrency=2, cluster=outside)
    assert told["status"] == "DONE", told["err"]
    assert jobs.values() == [x * x for x in range(200)]
    told = jobs.run("slow", column="z", num_gpus=9, cluster=outside)
    assert "asks for 1 CPU, 9 GPU" in told["error"]
    assert "2 CPU, 2 GPU, " in told["error"]


@pytest.mark.long_cluster
def test_workers_that_cannot_reach_the_driver_say_so(jobs: Any) -> None:
    jobs.numbers(rows=100, fragments=1)
    told = jobs.run("slow", concurrency=1, cluster={"driver_address": "127.0.0.1"})
    assert told["status"] == "FAILED"
    if jobs.cluster.has_namespaces:
        assert "no connection to 127.0.0.1:" in told["error"]
        assert "driver_address=" in told["error"]
