"""`leman cluster`: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from leman import cli

CLUSTERS = """
from leman.cluster import KubeRayClusterBuilder as Builder

builder = Builder.create("small").head_group(image="registry.example.com/leman:1.0")
builder.add_worker_group(Builder.cpu_worker().memory("100Gi"))
small = builder.build()
nightly = small.job("nightly", "leman backfill gs://b/d t c")
number = 7
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "clusters_of_test.py").write_text(CLUSTERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "clusters_of_test", raising=False)
    return tmp_path


def test_render_prints_what_python_would(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["cluster", "render", "clusters_of_test.py:small", "--json"]) == 0
    said = capsys.readouterr()
    manifest = json.loads(said.out)
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("RayCluster", "small")
    assert said.err.startswith("leman: warning: worker group 'cpu': memory of 100 GiB is more than 100 GB")
    assert "Traceback" not in said.err
    assert ".py:" not in said.err


@pytest.mark.parametrize("source", ["clusters_of_test.py:builder", "clusters_of_test:small"])
def test_render_takes_a_builder_and_a_module(source: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml", reason="YAML needs leman[kubernetes]")
    assert cli.run(["cluster", "render", source]) == 0
    assert capsys.readouterr().out.startswith("apiVersion: ray.io/v1\nkind: RayCluster\n")


def test_an_entrypoint_makes_a_job(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "cluster",
        "render",
        "clusters_of_test.py:small",
        "--json",
        "--entrypoint",
        "leman backfill gs://b/d t c",
    ]
    assert cli.run([*arguments, "--job-name", "tonight", "--retries", "0", "--deadline", "60", "--keep", "0"]) == 0
    spec = json.loads(capsys.readouterr().out)
    assert (spec["kind"], spec["metadata"]["name"]) == ("RayJob", "tonight")
    assert (spec["spec"]["backoffLimit"], spec["spec"]["activeDeadlineSeconds"]) == (0, 60)
    assert spec["spec"]["ttlSecondsAfterFinished"] == 0


def test_without_yaml_json_still_works(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert cli.run(["cluster", "render", "clusters_of_test.py:nightly"]) == 1
    assert "pip install 'leman[kubernetes]'" in capsys.readouterr().err
    assert cli.run(["cluster", "render", "clusters_of_test.py:nightly", "--json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clusters_of_test.py:smal"], ["has no 'smal'", "Did you mean 'small'", "builder, small, nightly"]),
        (["clusters_of_test.py:number"], ["expected a KubeRayCluster", "got int"]),
        (["nowhere.py:small"], ["there is no file 'nowhere.py'"]),
        (["small"], ["SOURCE 'small'", "FILE.py:NAME"]),
        (["nowhere.yaml"], ["nowhere.yaml", "No such file"]),
        (["clusters_of_test.py:small", "--retries", "2"], ["--retries needs --entrypoint"]),
        (["clusters_of_test.py:nightly", "--entrypoint", "x"], ["--entrypoint goes with a cluster"]),
        (["m.json", "--entrypoint", "x"], ["--entrypoint goes with a cluster from Python"]),
        (["clusters_of_test.py:small", "--entrypoint", "x", "--job-name", "A"], ["name='A'"]),
        (["clusters_of_test.py:small", "--entrypoint", "HF_TOKEN=abc x"], ["HF_TOKEN looks like a secret"]),
    ],
)
def test_a_slip_is_said_in_a_line(
    arguments: list[str], words: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["cluster", "render", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("[]", "expected one RayCluster or RayJob"),
        ('{"kind": "Deployment"}', "expected one RayCluster or RayJob"),
        ('{"kind": "RayJob"}', "no metadata.name"),
        ("{", "Expecting property name"),
        ('{"kind": "RayJob", "metadata": {"name": "j"}, "e": [{"name": "HF_TOKEN", "value": "abc"}]}', "SecretKeyRef"),
    ],
)
def test_a_manifest_is_looked_at(manifest: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.json").write_text(manifest)
    assert cli.run(["cluster", "render", "m.json", "--json"]) == 2
    assert words in capsys.readouterr().err
