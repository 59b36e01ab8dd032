"""Where a backfill runs, what its workers ask for, and what a cluster answers. No Ray is needed."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import leman
from leman import executors, ray_autoscaler, ray_executor
from leman.ray_autoscaler import Growth
from leman.ray_capacity import ClusterCapacity
from leman.ray_launcher import describe_end
from leman.ray_resources import WorkerNeeds, describe_nodes, matches
from leman.ray_worker import ClusterSetupError, check_storage, seal, unseal, versions


class Somewhere:
    """An executor that is never entered."""

    def workers(self, spec: Any) -> Any:
        raise AssertionError("not in these tests")


@leman.udf(num_cpus=2, num_gpus=0.5, resources={"licence": 1}, label_selector={"zone": "a"})
def n_words(text: str) -> int:
    return len(text.split())


@pytest.fixture
def table(texts: leman.Table) -> leman.Table:
    texts.add_columns({"n_words": n_words})
    return texts


@pytest.fixture(autouse=True)
def a_gpu_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # the function wants half of one wherever it runs


def test_a_job_runs_here_unless_told_otherwise(
    table: leman.Table, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, cluster = Somewhere(), Somewhere()
    table.backfill("n_words")
    table.backfill("n_words", executor=here)
    token = executors.activate(cluster)
    try:
        table.backfill("n_words")
        table.backfill("n_words", executor="ray")
        table.backfill("n_words", executor="local")
    finally:
        executors.deactivate(token)
    monkeypatch.setattr(ray_executor, "shared_cluster", lambda: cluster)
    monkeypatch.setenv("LEMAN_EXECUTOR", "ray")
    table.backfill("n_words")
    assert runner.executors == [None, here, cluster, cluster, None, cluster]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("Ray", ValueError, "executor='Ray': expected 'local' or 'ray'. Did you mean 'ray'?"),
        (3, TypeError, "executor=3: expected 'local', 'ray' or a leman.ray_cluster"),
    ],
)
def test_wrong_executors_are_refused_at_the_call(
    table: leman.Table, runner: Any, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        table.backfill("n_words", executor=value)
    assert message in str(raised.value)
    assert not runner.specs


def test_a_wrong_environment_variable_is_named(table: leman.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMAN_EXECUTOR", "rya")
    with pytest.raises(ValueError, match="LEMAN_EXECUTOR='rya': expected 'local' or 'ray'"):
        table.backfill("n_words")


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'leman\[ray\]'"):
        leman.ray_cluster()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"adress": "auto"}, TypeError, "unexpected keyword argument 'adress'. Did you mean 'address'?"),
        ({"runtime_env": ["numpy"]}, TypeError, "runtime_env=['numpy']: expected a dict"),
        ({"driver_address": "host:port"}, ValueError, "driver_address='host:port': expected host or host:port"),
        ({"beat_s": 0}, ValueError, "beat_s=0"),
        ({"beat_s": 3, "lease_s": 4}, ValueError, "expected a lease of at least two beats"),
    ],
)
def test_wrong_arguments_of_a_cluster(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        leman.ray_cluster(**arguments)
    assert message in str(raised.value)


def test_contexts_of_the_public_documentation(database: leman.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "require_ray", lambda: None)
    assert repr(leman.Connection.local_ray_context()) == "leman.ray_cluster('local')"
    assert repr(database.context("ray://head:10001")) == "leman.ray_cluster('ray://head:10001')"
    cluster = leman.ray_cluster("auto")
    assert database.context(cluster=cluster) is cluster
    with pytest.raises(ValueError, match="a name of define_cluster, which this connection has for none"):
        database.context(cluster="gpus")
    with pytest.raises(TypeError, match="manifest=3: expected a dict"):
        database.context(cluster="auto", manifest=3)  # type: ignore[arg-type]


def test_clusters_and_environments_have_names(database: leman.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "require_ray", lambda: None)
    cluster = leman.ray_cluster("ray://head:10001")
    database.define_cluster("gpus", cluster)
    database.define_manifest("models", {"pip": ["torch"]})
    assert database.context(cluster="gpus") is cluster
    assert database.context("auto", manifest="models")._runtime_env == {"pip": ["torch"]}  # type: ignore[union-attr]
    for call, error, message in (
        (lambda: database.context("gpu"), ValueError, "for gpus. Did you mean 'gpus'"),
        (lambda: database.context("auto", manifest="model"), ValueError, "for models. Did you mean 'models'"),
        (lambda: database.context("gpus", manifest="models"), ValueError, "say it as runtime_env"),
        (lambda: database.context("gpus", on_exit="delete"), ValueError, "only for a cluster on Kubernetes"),
        (lambda: database.define_cluster("", cluster), ValueError, "name=''"),
        (lambda: database.define_cluster("x", "ray://head:10001"), TypeError, "expected a leman.ray_cluster"),
        (lambda: database.define_manifest("x", ["torch"]), TypeError, "expected a dict"),
    ):
        with pytest.raises(error) as raised:
            call()
        assert message in str(raised.value)


def test_a_job_may_ask_for_more_than_its_function(table: leman.Table, runner: Any) -> None:
    table.backfill("n_words", intra_applier_concurrency=3, memory=2**30, label_selector={"gpu": "in(A100,H100)"})
    needs = WorkerNeeds.of(runner.specs[-1])
    assert needs.resources == {"CPU": 6.0, "GPU": 0.5, "memory": 2.0**30, "licence": 1.0}
    assert needs.labels == {"zone": "a", "gpu": "in(A100,H100)"}
    options = needs.actor_options(["n1", "n2"], None)
    assert options["num_cpus"] == 6.0
    assert options["num_gpus"] == 0.5
    assert options["memory"] == 2**30
    assert options["resources"] == {"licence": 1.0}
    assert options["label_selector"]["ray.io/node-id"] == "!in(n1,n2)"
    assert needs.actor_options([], "n3")["label_selector"]["ray.io/node-id"] == "n3"
    assert str(needs) == "6 CPU, 0.5 GPU, 1.0 GiB memory, 1 licence, label zone=a, label gpu=in(A100,H100)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"resources": {"GPU": 1}}, ValueError, "resources has 'GPU': say num_gpus= instead"),
        ({"resources": {"licence": 0}}, ValueError, "resources['licence']=0"),
        ({"resources": ["licence"]}, TypeError, "resources=['licence']: expected a dict"),
        ({"label_selector": "zone=a"}, TypeError, "label_selector='zone=a': expected a dict"),
        ({"label_selector": {"zone": 1}}, TypeError, "label_selector: expected str labels and values"),
    ],
)
def test_wrong_requests_are_refused(
    table: leman.Table, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    for call in (lambda: table.backfill("n_words", **arguments), lambda: leman.udf(**arguments)):
        with pytest.raises(error) as raised:
            call()
        assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "wanted", "fits"),
    [
        ("a", "a", True),
        ("b", "a", False),
        (None, "a", False),
        ("a", "!a", False),
        (None, "!a", True),
        ("b", "in(a,b)", True),
        ("c", "in(a, b)", False),
        (None, "in(a)", False),
        ("c", "!in(a,b)", True),
        ("a", "!in(a,b)", False),
        (None, "!in(a,b)", True),
    ],
)
def test_label_selectors_mean_what_ray_means(value: str | None, wanted: str, fits: bool) -> None:
    assert matches(value, wanted) is fits


NODE = {
    "NodeID": "n1",
    "Alive": True,
    "NodeManagerAddress": "10.0.0.1",
    "Resources": {"CPU": 4.0, "memory": 8.0 * 2**30, "node:10.0.0.1": 1.0},
    "Labels": {"zone": "a", "ray.io/node-id": "n1"},
}


class Told:
    """A capacity and what it said."""

    def __init__(self, needs: WorkerNeeds, patience_s: float) -> None:
        self.said: list[str] = []
        self.failed: list[str] = []
        self.capacity = ClusterCapacity(needs, patience_s, self.said.append, self.failed.append)


def test_what_no_node_can_hold_fails_the_job_with_both_sides_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_autoscaler, "growth", lambda: Growth(False))
    told = Told(WorkerNeeds({"CPU": 1.0, "GPU": 1.0}, {}), patience_s=0.02)
    told.capacity.look([NODE], launched=1)
    assert told.failed == []  # nodes may be just joining
    time.sleep(0.03)
    told.capacity.look([NODE], launched=1)
    assert len(told.failed) == 1
    assert "asks for 1 CPU, 1 GPU" in told.failed[0]
    assert "1 node:\n  10.0.0.1: 4 CPU, 8.0 GiB memory, zone=a" in told.failed[0]


def test_what_some_node_can_hold_is_waited_for() -> None:
    told = Told(WorkerNeeds({"CPU": 4.0}, {"zone": "!b"}), patience_s=0.0)
    told.capacity.look([NODE, {**NODE, "Alive": False}], launched=1)
    assert not told.failed
    assert not told.said
    assert not WorkerNeeds({"CPU": 4.0}, {"zone": "!b"}).fit({**NODE, "Alive": False})


def test_a_head_without_cpus_waits_for_nodes_that_have_not_joined_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_autoscaler, "growth", lambda: Growth(False))
    head = {**NODE, "Resources": {"memory": 8.0 * 2**30}}
    told = Told(WorkerNeeds({"CPU": 1.0}, {}), patience_s=0.0)
    for _ in range(3):
        told.capacity.look([head], launched=1)
    assert told.failed == []
    assert told.said == ["waiting for nodes: none with CPUs has joined the cluster yet; a worker asks for 1 CPU"]
    told.capacity.look([head, NODE], launched=1)
    assert told.said[1:] == ["a node that fits is there"]
    monkeypatch.setattr("leman.ray_capacity._JOIN_PATIENCE_S", 0.0)
    told = Told(WorkerNeeds({"CPU": 1.0}, {}), patience_s=0.0)
    for _ in range(2):
        told.capacity.look([head], launched=1)
        time.sleep(0.002)
    assert "asks for 1 CPU" in told.failed[0]


def test_an_autoscaler_that_adds_nodes_is_waited_for_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = Growth(True)
    monkeypatch.setattr(ray_autoscaler, "growth", lambda: growth)
    told = Told(WorkerNeeds({"CPU": 1.0, "GPU": 1.0}, {}), patience_s=0.0)
    told.capacity.look([NODE], launched=1)  # it has not looked yet
    assert told.said == []
    growth = Growth(True, ("gpu", "gpu"))
    for _ in range(3):
        told.capacity.look([NODE], launched=1)
    assert told.said == [
        "waiting for the autoscaler: nodes are on their way (2 of type gpu); a worker asks for 1 CPU, 1 GPU"
    ]
    growth = Growth(True)
    told.capacity.look([NODE], launched=1)
    assert "has stopped adding nodes" in told.said[1]
    assert told.failed == []
    monkeypatch.setattr("leman.ray_capacity._GROWTH_PATIENCE_S", 0.0)
    time.sleep(0.002)
    told.capacity.look([NODE], launched=1)
    assert "asks for 1 CPU, 1 GPU" in told.failed[0]


def test_the_first_autoscalers_record_is_read() -> None:
    mapping = {"node_type_mapping": {"ab12": "node_ab12"}, "pending_nodes": [], "pending_launches": {}}
    assert ray_autoscaler.of_first_autoscaler({"autoscaler_report": mapping}) == Growth(False)  # a head without one
    mapping["node_type_mapping"] = {"ffff": "ray.head.default"}
    assert ray_autoscaler.of_first_autoscaler({"autoscaler_report": mapping}) == Growth(True)
    mapping |= {"pending_nodes": [["f1", "gpu", "uninitialized"]], "pending_launches": {"cpu": 2}}
    assert ray_autoscaler.of_first_autoscaler({"autoscaler_report": mapping}) == Growth(True, ("gpu", "cpu", "cpu"))
    assert ray_autoscaler.of_first_autoscaler({}) == Growth(False)


def test_the_second_autoscalers_state_is_read() -> None:
    gpu = SimpleNamespace(ray_node_type_name="gpu", count=2)
    state = SimpleNamespace(pending_instances=[], pending_instance_requests=[], infeasible_resource_requests=["8 CPUs"])
    assert ray_autoscaler.of_second_autoscaler(state, False) == Growth(False)
    assert ray_autoscaler.of_second_autoscaler(state, True) == Growth(True)  # it has types, and none is enough
    state.infeasible_resource_requests = []
    assert ray_autoscaler.of_second_autoscaler(state, False) == Growth(True)
    state.pending_instances, state.pending_instance_requests = [gpu], [gpu]
    assert ray_autoscaler.of_second_autoscaler(state, False) == Growth(True, ("gpu", "gpu", "gpu"))


def test_long_clusters_are_shortened() -> None:
    assert describe_nodes([NODE] * 20).endswith("and 12 more")


def test_a_payload_is_only_opened_where_the_driver_packed_it() -> None:
    sealed = seal(b"t" * 32, b"payload")
    assert unseal(b"t" * 32, sealed) == b"payload"
    for other in (sealed[:-1] + b"x", b"x" + sealed[1:], b"short", b""):
        with pytest.raises(ClusterSetupError, match="did not pack"):
            unseal(b"t" * 32, other)
    with pytest.raises(ClusterSetupError):
        unseal(b"u" * 32, sealed)


def test_a_table_that_a_node_does_not_see_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leman.ray_worker._SHARED_WAIT_S", 0.0)
    marker = tmp_path / "t.lance" / "_leman" / "leases" / "x.json"
    with pytest.raises(ClusterSetupError, match=f"node n1 does not see the table {tmp_path}/t.lance: .*share"):
        check_storage(str(marker), "job-1", "n1")
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps({"job_id": "another"}))
    with pytest.raises(ClusterSetupError):
        check_storage(str(marker), "job-1", "n1")
    marker.write_text(json.dumps({"job_id": "job-1"}))
    check_storage(str(marker), "job-1", "n1")
    # an object store


def test_versions_name_what_must_be_the_same() -> None:
    assert versions().startswith(f"leman {leman.__version__}, pyarrow ")
    assert ", python 3." in versions()


def test_ends_of_actors_are_told_shortly() -> None:
    long = RuntimeError("The actor died.\n\tclass_name: X\n\tactor_id: 1\n\tip: 10.0.0.1\n" + "x" * 1000)
    assert describe_end(long).startswith("The actor died. ip: 10.0.0.1 xxx")
    assert len(describe_end(long)) < 500
    stacked = RuntimeError("Failed to set up the environment.\n" + "  File x\n" * 500 + "No such package: z")
    assert describe_end(stacked).startswith("Failed to set up the environment. File x")
    assert describe_end(stacked).endswith("No such package: z")
    unreachable = RuntimeError("")
    unreachable.cause = RuntimeError("no connection to 10.0.0.1:7000 within 10000 ms")  # type: ignore[attr-defined]
    assert "driver_address=" in describe_end(unreachable)
