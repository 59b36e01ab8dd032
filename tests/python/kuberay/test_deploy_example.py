"""The example in deploy: its manifests are what its Python says, and its parts fit together."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leman.cluster.kuberay_cluster import DEFAULT_NAMESPACE, RAY_VERSION
from leman.cluster.pod_group import CPU_WORKER_SELECTOR, DEFAULT_SERVICE_ACCOUNT, GPU_WORKER_SELECTOR, HEAD_SELECTOR

from . import kuberay_crds

REPOSITORY = Path(__file__).parents[3]
GKE = REPOSITORY / "deploy" / "gke"


def clusters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gke_clusters", GKE / "clusters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "file"), [("features", "raycluster.yaml"), ("nightly", "job/rayjob.yaml")])
def test_the_manifests_are_rendered_from_the_python(name: str, file: str) -> None:
    pytest.importorskip("yaml", reason="YAML needs leman[kubernetes]")
    assert getattr(clusters(), name).to_yaml() == (GKE / file).read_text()


def load(file: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="YAML needs leman[kubernetes]")
    return yaml.safe_load((GKE / file).read_text())


@pytest.mark.parametrize("folder", [".", "job"])
def test_kustomizations_name_files_and_an_image_that_are_there(folder: str) -> None:
    kustomization = load(f"{folder}/kustomization.yaml")
    for resource in kustomization["resources"]:
        assert (GKE / folder / resource).is_file()
    assert [entry["name"] for entry in kustomization["images"]] == ["leman"]


@pytest.mark.parametrize("folder", [".", "job"])
def test_kustomize_puts_the_image_in(folder: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    command = ["kubectl", "kustomize", str(GKE / folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    images = re.findall(r"image: (\S+)", made)
    assert len(images) == 3
    assert all(image.endswith("/leman:0.1.0") for image in images)


def test_names_are_the_defaults_of_the_builders() -> None:
    assert load("namespace.yaml")["metadata"]["name"] == DEFAULT_NAMESPACE
    account = load("serviceaccount.yaml")["metadata"]
    assert (account["name"], account["namespace"]) == (DEFAULT_SERVICE_ACCOUNT, DEFAULT_NAMESPACE)


def test_the_node_pools_have_the_labels_that_the_pods_ask_for() -> None:
    script = (GKE / "create_cluster.sh").read_text()
    for selector in (HEAD_SELECTOR, CPU_WORKER_SELECTOR, GPU_WORKER_SELECTOR):
        for key, value in selector.items():
            assert f"--node-labels {key}={value}" in script
    assert f"ref={kuberay_crds.VERSION}" in script
    assert f"ns/{DEFAULT_NAMESPACE}/sa/{DEFAULT_SERVICE_ACCOUNT}" in script
    subprocess.run(["bash", "-n", str(GKE / "create_cluster.sh")], check=True)


def test_the_image_has_the_ray_of_the_manifests_and_copies_what_is_there() -> None:
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text()
    assert f"ARG BASE=rayproject/ray:{RAY_VERSION}-py311" in dockerfile
    ignored = (REPOSITORY / "deploy" / "Dockerfile.dockerignore").read_text().split()
    for source in re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.M):
        assert (REPOSITORY / source).exists()
    for needed in ("src", "python", "cmake", "include", "pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE"):
        if (REPOSITORY / needed).exists():
            assert needed not in ignored


def test_the_image_has_the_libraries_of_the_built_in_functions() -> None:
    bootstrap = (REPOSITORY / "tools" / "bootstrap").read_text()
    found = re.search(r"^  want_debian (lib.+)$", bootstrap, re.M)
    assert found is not None
    # Ubuntu, on which Ray's images are, calls its JPEG library otherwise; this name is understood by both.
    wanted = set(found.group(1).replace("libjpeg62-turbo-dev", "libjpeg-dev").split())
    assert wanted <= set(re.findall(r"lib[a-z0-9]+-dev", (REPOSITORY / "deploy" / "Dockerfile").read_text()))
