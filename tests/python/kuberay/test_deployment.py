"""Apply, watch, status and delete against a fake API: what is said, what is kept, and what each failure is called."""

from __future__ import annotations

import _thread
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leman import cli
from leman.cluster import (
    ExitMode,
    K8sConfigMethod,
    KubeRayClusterBuilder,
    KubernetesApi,
    apply,
    delete,
    list_states,
    running,
    status,
)
from leman.cluster.deployment import Follow
from leman.errors import KubernetesError, KubernetesNotFoundError

from .clusters import IMAGE, everything, smallest
from .fake_api import FakeApi, failure

READY = {
    "observedGeneration": 1,
    "state": "ready",
    "readyWorkerReplicas": 1,
    "desiredWorkerReplicas": 1,
    "conditions": [{"type": "HeadPodReady", "status": "True"}, {"type": "RayClusterProvisioned", "status": "True"}],
}
STARTING = {"observedGeneration": 1, "desiredWorkerReplicas": 1}
HEAD_READY = {**STARTING, "conditions": [{"type": "HeadPodReady", "status": "True"}]}


class Said(list[str]):
    """Lines that were said; the clock stands still unless the test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def follow(self) -> Follow:
        def sleep(seconds: float) -> None:
            self.now += seconds

        return Follow(self.append, lambda: self.now, sleep)

    def text(self) -> str:
        return "\n".join(self)


@pytest.fixture
def said() -> Said:
    return Said()


def pod(name: str, cluster: str = "smallest", **status: Any) -> dict[str, Any]:
    spec = {
        "nodeSelector": {"leman/ray-worker-cpu": "true"},
        "containers": [{"resources": {"limits": {"memory": "8Gi"}}}],
    }
    return {"metadata": {"name": name, "labels": {"ray.io/cluster": cluster}}, "spec": spec, "status": status}


def unschedulable(message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}


def test_a_cluster_is_made_and_waited_for(fake: FakeApi, said: Said) -> None:
    fake.statuses = [STARTING, HEAD_READY, READY]
    state = apply(smallest(), follow=said.follow())
    assert (state.phase, state.detail) == ("ready", "1 of 1 workers ready")
    assert said[0] == "raycluster/smallest in namespace leman: created"
    assert said[-3:] == [
        "  0:00  raycluster/smallest is starting: head not ready yet, 0 of 1 workers ready",
        "  0:00  raycluster/smallest is starting: head ready, 0 of 1 workers ready",
        "  0:00  raycluster/smallest is ready: 1 of 1 workers ready",
    ]
    made = fake.objects["rayclusters", "leman", "smallest"]
    assert made["spec"] == smallest().to_manifest()["spec"]
    creates = [path for method, path in fake.requests if method == "POST"]
    assert len(creates) == 1
    assert "fieldValidation=Strict" in creates[0]
    assert "fieldManager=leman" in creates[0]


def test_applied_again_nothing_is_written(fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    apply(smallest(), follow=said.follow())
    assert "raycluster/smallest in namespace leman: is there already" in said
    assert not [path for method, path in fake.requests if method == "PUT"]


def test_a_changed_cluster_keeps_the_autoscalers_number_of_workers(fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    live = json.loads(json.dumps(fake.objects["rayclusters", "leman", "smallest"]))
    live["spec"]["workerGroupSpecs"][0].update(replicas=7, scaleStrategy={"workersToDelete": ["w1"]})
    live["metadata"]["labels"]["team"] = "search"
    fake.put(("rayclusters", "leman", "smallest"), live)
    bigger = KubeRayClusterBuilder.create("smallest").head_group(image=IMAGE)
    bigger.add_worker_group(KubeRayClusterBuilder.cpu_worker().cpus(8).max_replicas(5))
    apply(bigger.build(), wait=False, follow=said.follow())
    changed = fake.objects["rayclusters", "leman", "smallest"]
    group = changed["spec"]["workerGroupSpecs"][0]
    assert group["replicas"] == 5  # 7, within the new bounds.
    assert group["scaleStrategy"] == {"workersToDelete": ["w1"]}
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "8"
    assert changed["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "leman", "team": "search"}
    assert "changed. Pods that run keep their old settings" in said[-1]


def test_a_change_in_between_is_read_again(fake: FakeApi, said: Said) -> None:
    apply(smallest(), wait=False, follow=said.follow())
    fake.failures = [("PUT", "smallest", 409, failure(409, "the object has been modified"))] * 2
    other = KubeRayClusterBuilder.create("smallest").head_group(image=IMAGE, cpus=2)
    other.add_worker_group(KubeRayClusterBuilder.cpu_worker())
    apply(other.build(), wait=False, follow=said.follow())
    head = fake.objects["rayclusters", "leman", "smallest"]["spec"]["headGroupSpec"]["template"]
    assert head["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"


def test_a_dry_run_makes_nothing(fake: FakeApi, said: Said) -> None:
    apply(smallest(), dry_run=True, follow=said.follow())
    assert fake.objects == {}
    assert said == ["raycluster/smallest in namespace leman: created (dry run)"]


def test_what_keeps_pods_from_running_is_said_with_advice(fake: FakeApi, said: Said) -> None:
    fake.pods = [
        pod("h", **waiting("ImagePullBackOff", "Back-off pulling image x")),
        pod("w1", **unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")),
        pod("w2", **unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")),
        pod("w3", **waiting("CreateContainerConfigError", 'secret "hf" not found')),
        pod("w4", containerStatuses=[{"state": {"terminated": {"reason": "OOMKilled"}}}]),
        pod("other", cluster="other", **waiting("CrashLoopBackOff")),
        pod("fine", containerStatuses=[{"state": {"running": {}}}]),
    ]
    fake.statuses = [STARTING, *[STARTING] * 4, READY]
    apply(smallest(), follow=said.follow())
    text = said.text()
    assert "h: ImagePullBackOff: Back-off pulling image x; check the image's name" in text
    assert "2 pods (w1, …): no node takes it: 0/3 nodes" in text
    assert "check that a node pool has the labels leman/ray-worker-cpu=true, or set node_selector" in text
    assert 'w3: CreateContainerConfigError: secret "hf" not found; a Secret, or a key in it' in text
    assert "w4: killed for more memory than 8Gi" in text
    assert "CrashLoop" not in text
    assert text.count("ImagePullBackOff") == 1


def test_who_may_not_list_pods_is_still_served(fake: FakeApi, said: Said) -> None:
    fake.refused = [("GET", "/pods", 403, failure(403, "pods is forbidden"))]
    fake.statuses = [STARTING, STARTING, STARTING, READY]
    assert apply(smallest(), follow=said.follow()).phase == "ready"


def test_time_over_says_how_it_stands_and_leaves_it(fake: FakeApi, said: Said) -> None:
    fake.pods = [pod("w1", **unschedulable("0/1 nodes: Insufficient cpu"))]

    def later() -> None:
        said.now = 1000.0

    fake.statuses = [HEAD_READY, later]
    with pytest.raises(KubernetesError) as caught:
        apply(smallest(), timeout_s=900, follow=said.follow())
    message = str(caught.value)
    assert message.startswith("raycluster/smallest did not come up within 900 s; it is starting: head ready, 0 of 1")
    assert "w1: no node takes it: 0/1 nodes: Insufficient cpu" in message
    assert message.endswith("leman cluster delete raycluster/smallest --namespace leman")
    assert fake.objects


def test_without_an_operator_time_over_says_so(fake: FakeApi, said: Said) -> None:
    def later() -> None:
        said.now = 1000.0

    fake.statuses = [later]
    with pytest.raises(KubernetesError, match="is the KubeRay operator running"):
        apply(smallest(), follow=said.follow())


def test_a_job_is_followed_to_its_end(fake: FakeApi, said: Said) -> None:
    fake.statuses = [
        {"jobDeploymentStatus": "Initializing", "rayClusterName": "nightly-x1"},
        {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "nightly-x1"},
        {"jobDeploymentStatus": "Retrying", "rayClusterName": ""},
        {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "nightly-x2"},
        {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "rayClusterName": "nightly-x2"},
    ]
    state = apply(smallest().job("nightly", "leman backfill gs://b/d t c"), follow=said.follow())
    assert state.phase == "succeeded"
    for words in (
        "starting: cluster nightly-x1",
        "running: Ray says RUNNING",
        "retrying: on a new cluster; it resumes",
    ):
        assert f"rayjob/nightly is {words}" in said.text()


def test_a_long_job_is_not_ended_by_the_time_for_its_start(fake: FakeApi, said: Said) -> None:
    def later() -> None:
        said.now += 10_000.0

    running = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "n"}
    done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "rayClusterName": "n"}
    fake.statuses = [running, *[later, dict(running)] * 3, done]
    assert apply(smallest().job("n", "true"), timeout_s=900, follow=said.follow()).phase == "succeeded"


def test_what_a_job_prints_is_shown_once_and_masked(fake: FakeApi, said: Said) -> None:
    def job_pod(name: str, time: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {"job-name": "n"}, "creationTimestamp": time}}

    def first() -> None:
        fake.pods = [job_pod("n-a", "2026-01-01T00:00:00Z")]
        fake.output["n-a"] = ["2026-01-01T00:00:01Z 10 rows", "2026-01-01T00:00:02Z HF_TOKEN=abc \x1b[2J"]

    def retried() -> None:
        fake.pods.append(job_pod("n-b", "2026-01-01T00:01:00Z"))
        fake.output["n-b"] = ["2026-01-01T00:01:01Z 10 rows", "2026-01-01T00:01:02Z done"]

    running = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "n"}
    done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "rayClusterName": "n"}
    fake.statuses = [running, first, dict(running), dict(running), retried, dict(running), done]
    apply(smallest().job("n", "true"), follow=said.follow())
    printed = [line.strip() for line in said if line.startswith("        | ")]
    assert printed == ["| 10 rows", "| HF_TOKEN=(redacted)  [2J", "| 10 rows", "| done"]


def test_a_job_whose_output_may_not_be_read_is_still_followed(fake: FakeApi, said: Said) -> None:
    fake.refused = [("GET", "/pods", 403, failure(403, "pods is forbidden"))]
    fake.statuses = [
        {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"},
        {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"},
    ]
    assert apply(smallest().job("n", "true"), follow=said.follow()).phase == "succeeded"


def test_a_failed_job_is_an_error_that_says_where_its_output_is(fake: FakeApi, said: Said) -> None:
    fake.statuses = [
        {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed", "message": "HF_TOKEN=abc bad"}
    ]
    with pytest.raises(KubernetesError) as caught:
        apply(smallest().job("nightly", "true"), follow=said.follow())
    assert str(caught.value) == (
        "rayjob/nightly is failed: AppFailed: HF_TOKEN=(redacted) bad. "
        "Its output: kubectl logs --namespace leman job/nightly"
    )


def test_the_same_job_is_waited_for_and_another_is_refused(fake: FakeApi, said: Said) -> None:
    job = smallest().job("nightly", "true")
    apply(job, wait=False, follow=said.follow())
    done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    with pytest.raises(KubernetesError, match="another job, and KubeRay does not change one"):
        apply(smallest().job("nightly", "false"), wait=False, follow=said.follow())
    key = ("rayjobs", "leman", "nightly")
    fake.put(key, {**fake.objects[key], "status": {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}})
    assert apply(job, wait=False, follow=said.follow()).phase == "running"
    fake.put(key, {**fake.objects[key], "status": done})
    with pytest.raises(KubernetesError, match=r"has ended already: it succeeded.*resumes from storage"):
        apply(job, follow=said.follow())


def test_a_cluster_that_is_deleted_meanwhile_is_not_waited_for(fake: FakeApi, said: Said) -> None:
    fake.statuses = [STARTING, None]
    with pytest.raises(KubernetesNotFoundError, match="was deleted while it was waited for"):
        apply(smallest(), follow=said.follow())


def test_a_server_that_is_away_for_a_while_is_waited_for(fake: FakeApi, said: Said) -> None:
    fake.failures = [
        ("WATCH", "rayclusters", 503, failure(503, "apiserver is shutting down")),
        ("WATCH", "rayclusters", 0, None),
    ]
    fake.statuses = [STARTING, READY]
    assert apply(smallest(), follow=said.follow()).phase == "ready"
    assert "answered 503: apiserver is shutting down; trying again" in said.text()
    assert "cannot reach Kubernetes" in said.text()


def test_a_server_that_stays_away_is_an_error(fake: FakeApi, said: Said) -> None:
    fake.refused = [("WATCH", "rayclusters", 503, failure(503, "away"))]
    with pytest.raises(KubernetesError, match="answered 503: away"):
        apply(smallest(), follow=said.follow())
    assert 600 <= said.now <= 620


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, failure(401, "Unauthorized")), ["does not know you", "get-credentials"]),
        ((403, failure(403, 'User "me" cannot create')), ["forbidden", 'User "me" cannot create', "rbac.yaml"]),
        ((404, "404 page not found\n"), ["knows no ray.io/v1", "KubeRay operator is not installed"]),
        ((404, failure(404, 'namespaces "leman" not found')), ["no namespace 'leman'", "kubectl create namespace"]),
        (
            (400, failure(400, 'strict decoding error: unknown field "spec.authOptions"')),
            ["spec.authOptions", "older than what the manifest uses", "token_authentication(False)"],
        ),
        ((422, failure(422, "spec.x: Required value")), ["refuses the manifest", "spec.x: Required value"]),
        ((500, failure(500, "etcd is full")), ["answered 500", "etcd is full"]),
        ((0, None), ["cannot reach Kubernetes at http://127.0.0.1:", "kubectl config current-context"]),
    ],
)
def test_each_refusal_says_what_to_do(refusal: tuple[int, Any], words: list[str], fake: FakeApi, said: Said) -> None:
    fake.refused = [("POST", "rayclusters", *refusal)]
    with pytest.raises(KubernetesError) as caught:
        apply(smallest(), follow=said.follow())
    for word in words:
        assert word in str(caught.value)
    assert "create raycluster/smallest" in str(caught.value)


def test_nobody_listening_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    pytest.importorskip("kubernetes")
    from .fake_api import kubeconfig

    (tmp_path / "kubeconfig").write_text(kubeconfig("http://127.0.0.1:9"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    with pytest.raises(KubernetesError, match=r"cannot reach Kubernetes at http://127.0.0.1:9: .*refused"):
        apply(smallest(), follow=said.follow())


def test_no_kubeconfig_no_pod_no_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeApi) -> None:
    with pytest.raises(KubernetesError, match=r"context='nowhere'.*get-contexts"):
        KubernetesApi.connect(context="nowhere")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubernetesError, match="does not run in a pod"):
        KubernetesApi.connect(K8sConfigMethod.IN_CLUSTER)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(KubernetesError, match=r"no usable kubeconfig.*gcloud container clusters get-credentials"):
        KubernetesApi.connect()


def test_without_the_package_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(KubernetesError, match=r"pip install 'leman\[kubernetes\]'"):
        apply(smallest())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: apply("small"), TypeError, "definition='small'"),
        (lambda: apply(smallest(), timeout_s=0), ValueError, "timeout_s=0"),
        (lambda: apply({"kind": "RayJob", "spec": {"entrypoint": "HF_TOKEN=abc x"}}), ValueError, "HF_TOKEN"),
        (lambda: delete("pod/x"), ValueError, "expected NAME, raycluster/NAME or rayjob/NAME"),
        (lambda: delete("x", timeout_s=-1), ValueError, "timeout_s=-1"),
        (lambda: running("small").__enter__(), TypeError, "cluster='small'"),
        (lambda: running(smallest(), on_exit="delete").__enter__(), TypeError, "on_exit='delete': .*ExitMode.DELETE"),
    ],
)
def test_a_slip_is_an_error_at_the_call(
    call: Callable[[], Any], error: type[Exception], words: str, fake: FakeApi
) -> None:
    with pytest.raises(error, match=words):
        call()
    assert fake.requests == []


def test_status_lists_and_finds(fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    apply(smallest().job("nightly", "true"), wait=False, follow=said.follow())
    assert sorted(state.reference for state in list_states()) == ["raycluster/smallest", "rayjob/nightly"]
    assert list_states("features") == []
    fake.pods = [pod("w1", **waiting("ErrImagePull"))]
    state, problems = status("smallest")
    assert state.phase == "ready"
    assert problems == ["w1: ErrImagePull; check the image's name, and that the nodes may read its registry"]
    with pytest.raises(KubernetesNotFoundError, match="no raycluster or rayjob 'x' in namespace 'leman'"):
        status("x")
    apply(smallest().job("smallest", "true"), wait=False, follow=said.follow())
    with pytest.raises(ValueError, match="say raycluster/smallest or rayjob/smallest"):
        status("smallest")
    assert status("rayjob/smallest")[0].kind == "RayJob"


def test_delete_waits_until_the_pods_are_gone(fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    fake.pods = [pod("w1")]

    class Watched(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if "1 pods are ending" in line:
                fake.pods.clear()

    lines = Watched()
    delete("smallest", follow=Follow(lines.append))
    assert lines[0] == "raycluster/smallest in namespace leman: deletion asked for"
    assert lines[1].endswith("1 pods are ending")
    assert lines[-1] == "raycluster/smallest is gone"
    with pytest.raises(KubernetesNotFoundError):
        delete("smallest")


def test_a_server_that_is_away_during_a_deletion_is_waited_for(fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    fake.pods = [pod("w1")]
    fake.failures = [("GET", "/pods", 503, failure(503, "away")), ("WATCH", "rayclusters", 504, failure(504, "slow"))]

    class Watched(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if "answered 504" in line:
                fake.pods.clear()

    lines = Watched()
    delete("smallest", follow=Follow(lines.append, lambda: said.now, said.follow().sleep))
    assert any("answered 503: away; trying again" in line for line in lines)
    assert lines[-1] == "raycluster/smallest is gone"
    fake.pods = [pod("w2")]
    fake.statuses = [READY]
    apply(smallest(), follow=said.follow())
    fake.refused = [("WATCH", "rayclusters", 504, failure(504, "slow"))]
    with pytest.raises(KubernetesError, match=r"is not gone after 30 s: .*answered 504"):
        delete("smallest", timeout_s=30, follow=said.follow())


@pytest.mark.parametrize(
    ("on_exit", "fails", "stays"),
    [
        (ExitMode.DELETE, False, False),
        (ExitMode.DELETE, True, False),
        (ExitMode.RETAIN_ON_FAILURE, False, False),
        (ExitMode.RETAIN_ON_FAILURE, True, True),
        (ExitMode.RETAIN, False, True),
        (ExitMode.RETAIN, True, True),
    ],
)
def test_a_cluster_for_a_while(on_exit: ExitMode, fails: bool, stays: bool, fake: FakeApi, said: Said) -> None:
    fake.statuses = [READY]
    outcome = pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext()
    with outcome, running(smallest(), on_exit=on_exit, follow=said.follow()) as state:
        assert state.phase == "ready"
        if fails:
            raise ZeroDivisionError
    assert bool(fake.objects) == stays
    assert ("stays, and costs" in said.text()) == (stays and fails)


def test_a_cluster_that_does_not_come_up_is_deleted_and_the_error_is_the_first(fake: FakeApi, said: Said) -> None:
    def later() -> None:
        said.now += 1000.0

    fake.statuses = [STARTING, later]
    with pytest.raises(KubernetesError, match="did not come up"), running(smallest(), follow=said.follow()):
        pytest.fail("the body must not run")
    assert fake.objects == {}
    fake.statuses = [STARTING, later]
    fake.refused = [("DELETE", "smallest", 403, failure(403, "you may not"))]
    with pytest.raises(KubernetesError, match="did not come up"), running(smallest(), follow=said.follow()):
        pytest.fail("the body must not run")
    assert "you may not" in said.text()


def test_what_leman_did_not_make_is_not_deleted_unless_forced(fake: FakeApi, said: Said) -> None:
    key = ("rayclusters", "leman", "theirs")
    fake.put(key, {"kind": "RayCluster", "metadata": {"name": "theirs", "namespace": "leman"}, "spec": {}})
    with pytest.raises(KubernetesError, match="was not made by Leman"):
        delete("theirs", follow=said.follow())
    assert key in fake.objects
    delete("theirs", force=True, follow=said.follow())
    assert key not in fake.objects


def test_an_interrupted_wait_says_that_it_goes_on(
    fake: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        _thread.interrupt_main()

    (tmp_path / "cluster.json").write_text(json.dumps(smallest().to_manifest()))
    fake.statuses = [STARTING, interrupt]
    assert cli.run(["cluster", "apply", str(tmp_path / "cluster.json")]) == 130
    assert "raycluster/smallest goes on. Watch it again with the same command" in capsys.readouterr().err
    assert fake.objects


def test_the_command_line_goes_all_the_way(
    fake: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "cluster.json").write_text(json.dumps(everything().to_manifest()))
    fake.statuses = [READY]
    assert cli.run(["cluster", "apply", str(tmp_path / "cluster.json")]) == 0
    assert capsys.readouterr().out.endswith("raycluster/everything is ready: 1 of 1 workers ready\n")
    assert cli.run(["cluster", "status", "-n", "features"]) == 0
    assert "raycluster/everything  ready  1 of 1 workers ready" in capsys.readouterr().out
    assert cli.run(["cluster", "status", "everything", "-n", "features", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["phase"] == "ready"
    assert cli.run(["cluster", "apply", str(tmp_path / "cluster.json"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["phase"] == "ready"
    assert "is there already" in said.err
    assert cli.run(["cluster", "delete", "everything", "-n", "features"]) == 0
    assert capsys.readouterr().out.endswith("raycluster/everything is gone\n")
    assert cli.run(["cluster", "delete", "everything", "-n", "features"]) == 3
    assert "there is no raycluster or rayjob 'everything'" in capsys.readouterr().err
    assert cli.run(["cluster", "status", "-n", "features"]) == 0
    assert capsys.readouterr().out == "there are no Ray clusters and jobs in namespace features\n"
    assert cli.run(["cluster", "status", "--in-cluster", "--kube-context", "test"]) == 2
