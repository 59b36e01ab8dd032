"""A database: a folder (or object store prefix) of ``<name>.lance`` tables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import argument_checks as check
from . import checkpoint_place
from .errors import TableNotFoundError
from .object_door import SCHEMES
from .secret_redaction import redact, redacted_errors, remember_secrets
from .store_settings import check_settings, explains_store_errors
from .table_files import local_path

if TYPE_CHECKING:
    import pyarrow as pa

    from .cluster import ExitMode, KubeRayCluster
    from .cluster.kuberay_context import KubeRayContext
    from .jobs import Job
    from .ray_executor import RayCluster
    from .table import Table

_SUFFIX = ".lance"
_MODES = ("create", "overwrite")
_SCHEME = re.compile("([A-Za-z][A-Za-z0-9+.-]*):(//?)")


def connect(
    uri: str | os.PathLike[str],
    storage_options: Mapping[str, str] | None = None,
    *,
    trust_stored_udfs: bool = False,
    checkpoint_uri: str | os.PathLike[str] | None = None,
    **unknown: object,
) -> Connection:
    """Open a database; the folder need not exist yet.

    Parameters
    ----------
    uri : str or path
        A folder, or an object store prefix such as ``s3://bucket/db``: the same that ``lancedb.connect`` takes.
    storage_options : mapping of str to str, optional
        Credentials and settings of the object store; never written to tables, records or logs.
    trust_stored_udfs : bool
        Run functions that are stored in the tables, whoever signed them. Only for databases that nobody else can write.
    checkpoint_uri : str or path, optional
        Where jobs keep their checkpoints: a folder that all their workers share, or an object store prefix, opened with
        the same ``storage_options``. Every table gets a folder of its own there. By default what
        ``LEMAN_CHECKPOINT_URI`` says, or else each table itself.

    Raises
    ------
    TypeError, ValueError
        Where an argument is unknown or wrong, also a key of ``storage_options`` that is misspelt, or an endpoint of
        plain HTTP without ``allow_http``.
    """
    check.reject_unknown("connect", unknown, ("uri", "storage_options", "trust_stored_udfs", "checkpoint_uri"))
    if not isinstance(uri, (str, os.PathLike)):
        raise TypeError(f"uri={uri!r}: expected a folder or an object store URI as a str, got {type(uri).__name__}")
    text = check.text("uri", os.fspath(uri))
    if "\0" in text:
        raise ValueError(f"uri={check.shown(text)}: expected a folder or an object store URI, which has no NUL in it")
    if storage_options is not None and not isinstance(storage_options, Mapping):
        # The value may hold secrets, so only its type is shown.
        raise TypeError(f"storage_options: expected a dict of str to str, got {type(storage_options).__name__}")
    if not isinstance(trust_stored_udfs, bool):
        raise TypeError(f"trust_stored_udfs={trust_stored_udfs!r}: expected True or False")
    _check_scheme(text)
    check_settings(text, storage_options or {})
    folder = local_path(text)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ValueError(f"uri={text!r} is a file; expected a folder of tables")
    if folder is not None and folder.name.endswith(_SUFFIX) and (folder / "_versions").is_dir():
        raise ValueError(
            f"uri={text!r} is a table; connect to the folder that it is in: leman.connect({str(folder.parent)!r})"
            f".open_table({folder.name[: -len(_SUFFIX)]!r})"
        )
    return Connection(
        text, dict(storage_options or {}), trust_stored_udfs, checkpoint_place.given_place(checkpoint_uri)
    )


def _check_scheme(uri: str) -> None:
    found = _SCHEME.match(uri)
    if found is None:
        return
    scheme, slashes = found.groups()
    if scheme not in (*SCHEMES, "file"):
        if slashes == "/":
            return  # A folder may have such a name.
        raise ValueError(
            f"uri={redact(uri)!r}: expected a folder, or a URI that begins with one of "
            f"{', '.join(f'{known}://' for known in SCHEMES)}"
        )
    if slashes == "/" and scheme != "file":
        raise ValueError(
            f"uri={redact(uri)!r}: expected {scheme}:// with two slashes, or './{redact(uri)}' for a folder"
        )


class Connection:
    """A database; made by :func:`leman.connect`.

    Attributes
    ----------
    uri : str
        Its folder, absolute, or its object store prefix.
    checkpoint_uri : str or None
        Where jobs keep their checkpoints; None: each in its table.
    """

    def __init__(
        self,
        uri: str,
        storage_options: dict[str, str],
        trust_stored_udfs: bool,
        checkpoints: tuple[str, str] | None = None,
    ) -> None:
        folder = local_path(uri)
        # Absolute, since workers and later calls may have another working directory.
        self.uri = uri.rstrip("/") if folder is None else str(Path(os.path.abspath(folder)))
        self._folder = None if folder is None else Path(self.uri)
        self._storage_options = storage_options
        remember_secrets(storage_options)
        self._trust_stored_udfs = trust_stored_udfs
        #: Whether something answered at the object store's endpoint.
        self.store_answers = False
        self.checkpoint_uri: str | None = None if checkpoints is None else checkpoints[0]
        #: What says so: an argument or a variable.
        self.checkpoint_source = "" if checkpoints is None else checkpoints[1]
        #: Folders of checkpoints that this connection has written to.
        self.proven_places: set[str] = set()
        self._clusters: dict[str, RayCluster | KubeRayCluster] = {}
        self._manifests: dict[str, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"leman.connect({self.uri!r})"

    #: Whether opening a table starts the process that forks workers, ahead of the backfill that is likely to follow.
    prewarms = True

    @property
    def storage_options(self) -> dict[str, str]:
        """Options of the object store."""
        return dict(self._storage_options)

    @property
    def trust_stored_udfs(self) -> bool:
        """Whether stored functions are run whoever signed them."""
        return self._trust_stored_udfs

    def table_uri(self, name: str) -> str:
        """Return where a table lies; it need not exist."""
        return f"{self.uri}/{check.table_name(name)}{_SUFFIX}"

    @explains_store_errors
    @redacted_errors()
    def table_names(self) -> list[str]:
        """Return the names of all tables, sorted."""
        if self._folder is not None:
            try:
                entries = [entry.name for entry in os.scandir(self._folder) if entry.is_dir()]
            except FileNotFoundError:
                entries = []
        else:
            from lance.file import LanceFileSession

            listed = LanceFileSession(self.uri, storage_options=self._storage_options).list_with_delimiter()
            entries = [prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in listed.common_prefixes]
        return sorted(name[: -len(_SUFFIX)] for name in entries if name.endswith(_SUFFIX) and name != _SUFFIX)

    def list_tables(self) -> list[str]:
        """Return the names of all tables, sorted; the same as :meth:`table_names`."""
        return self.table_names()

    @explains_store_errors
    @redacted_errors()
    def open_table(self, name: str, version: int | str | None = None, **unknown: object) -> Table:
        """Open a table.

        Parameters
        ----------
        name : str
            Its name.
        version : int or str, optional
            A version number or tag to read; such a table is read-only. By default the table follows the latest version.

        Raises
        ------
        TableNotFoundError
            Where there is no such table.
        ValueError
            Where there is no such version.
        """
        check.reject_unknown("open_table", unknown, ("name", "version"))
        uri = self.table_uri(name)
        if version is not None:
            version = check.table_version("version", version)
        if self._folder is not None and not os.path.isdir(uri):
            raise self._not_found(name)
        if self.prewarms:
            prewarm_workers()
        from .table import Table

        table = Table(self, name, uri, version)
        try:
            table.to_lance()
        except (ValueError, OSError) as error:
            # Only Lance itself can say so of an object store.
            if "was not found" in str(error) and version is None:
                raise self._not_found(name) from None
            raise
        return table

    @explains_store_errors
    @redacted_errors()
    def create_table(
        self,
        name: str,
        data: Any = None,
        schema: pa.Schema | None = None,
        mode: str = "create",
        exist_ok: bool = False,
        **write_options: Any,
    ) -> Table:
        """Make a table.

        Parameters
        ----------
        name : str
            Letters, digits, ``_``, ``-`` and ``.``.
        data : object, optional
            A pyarrow Table, RecordBatch or RecordBatchReader, a DataFrame, a list of dicts or a dict of lists.
        schema : pyarrow.Schema, optional
            Columns; data is cast to it. Without data, the table is empty.
        mode : {"create", "overwrite"}
            Whether a table of that name may be replaced.
        exist_ok : bool
            Open a table of that name as it is, instead of an error.
        **write_options
            Passed to ``lance.write_dataset``, e.g. ``max_rows_per_file=100_000``.

        Raises
        ------
        ValueError, TypeError
            Where the table exists or an argument is wrong.
        """
        uri = self.table_uri(name)
        if mode not in _MODES:
            raise ValueError(f"mode={mode!r}: expected 'create' or 'overwrite'")
        if self.prewarms:
            prewarm_workers()
        import inspect

        import lance

        from .table_data import to_arrow_data

        known = tuple(inspect.signature(lance.write_dataset).parameters)[3:]
        check.reject_unknown(
            "create_table",
            {k: v for k, v in write_options.items() if k not in known},
            (*known, "exist_ok", "mode", "schema"),
        )
        if mode == "create" and name in self.table_names():
            if exist_ok:
                return self.open_table(name)
            raise ValueError(
                f"name={name!r}: {self.uri} already has a table of that name; mode='overwrite' replaces it, "
                "exist_ok=True opens it"
            )
        arrow = to_arrow_data(data, schema)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        options = {"storage_options": self._storage_options, **write_options}
        lance.write_dataset(arrow, uri, mode=mode, **options)
        return self.open_table(name)

    @explains_store_errors
    @redacted_errors()
    def drop_table(self, name: str, ignore_missing: bool = False) -> None:
        """Delete a table with all its versions, checkpoints and records.

        Raises
        ------
        TableNotFoundError
            Where there is none, unless ``ignore_missing``.
        """
        uri = self.table_uri(name)
        if name not in self.table_names():
            if ignore_missing:
                return
            raise self._not_found(name)
        import lance

        checkpoints = checkpoint_place.existing_root(self, name)
        lance.LanceDataset.drop(uri, storage_options=self._storage_options or None)
        if self._folder is not None and os.path.isdir(uri):
            import shutil

            shutil.rmtree(uri)
        if checkpoints is not None:
            checkpoint_place.remove_all(checkpoints, self._storage_options)

    @staticmethod
    def local_ray_context() -> RayCluster:
        """Return a Ray cluster of this machine alone, for ``with``: Ray is started, and stopped at the end."""
        from .ray_executor import ray_cluster

        return ray_cluster("local")

    def define_cluster(self, name: str, cluster: RayCluster | KubeRayCluster) -> None:
        """Give a cluster a name for :meth:`context`.

        Definitions are kept by this object, as long as the process runs; nothing is written to the database, and
        nothing is made before ``with``. A name may be defined anew.

        Parameters
        ----------
        name : str
            What :meth:`context` is to call it.
        cluster : RayCluster or KubeRayCluster
            A ``leman.ray_cluster(...)``, or a cluster on Kubernetes: ``KubeRayClusterBuilder…build()``.

        Raises
        ------
        TypeError, ValueError
            Where an argument is wrong.
        """
        from .ray_executor import checked_cluster

        self._clusters[check.text("name", name)] = checked_cluster(cluster)

    def define_manifest(self, name: str, manifest: Mapping[str, Any]) -> None:
        """Give an environment of workers a name for :meth:`context`; kept as :meth:`define_cluster` keeps clusters.

        Parameters
        ----------
        name : str
            What :meth:`context` is to call it.
        manifest : mapping
            ``runtime_env`` of ``leman.ray_cluster``: ``pip``, ``working_dir``, ``env_vars``, …

        Raises
        ------
        TypeError, ValueError
            Where an argument is wrong.
        """
        if not isinstance(manifest, Mapping):
            raise TypeError(f"manifest={manifest!r}: expected a dict as of ray.init(runtime_env=...)")
        self._manifests[check.text("name", name)] = dict(manifest)

    def context(
        self,
        cluster: RayCluster | KubeRayCluster | str | None = None,
        manifest: Mapping[str, Any] | str | None = None,
        on_exit: ExitMode | None = None,
        **unknown: object,
    ) -> RayCluster | KubeRayContext:
        """Return the cluster that backfills inside of ``with`` run on.

        Parameters
        ----------
        cluster : RayCluster, KubeRayCluster or str, optional
            A ``leman.ray_cluster(...)``, a cluster on Kubernetes, a name of :meth:`define_cluster`, or an address as
            ``leman.ray_cluster`` takes it. One on Kubernetes is made at ``with``, or found there, and waited for; this
            process has to run in a pod that it can reach.
        manifest : mapping or str, optional
            Environment of the workers: ``runtime_env`` of ``leman.ray_cluster``, or a name of :meth:`define_manifest`.
        on_exit : ExitMode, optional
            What becomes of a cluster on Kubernetes at the end of ``with`` (``ExitMode.DELETE``).

        Raises
        ------
        ConnectionError
            Where the cluster is one on Kubernetes, and this process does not run in a pod.
        TypeError, ValueError
            Where an argument is unknown or wrong.
        """
        check.reject_unknown("context", unknown, ("cluster", "manifest", "on_exit"))
        from .ray_executor import cluster_of

        return cluster_of(cluster, manifest, on_exit, self._clusters, self._manifests)

    def get_job(self, job_id: str) -> Job:
        """Return the record of a job.

        Raises
        ------
        JobNotFoundError
            Where no table has a job of that id.
        """
        from . import jobs

        return jobs.get_job(self, job_id)

    def list_jobs(self, table_name: str | None = None, status: str | None = None) -> list[Job]:
        """Return the records of all jobs, newest first.

        Parameters
        ----------
        table_name : str, optional
            Only jobs of this table.
        status : str, optional
            Only jobs of this status: PENDING, RUNNING, DONE, FAILED or CANCELLED.
        """
        from . import jobs

        return jobs.list_jobs(self, table_name, status)

    def _not_found(self, name: str) -> TableNotFoundError:
        if self._folder is not None and not self._folder.is_dir():
            return TableNotFoundError(f"name={name!r}: there is no folder {self.uri}")
        names = self.table_names()
        has = (
            f"Tables there: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else "It has no tables."
        )
        return TableNotFoundError(f"name={name!r}: {self.uri} has no such table.{check.closest(name, names)} {has}")


def prewarm_workers() -> None:
    """Start worker processes for a backfill that is about to come, while this process still imports Lance."""
    try:
        from . import job_runner
    except ImportError:
        return
    job_runner.prewarm()
