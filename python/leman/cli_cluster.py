"""The ``leman cluster`` commands: Ray clusters on Kubernetes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import cli_output
from .argument_checks import closest
from .cli_module import import_place

if TYPE_CHECKING:
    from .cluster import KubeRayCluster, KubeRayJob, KubernetesApi

_F = TypeVar("_F", bound=Callable[..., Any])
_FORM = "expected FILE.py:NAME or MODULE:NAME of a cluster, or a manifest (.yaml, .yml or .json)"
_SOURCE = click.argument("source", metavar="FILE.py:NAME|MODULE:NAME|MANIFEST")


def _set_flag(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.find_root().meta[f"leman.{param.name}"] = value


def _common(function: _F) -> _F:
    options = (
        click.option("--json", is_flag=True, expose_value=False, callback=_set_flag, help="Print JSON."),
        click.option(
            "--traceback", is_flag=True, expose_value=False, callback=_set_flag, help="Show where an error came from."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _job_options(function: _F) -> _F:
    options = (
        click.option("--entrypoint", metavar="COMMAND", help="Make a RayJob that runs this on a cluster of its own."),
        click.option("--job-name", metavar="NAME", help="The RayJob's name.  [default: the cluster's]"),
        click.option(
            "--retries", type=click.IntRange(0), help="Tries after the first, each on a new cluster.  [default: 1]"
        ),
        click.option("--deadline", type=click.IntRange(1), metavar="SECONDS", help="End the job after this time."),
        click.option(
            "--keep",
            type=click.IntRange(0),
            metavar="SECONDS",
            help="Keep the cluster after the job's end.  [default: 300]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _is_json() -> bool:
    return bool(click.get_current_context().find_root().meta.get("leman.json"))


@click.group()
def cluster() -> None:
    """Ray clusters on Kubernetes, made by KubeRay.

    A cluster is defined in Python, e.g. in clusters.py:

    \b
        from leman.cluster import KubeRayClusterBuilder as Builder
        small = (
            Builder.create("small")
            .head_group(image="registry.example.com/leman:1.0")
            .add_worker_group(Builder.cpu_worker().max_replicas(10))
            .build()
        )
    \b
    and named in the commands:
        leman cluster render clusters.py:small
        leman cluster apply  clusters.py:small
        leman cluster apply  clusters.py:small --entrypoint "leman backfill gs://bucket/db texts n_words"
        leman cluster status small
        leman cluster delete small

    docs/kubernetes.md has the whole way, from nothing to a job on GKE.
    """


@cluster.command()
@_common
@_SOURCE
@_job_options
def render(source: str, **job_options: Any) -> None:
    """Print a cluster's manifest, or with --entrypoint a job's, for kubectl or git. Talks to no cluster."""
    manifest, _ = _load_manifest(source, job_options)
    if _is_json():
        cli_output.print_json(manifest)
    else:
        from .cluster.manifest import to_yaml

        print(to_yaml(manifest), end="")


def _load_manifest(
    source: str, job_options: dict[str, Any]
) -> tuple[dict[str, Any], KubeRayCluster | KubeRayJob | None]:
    """Return the manifest that SOURCE names, and the Python object it came from, if it did."""
    given = {name: value for name, value in job_options.items() if value is not None}
    if source.endswith((".yaml", ".yml", ".json")):
        if given:
            raise click.UsageError(f"{_flag(given)} goes with a cluster from Python, not with a manifest")
        return _read_manifest(Path(source)), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        defined = _as_cluster_or_job(source, given)
    for warning in caught:
        click.echo(f"leman: warning: {warning.message}", err=True)
    return defined.to_manifest(), defined


def _flag(given: dict[str, Any]) -> str:
    return "--" + next(iter(given)).replace("_", "-")


def _as_cluster_or_job(source: str, given: dict[str, Any]) -> KubeRayCluster | KubeRayJob:
    from .cluster import KubeRayCluster, KubeRayClusterBuilder, KubeRayJob

    module, place, name = import_place("SOURCE", source, _FORM)
    if not hasattr(module, name):
        kinds = (KubeRayCluster, KubeRayClusterBuilder, KubeRayJob)
        names = [key for key, entry in vars(module).items() if isinstance(entry, kinds)]
        has = f" Clusters there: {', '.join(names)}" if names else " It defines no cluster"
        raise ValueError(f"SOURCE {source!r}: {place} has no {name!r}.{closest(name, names)}{has}")
    value = getattr(module, name)
    if isinstance(value, KubeRayClusterBuilder):
        value = value.build()
    if isinstance(value, KubeRayJob):
        if given:
            raise click.UsageError(f"{_flag(given)} goes with a cluster; {name} is a job already")
        return value
    if not isinstance(value, KubeRayCluster):
        raise TypeError(
            f"SOURCE {source!r}: expected a KubeRayCluster, its builder or a KubeRayJob, got {type(value).__name__}"
        )
    entrypoint = given.pop("entrypoint", None)
    if entrypoint is None:
        if given:
            raise click.UsageError(f"{_flag(given)} needs --entrypoint")
        return value
    renamed = {"deadline": "deadline_seconds", "keep": "keep_seconds"}
    job_name = given.pop("job_name", value.name)
    return value.job(job_name, entrypoint, **{renamed.get(key, key): entry for key, entry in given.items()})


def _read_manifest(path: Path) -> dict[str, Any]:
    from .cluster.environment import check_manifest
    from .cluster.manifest import from_yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"SOURCE {str(path)!r}: {error.strerror or error}; {_FORM}") from None
    try:
        manifest = json.loads(text) if path.suffix == ".json" else from_yaml(text)
    except ValueError as error:
        raise ValueError(f"SOURCE {str(path)!r}: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("kind") not in ("RayCluster", "RayJob"):
        raise ValueError(f"SOURCE {str(path)!r}: expected one RayCluster or RayJob; apply other objects with kubectl")
    name = manifest["metadata"].get("name") if isinstance(manifest.get("metadata"), dict) else None
    if not isinstance(name, str):
        raise ValueError(f"SOURCE {str(path)!r}: it has no metadata.name")
    check_manifest(manifest)
    return manifest


def _reach_options(function: _F) -> _F:
    options = (
        click.option("--kube-context", metavar="NAME", help="A context of the kubeconfig.  [default: the current one]"),
        click.option("--in-cluster", is_flag=True, help="Use the service account of the pod that this runs in."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _wait_options(function: _F) -> _F:
    options = (
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=900.0,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait.",
        ),
        click.option("--no-wait", is_flag=True, help="Do not wait."),
    )
    for option in reversed(options):
        function = option(function)
    return function


_NAMESPACE = click.option("--namespace", "-n", default="leman", show_default=True, help="The Kubernetes namespace.")


def _connect(kube_context: str | None, in_cluster: bool, defined: Any = None) -> KubernetesApi:
    from .cluster import K8sConfigMethod, KubernetesApi

    if in_cluster and kube_context is not None:
        raise click.UsageError("--in-cluster and --kube-context exclude each other")
    defined = getattr(defined, "cluster", defined)
    method = K8sConfigMethod.LOCAL if defined is None or kube_context is not None else defined.config_method
    return KubernetesApi.connect(K8sConfigMethod.IN_CLUSTER if in_cluster else method, kube_context)


def _say(line: str) -> None:
    click.echo(line, err=_is_json())


@cluster.command()
@_common
@_SOURCE
@_job_options
@_reach_options
@_wait_options
@click.option("--dry-run", is_flag=True, help="Let the API server check it, and make nothing.")
def apply(
    source: str,
    kube_context: str | None,
    in_cluster: bool,
    timeout: float,
    no_wait: bool,
    dry_run: bool,
    **job_options: Any,
) -> None:
    """Make a cluster, or with --entrypoint a job, and wait: until the cluster is ready, or the job has ended.

    May be run again: a cluster is changed to what is wanted, and a job that runs already is waited for. --timeout is
    how long it may take until the cluster is ready, or the job runs; a job may then run as long as it does.
    """
    from .cluster import deployment

    manifest, defined = _load_manifest(source, job_options)
    try:
        state = deployment.apply(
            manifest if defined is None else defined,
            api=_connect(kube_context, in_cluster, defined),
            wait=not no_wait,
            timeout_s=timeout,
            dry_run=dry_run,
            follow=deployment.Follow(_say),
        )
    except KeyboardInterrupt:
        name = f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"
        click.echo(
            f"{name} goes on. Watch it again with the same command; end it: leman cluster delete {name}", err=True
        )
        raise
    if _is_json():
        cli_output.print_json(state.as_dict())
    elif not dry_run:
        print(state)


@cluster.command()
@_common
@click.argument("name", required=False, metavar="[NAME|raycluster/NAME|rayjob/NAME]")
@_NAMESPACE
@_reach_options
def status(name: str | None, namespace: str, kube_context: str | None, in_cluster: bool) -> None:
    """Show a cluster or job and what keeps its pods from running, or list all of a namespace."""
    from .cluster import deployment

    api = _connect(kube_context, in_cluster)
    if name is None:
        states = deployment.list_states(namespace, api=api)
        if _is_json():
            cli_output.print_json([state.as_dict() for state in states])
        elif states:
            header = ("object", "phase", "detail")
            cli_output.print_rows(header, [(state.reference, state.phase, state.detail or None) for state in states])
        else:
            print(f"there are no Ray clusters and jobs in namespace {namespace}")
        return
    state, problems = deployment.status(name, namespace, api=api)
    if _is_json():
        cli_output.print_json({**state.as_dict(), "problems": problems})
        return
    print(state)
    for line in problems:
        print(f"  {line}")


@cluster.command()
@_common
@click.argument("name", metavar="NAME|raycluster/NAME|rayjob/NAME")
@_NAMESPACE
@_reach_options
@_wait_options
@click.option("--force", is_flag=True, help="Delete what Leman did not make, too.")
def delete(
    name: str,
    namespace: str,
    kube_context: str | None,
    in_cluster: bool,
    timeout: float,
    no_wait: bool,
    force: bool,
) -> None:
    """Delete a cluster or a job, and wait until its pods are gone. What a job acknowledged stays, in storage."""
    from .cluster import deployment

    state = deployment.delete(
        name,
        namespace,
        api=_connect(kube_context, in_cluster),
        wait=not no_wait,
        timeout_s=timeout,
        force=force,
        follow=deployment.Follow(_say),
    )
    if _is_json():
        cli_output.print_json(state.as_dict())
