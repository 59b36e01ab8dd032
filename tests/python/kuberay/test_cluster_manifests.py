"""Manifests: their text, their fit to KubeRay's own schema, and that no secret's value is in them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from leman.cluster import KubeRayClusterBuilder, SecretKeyRef
from leman.cluster.environment import check_manifest, looks_secret, redacted, redacted_text
from leman.signing_key import config_folder

from . import kuberay_crds
from .clusters import IMAGE, everything, fixed_size, smallest

GOLDEN = Path(__file__).parent / "golden"
MANIFESTS = {
    "smallest": lambda: smallest(),
    "everything": lambda: everything(),
    "fixed": lambda: fixed_size(),
    "job": lambda: smallest().job("nightly", "leman backfill gs://bucket/db texts n_words"),
    "job_everything": lambda: everything().job(
        "nightly",
        ["leman", "backfill", "gs://bucket/db", "texts", "n_words", "--where", "n > 1"],
        retries=3,
        deadline_seconds=7200,
        keep_seconds=0,
        runtime_env={"pip": ["pillow==12.0.0"], "env_vars": {"LANCE_IO_THREADS": "4"}},
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_text_is_as_it_was_looked_at(name: str) -> None:
    pytest.importorskip("yaml", reason="YAML needs leman[kubernetes]")
    assert MANIFESTS[name]().to_yaml() == (GOLDEN / f"{name}.yaml").read_text()


@pytest.mark.parametrize("version", ["v1.6.0", "v1.5.1"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_kuberays_own_schema_takes_it(name: str, version: str) -> None:
    check_against_schema(MANIFESTS[name]().to_manifest(), version)


def test_an_older_kuberay_takes_a_cluster_without_token_and_before_that_of_fixed_size() -> None:
    check_against_schema(dataclasses.replace(smallest(), token_authentication=False).to_manifest(), "v1.4.2")
    check_against_schema(fixed_size().to_manifest(), "v1.3.2")


def test_a_shared_volume_is_in_every_pod() -> None:
    manifest = everything().to_manifest()["spec"]
    for group in (manifest["headGroupSpec"], *manifest["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["volumes"][0] == {"name": "shared-0", "persistentVolumeClaim": {"claimName": "tables"}}
        assert pod["containers"][0]["volumeMounts"][0] == {"name": "shared-0", "mountPath": "/data"}


def test_the_heads_driver_finds_the_trusted_keys_where_leman_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    head = everything().to_manifest()["spec"]["headGroupSpec"]["template"]["spec"]
    mount = next(entry for entry in head["containers"][0]["volumeMounts"] if entry["name"] == "keys")
    environment = {entry["name"]: entry.get("value") for entry in head["containers"][0]["env"]}
    monkeypatch.setenv("LEMAN_CONFIG_DIR", environment["LEMAN_CONFIG_DIR"])
    assert mount == {"name": "keys", "mountPath": str(config_folder() / "trusted_keys"), "readOnly": True}
    assert head["volumes"][1] == {"name": "keys", "secret": {"secretName": "leman-keys", "optional": True}}
    assert len(everything().to_manifest()["spec"]["workerGroupSpecs"][0]["template"]["spec"]["volumes"]) == 1


def test_the_schema_refuses_what_it_does_not_know() -> None:
    manifest = smallest().to_manifest()
    manifest["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(Exception, match="imagee"):
        check_against_schema(manifest, "v1.6.0")


def check_against_schema(manifest: dict[str, Any], version: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("yaml")
    plural = {"RayCluster": "rayclusters", "RayJob": "rayjobs"}[manifest["kind"]]
    try:
        schema = kuberay_crds.strict_schema(plural, version)
    except kuberay_crds.NotToBeHad as reason:
        pytest.skip(str(reason))
    jsonschema.Draft202012Validator(schema).validate(manifest)


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def test_requests_are_limits_and_the_head_takes_no_function() -> None:
    manifest = everything().to_manifest()
    for container in containers(manifest):
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert containers(manifest)[2]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert manifest["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_workers_take_the_heads_image_unless_they_name_one() -> None:
    images = [container["image"] for container in containers(everything().to_manifest())]
    assert images == [IMAGE, IMAGE, "registry.example.com/leman:1.0-cuda"]


def test_a_variable_of_the_users_wins_over_ours() -> None:
    builder = KubeRayClusterBuilder.create("c").head_group(image=IMAGE, env_vars={"LEMAN_EXECUTOR": "local"})
    head = containers(builder.add_worker_group(builder.cpu_worker()).build().to_manifest())[0]
    assert [entry["value"] for entry in head["env"] if entry["name"] == "LEMAN_EXECUTOR"] == ["local"]


def test_a_secret_is_a_reference() -> None:
    worker = containers(everything().to_manifest())[1]
    assert {
        "name": "HF_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "hugging-face", "key": "token"}},
    } in worker["env"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("HF_TOKEN", "abc"),
        ("DB_PASSWORD", "hunter2"),
        ("openai_api_key", "x1"),
        ("ANYTHING", "-----BEGIN RSA PRIVATE KEY-----"),
        ("DATABASE_URL", "postgresql://me:hunter2@db/x"),
    ],
)
def test_a_plain_secret_is_refused_and_not_repeated(name: str, value: str) -> None:
    assert looks_secret(name, value)
    for call in (
        lambda: KubeRayClusterBuilder.create("c").head_group(image=IMAGE, env_vars={name: value}),
        lambda: KubeRayClusterBuilder.cpu_worker().env_vars({name: value}),
        lambda: smallest().job("j", "true", runtime_env={"env_vars": {name: value}}),
        lambda: check_manifest({"spec": [{"env": [{"name": name, "value": value}]}]}),
    ):
        with pytest.raises(ValueError, match="SecretKeyRef") as caught:
            call()
        assert name in str(caught.value)
        assert value not in str(caught.value)
    for text in (f"env_vars:\n  {name}: {value}\n", json.dumps({"env_vars": {name: value}})):
        with pytest.raises(ValueError, match="looks like a secret") as caught:
            check_manifest({"spec": {"runtimeEnvYAML": text}})
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKENS", "512"),
        ("TOKEN_BUDGET", "4096"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/secrets/key.json"),
        ("SORT_KEY", "id"),
        ("HF_HOME", "/models"),
        ("ENDPOINT", "https://storage.example.com:9000/x"),
    ],
)
def test_what_is_no_secret_may_stand_there(name: str, value: str) -> None:
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    "command",
    [
        "leman backfill s3://b/d t c --storage-option aws_secret_access_key=wJalrXUtn",
        ["leman", "backfill", "s3://b/d", "t", "c", "--api-key", "abcdef"],
        "HF_TOKEN=abcdef leman backfill gs://b/d t c",
        "leman backfill https://me:hunter2@host/d t c",
    ],
)
def test_a_secret_in_the_command_is_refused(command: Any) -> None:
    with pytest.raises(ValueError, match="entrypoint") as caught:
        smallest().job("j", command)
    for secret in ("wJalrXUtn", "abcdef", "hunter2"):
        assert secret not in str(caught.value)


def test_a_secret_that_is_there_already_is_not_shown() -> None:
    live = {"env": [{"name": "HF_TOKEN", "value": "abc"}, {"name": "A", "value": "1"}], "entrypoint": "x --token abc"}
    shown = redacted(live)
    assert shown["env"] == [{"name": "HF_TOKEN", "value": "(redacted)"}, {"name": "A", "value": "1"}]
    assert "abc" not in json.dumps(shown)
    assert redacted_text("postgresql://me:hunter2@db/x") == "(redacted)db/x"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "n" * 48}, ValueError, "at most 47"),
        ({"entrypoint": " "}, ValueError, "entrypoint=' '"),
        ({"entrypoint": ["a", 1]}, TypeError, r"entrypoint\[1\]=1"),
        ({"retries": -1}, ValueError, "retries=-1"),
        ({"deadline_seconds": 0}, ValueError, "deadline_seconds=0"),
        ({"keep_seconds": None}, TypeError, "keep_seconds=None"),
        ({"retrys": 1}, TypeError, "Did you mean 'retries'"),
        ({"runtime_env": ["pip"]}, TypeError, "runtime_env"),
        ({"runtime_env": {"working_dir": "./src"}}, ValueError, "uploads no local folder"),
        ({"runtime_env": {"pip": {1, 2}}}, TypeError, "runtime_env: expected only str"),
        ({"runtime_env": {"env_vars": {"A": SecretKeyRef("s", "k")}}}, TypeError, "cannot refer to a Secret"),
    ],
)
def test_a_slip_in_a_job_is_an_error_at_the_call(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"name": "j", "entrypoint": "true", **arguments}
    with pytest.raises(error, match=words):
        smallest().job(given.pop("name"), given.pop("entrypoint"), **given)


def test_words_of_a_command_are_quoted() -> None:
    job = smallest().job("j", ["leman", "backfill", "gs://b/d", "t", "c", "--where", "name = 'a b'"])
    assert job.entrypoint == """leman backfill gs://b/d t c --where 'name = '"'"'a b'"'"''"""
