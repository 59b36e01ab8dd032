"""Definitions of clusters: the documented names and defaults, and an error at the call for every slip."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leman.cluster import K8sConfigMethod, KubeRayCluster, KubeRayClusterBuilder, SecretKeyRef, WorkerGroup
from leman.cluster.kuberay_cluster import RAY_VERSION

from .clusters import IMAGE, everything, smallest

Builder = KubeRayClusterBuilder
GIB = 2**30


def head(**arguments: Any) -> KubeRayClusterBuilder:
    return Builder.create("c").head_group(**arguments)


def test_the_documented_defaults() -> None:
    cluster = Builder.create("c").head_group(image=IMAGE).add_worker_group(Builder.cpu_worker())
    built = cluster.add_worker_group(Builder.gpu_worker()).build()
    cpu, gpu = built.worker_groups
    assert (built.head.cpu_millis, built.head.memory_bytes, built.head.gpus) == (4000, 8 * GIB, 0)
    assert built.head.node_selector == {"leman/ray-head": "true"}
    assert (cpu.pod.cpu_millis, cpu.pod.memory_bytes, cpu.pod.gpus) == (4000, 8 * GIB, 0)
    assert (gpu.pod.cpu_millis, gpu.pod.memory_bytes, gpu.pod.gpus) == (8000, 16 * GIB, 1)
    for group in (cpu, gpu):
        assert (group.replicas, group.min_replicas, group.max_replicas) == (1, 0, 100)
        assert group.idle_timeout_seconds == 60
    assert cpu.pod.node_selector == {"leman/ray-worker-cpu": "true"}
    assert gpu.pod.node_selector == {"leman/ray-worker-gpu": "true"}
    assert gpu.pod.tolerations == ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
    assert {built.head.service_account, cpu.pod.service_account} == {"leman"}
    assert built.namespace == "leman"
    assert built.is_autoscaled
    assert built.ray_address == "ray://c-head-svc.leman.svc.cluster.local:10001"


def test_the_ray_version_is_that_of_the_extra() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    pinned = re.search(r'^ray = \["ray(?:\[\w+\])?==([\d.]+)"', text, re.M)
    assert pinned is not None
    assert pinned[1] == RAY_VERSION


def test_groups_are_named_after_their_kind_and_numbered() -> None:
    builder = Builder.create("c").head_group(image=IMAGE)
    for worker in (
        Builder.cpu_worker(),
        Builder.cpu_worker(),
        Builder.cpu_worker().name("cpu-2"),
        Builder.gpu_worker(),
    ):
        builder.add_worker_group(worker)
    assert [group.name for group in builder.build().worker_groups] == ["cpu", "cpu-3", "cpu-2", "gpu"]


def test_a_built_cluster_does_not_change_with_its_builder() -> None:
    builder = Builder.create("c").head_group(image=IMAGE).add_worker_group(Builder.cpu_worker())
    built = builder.build()
    builder.namespace("other").add_worker_group(Builder.gpu_worker())
    assert built.namespace == "leman"
    assert len(built.worker_groups) == 1


def test_replicas_follow_the_bounds_unless_they_are_given() -> None:
    assert Builder.cpu_worker().min_replicas(5).build().replicas == 5
    assert Builder.cpu_worker().max_replicas(0).build().replicas == 0
    assert Builder.cpu_worker().replicas(0).build().replicas == 0


def test_equal_bounds_make_a_cluster_of_fixed_size() -> None:
    fixed = Builder.cpu_worker().min_replicas(3).max_replicas(3)
    assert not Builder.create("c").head_group(image=IMAGE).add_worker_group(fixed).build().is_autoscaled


def test_spot_and_accelerator_add_to_what_is_there() -> None:
    worker = Builder.gpu_worker().accelerator("nvidia-l4").spot().spot().build()
    assert worker.pod.node_selector == {
        "leman/ray-worker-gpu": "true",
        "cloud.google.com/gke-accelerator": "nvidia-l4",
        "cloud.google.com/gke-spot": "true",
    }
    assert [entry["key"] for entry in worker.pod.tolerations] == ["nvidia.com/gpu", "cloud.google.com/gke-spot"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Builder.create("My_Cluster"), ValueError, ["name='My_Cluster'", "lower-case", "'my-cluster'"]),
        (lambda: Builder.create("c" * 54), ValueError, ["at most 53"]),
        (lambda: Builder.create(7), TypeError, ["name=7", "got int"]),
        (lambda: Builder.create("c").namespace("a.b"), ValueError, ["namespace='a.b'"]),
        (lambda: Builder.create("c").config_method("LOCAL"), TypeError, ["K8sConfigMethod.LOCAL"]),
        (lambda: Builder.create("c").ray_version("2.60"), ValueError, ["ray_version='2.60'", "'2.60.0'"]),
        (lambda: Builder.create("c").token_authentication("yes"), TypeError, ["enabled='yes'"]),
        (lambda: Builder.create("c").shared_volume("tables", "data"), ValueError, ["path='data'", "'/data'"]),
        (lambda: Builder.create("c").trusted_keys("My Keys"), ValueError, ["secret='My Keys'"]),
        (lambda: Builder.create("c").shared_volume("My Claim", "/data"), ValueError, ["claim='My Claim'"]),
        (
            lambda: Builder.create("c").shared_volume("a", "/data").shared_volume("b", "/data"),
            ValueError,
            ["path='/data'", "'a' is mounted there already"],
        ),
        (lambda: head(image="My Image"), ValueError, ["image='My Image'"]),
        (lambda: head(image="x:"), ValueError, ["image='x:'"]),
        (lambda: head(cpus=0), ValueError, ["cpus=0", "above 0"]),
        (lambda: head(cpus=True), TypeError, ["cpus=True", "got bool"]),
        (lambda: head(cpus="4 cores"), ValueError, ["cpus='4 cores'", "'500m'"]),
        (lambda: head(cpus=0.0001), ValueError, ["steps of 0.001"]),
        (lambda: head(memory="8GB"), ValueError, ["memory='8GB'", "Did you mean '8Gi'?"]),
        (lambda: head(memory="8m"), ValueError, ["memory='8m'", "Did you mean '8Mi'?"]),
        (lambda: head(memory=8), ValueError, ["memory=8", "8 bytes", "128Mi"]),
        (lambda: head(memory=8.0), TypeError, ["got float"]),
        (lambda: head(gpus=-1), ValueError, ["gpus=-1"]),
        (lambda: head(service_account="Leman"), ValueError, ["service_account='Leman'"]),
        (lambda: head(node_selector={"pool": True}), TypeError, ["node_selector['pool']=True", "Write 'true'"]),
        (lambda: head(node_selector={"a/b/c": "x"}), ValueError, ["node_selector", "'a/b/c'"]),
        (lambda: head(node_selector="pool=head"), TypeError, ["node_selector='pool=head'", "dict"]),
        (lambda: head(labels={"pool": "-x"}), ValueError, ["labels['pool']='-x'"]),
        (lambda: head(tolerations="a:NoSchedule"), TypeError, ["expected a list"]),
        (lambda: head(tolerations=["a:noschedule"]), ValueError, ["tolerations[0]", "Did you mean 'NoSchedule'"]),
        (lambda: head(tolerations=[{"ky": "a"}]), TypeError, ["'ky'", "Did you mean 'key'"]),
        (lambda: head(tolerations=[{"effect": "NoSchedule"}]), ValueError, ["without a key"]),
        (
            lambda: head(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
            ValueError,
            ["takes no value"],
        ),
        (lambda: head(env_vars={"1A": "x"}), ValueError, ["'1A'"]),
        (lambda: head(env_vars={"A": 1}), TypeError, ["env_vars['A']", "SecretKeyRef", "got int"]),
        (lambda: head(image=IMAGE).build(), ValueError, ["no worker group", "cpu_worker()"]),
        (lambda: Builder.create("c").build(), ValueError, ["no image", "head_group(image=", "deploy/Dockerfile"]),
        (lambda: Builder.create("c").add_worker_group("cpu"), TypeError, ["group='cpu'", "cpu_worker()"]),
        (lambda: Builder.cpu_worker().name("Cheap"), ValueError, ["name='Cheap'"]),
        (lambda: Builder.cpu_worker().name("headgroup"), ValueError, ["headgroup"]),
        (lambda: Builder.cpu_worker().replicas(-1), ValueError, ["replicas=-1"]),
        (lambda: Builder.cpu_worker().replicas(2.0), TypeError, ["replicas=2.0"]),
        (lambda: Builder.cpu_worker().max_replicas(2**31), ValueError, ["max_replicas=2147483648", "at most"]),
        (lambda: Builder.cpu_worker().replicas(101).build(), ValueError, ["replicas=101", "max_replicas=100"]),
        (lambda: Builder.cpu_worker().min_replicas(3).replicas(2).build(), ValueError, ["less than min_replicas=3"]),
        (lambda: Builder.cpu_worker().min_replicas(101).build(), ValueError, ["min_replicas=101"]),
        (lambda: Builder.cpu_worker().idle_timeout_seconds(1.5), TypeError, ["idle_timeout_seconds=1.5"]),
        (lambda: Builder.gpu_worker(0), ValueError, ["gpus=0", ">= 1"]),
        (lambda: Builder.gpu_worker().memory("3Gi"), ValueError, ["memory='3Gi'", "3 GiB", "at least 4 GiB"]),
        (lambda: Builder.cpu_worker().gke_node_pool("my pool"), ValueError, ["my pool"]),
        (lambda: SecretKeyRef("My Secret", "key"), ValueError, ["secret='My Secret'"]),
        (lambda: SecretKeyRef("s", "a key"), ValueError, ["key='a key'"]),
    ],
)
def test_a_slip_is_an_error_at_the_call(make: Callable[[], Any], error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_two_groups_of_one_name_are_refused() -> None:
    builder = Builder.create("c").add_worker_group(Builder.cpu_worker().name("a"))
    with pytest.raises(ValueError, match="named 'a' already"):
        builder.add_worker_group(Builder.gpu_worker().name("a"))


@pytest.mark.parametrize(
    ("memory", "cpus", "said"),
    [
        ("100G", 8, []),
        ("101G", 8, ["more than 100 GB"]),
        ("64Gi", 4, []),
        ("65Gi", 4, ["more than 16 GiB a CPU"]),
        ("200G", 1, ["more than 100 GB", "more than 16 GiB a CPU"]),
    ],
)
def test_memory_that_is_probably_a_mistake_is_warned_of(memory: str, cpus: int, said: list[str]) -> None:
    for make in (
        lambda: Builder.create("c").head_group(image=IMAGE, cpus=cpus, memory=memory),
        lambda: Builder.cpu_worker().cpus(cpus).memory(memory).build(),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make()
        assert len(caught) == len(said)
        for warning, words in zip(caught, said, strict=True):
            assert words in str(warning.message)
            assert warning.filename == __file__


def test_cpu_workers_have_no_gpus() -> None:
    assert not hasattr(Builder.cpu_worker(), "gpus")


def test_a_method_that_is_not_there_is_explained() -> None:
    with pytest.raises(AttributeError, match=r"KubeRayClusterBuilder has no 'namespcae'. Did you mean 'namespace'"):
        Builder.create("c").namespcae("x")
    with pytest.raises(AttributeError, match=r"CpuWorkerBuilder has no 'max_replica'. Did you mean 'max_replicas'"):
        Builder.cpu_worker().max_replica(3)
    with pytest.raises(AttributeError, match=r"has no 'ray_init_kwargs', and needs none: .*runtime_env"):
        Builder.create("c").ray_init_kwargs({})
    copied = copy.deepcopy(Builder.create("c").head_group(image=IMAGE).add_worker_group(Builder.cpu_worker()))
    assert copied.build().name == "c"


def test_everything_is_carried_into_the_value() -> None:
    built = everything()
    assert isinstance(built, KubeRayCluster)
    assert built.config_method is K8sConfigMethod.LOCAL
    assert all(isinstance(group, WorkerGroup) for group in built.worker_groups)
    assert [group.name for group in built.worker_groups] == ["cheap", "gpu"]
    assert built == everything()
    assert smallest() != built


def test_defining_and_rendering_load_neither_kubernetes_nor_yaml() -> None:
    code = """
import json, sys
from leman.cluster import KubeRayClusterBuilder as B
c = B.create("c").head_group(image="i").add_worker_group(B.cpu_worker()).build()
json.dumps(c.job("j", "true").to_manifest())
print(*[name for name in ("kubernetes", "yaml", "ray", "lance", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
