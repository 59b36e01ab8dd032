"""The door to object stores: bytes by name, and uploads in parts.

It holds no decision; those are the engine's. It implements the ports of ``src/io`` for the engine's binding, over
obstore (the Rust ``object_store``, which retries with back-off and jitter) and, for copying ranges inside S3, botocore.
"""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlparse

from .lance_errors import HostError
from .secret_redaction import redact, remember_secrets
from .table_files import local_path

T = TypeVar("T")

#: Requests are tried again for so long after 429, 5xx, timeouts and lost connections.
RETRY_TIMEOUT_S = 60.0
_STORES = {
    "s3": "S3Store",
    "s3a": "S3Store",
    "gs": "GCSStore",
    "az": "AzureStore",
    "abfs": "AzureStore",
    "abfss": "AzureStore",
}
#: Of object stores that tables and checkpoints may lie in.
SCHEMES = tuple(_STORES)
_VARIABLES = {"S3Store": "AWS", "GCSStore": "GOOGLE", "AzureStore": "AZURE"}
_CLIENT_KEY = re.compile("^(aws|azure|google)_")


def open_door(table_uri: str, storage_options: Mapping[str, str] | None) -> ObjectDoor:
    """Open the object store that a table lies in.

    Parameters
    ----------
    table_uri : str
        ``s3://``, ``gs://`` or ``az://``.
    storage_options : mapping, optional
        The same that Lance takes; the environment gives what is missing.

    Raises
    ------
    ValueError
        Where the scheme is another.
    """
    return ObjectDoor(table_uri, storage_options or {})


def open_remote(table_uri: str, storage_options: Mapping[str, str] | None) -> ObjectDoor | None:
    """Return the door to a table's object store, or None where the table is a folder."""
    return None if local_path(table_uri) is not None else open_door(table_uri, storage_options)


class ObjectDoor:
    """Objects under one URI; keys are relative to it. Thread-safe.

    Parameters
    ----------
    uri : str
        Bucket and prefix.
    options : mapping of str to str
        Settings and credentials.
    """

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        parsed = urlparse(uri)
        if parsed.scheme not in _STORES or not parsed.netloc:
            raise ValueError(
                f"table {uri!r}: expected a local path or {', '.join(f'{s}://' for s in ('s3', 'gs', 'az'))}"
            )
        self.uri = uri.rstrip("/")
        self.scheme = parsed.scheme
        self.bucket = parsed.netloc
        self.prefix = unquote(parsed.path).strip("/")
        self._options = {str(key).lower(): str(value) for key, value in options.items()}
        remember_secrets(self._options)
        self._store = _make_store(_STORES[parsed.scheme], self.bucket, self.prefix, self._options)
        self._uploads: PartUploads | None = None
        self._lock = threading.Lock()
        self._pending: dict[str, list[tuple[str, str]]] = {}

    def __repr__(self) -> str:
        return f"ObjectDoor({self.uri!r})"

    def name_of(self, key: str) -> str:
        """Return an object's key in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        import obstore

        return self._call(f"read {key}", lambda: bytes(obstore.get(self._store, key).bytes()))

    def get_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Return ``size_bytes`` bytes from ``offset`` on."""
        import obstore

        if size_bytes == 0:
            return b""
        return self._call(
            f"read {key}", lambda: bytes(obstore.get_range(self._store, key, start=offset, length=size_bytes))
        )

    def head(self, key: str) -> tuple[int, str]:
        """Return size and ETag."""
        import obstore

        meta = self._call(f"look for {key}", lambda: obstore.head(self._store, key))
        return int(meta["size"]), str(meta["e_tag"] or "")

    def put(self, key: str, content: bytes) -> None:
        """Put an object in place of what has the name."""
        import obstore

        self._call(f"write {key}", lambda: obstore.put(self._store, key, content, use_multipart=False))

    def put_if_absent(self, key: str, content: bytes) -> None:
        """Put an object unless the name is taken."""
        import obstore

        self._call(f"create {key}", lambda: obstore.put(self._store, key, content, mode="create"))

    def put_if_match(self, key: str, content: bytes, expected: bytes) -> None:
        """Put an object in place of one that has the bytes ``expected``, and of no other."""
        import obstore

        def swap() -> None:
            found = obstore.get(self._store, key)
            meta = found.meta
            if bytes(found.bytes()) != expected:
                raise HostError("conflict", f"replace {key}: it was changed meanwhile")
            version = {"e_tag": meta.get("e_tag"), "version": meta.get("version")}
            mode: Any = {name: tag for name, tag in version.items() if tag}
            obstore.put(self._store, key, content, mode=mode)

        self._call(f"replace {key}", swap)

    def entries(self, folder: str) -> list[tuple[str, int, int]]:
        """Return (name, size, Unix micros of the last change) of each object directly in ``folder``."""
        import obstore

        found = self._call(f"list {folder}", lambda: obstore.list_with_delimiter(self._store, folder + "/"))
        return [
            (meta["path"].rpartition("/")[2], int(meta["size"]), int(meta["last_modified"].timestamp() * 1e6))
            for meta in found["objects"]
        ]

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders directly in ``folder``."""
        import obstore

        found = self._call(f"list {folder}", lambda: obstore.list_with_delimiter(self._store, folder + "/"))
        return [prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"]]

    def all_keys(self) -> list[str]:
        """Return the keys of all objects."""
        import obstore

        return self._call(
            "list objects", lambda: [meta["path"] for batch in obstore.list(self._store) for meta in batch]
        )

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store."""
        import obstore

        self._call(f"copy {source}", lambda: obstore.copy(self._store, source, target, overwrite=True))

    def delete(self, key: str) -> None:
        """Delete an object, and the uploads that :meth:`pending_uploads` found to go with it; none is no error."""
        import obstore

        for target, upload_id in self._pending.pop(key, ()):
            self.part_uploads().abort(target, upload_id)
        try:
            self._call(f"delete {key}", lambda: obstore.delete(self._store, key))
        except HostError as error:
            if error.leman_kind != "not found":
                raise

    def pending_uploads(
        self, folder: str, announced: Mapping[tuple[str, str], str] | None = None
    ) -> list[tuple[str, int]]:
        """Return (key, Unix micros of its begin) of each upload in parts under ``folder`` that nobody completed.

        Those that are ``announced`` are not among them: they go with their announcement.
        """
        announced = announced or {}
        uploads = self.part_uploads()
        found = uploads.pending(folder) if isinstance(uploads, S3PartUploads) else []
        for key, upload_id, _ in found:
            owner = announced.get((key, upload_id), key)
            self._pending.setdefault(owner, []).append((key, upload_id))
        return [(key, begun) for key, upload_id, begun in found if (key, upload_id) not in announced]

    def announced_uploads(self, keys: Iterable[str]) -> dict[tuple[str, str], str]:
        """Return, by (key, upload id), which of the announcements ``keys`` announces it."""
        announced = {}
        for key in keys:
            try:
                lines = self.get(key).split(b"\n")
            except HostError as error:
                if error.leman_kind != "not found":
                    raise
                continue
            if len(lines) > 2 and lines[0] == b"leman upload 1":
                announced["data/" + lines[1].decode(errors="replace"), lines[2].decode(errors="replace")] = key
        return announced

    @property
    def writes_once(self) -> bool:
        """Whether several processes can make one object, each parts of it; see docs/formats/upload_parts.md."""
        # A client is only made where it is needed. S3 Express wants part numbers without gaps.
        is_s3 = _STORES[self.scheme] == "S3Store" and importlib.util.find_spec("botocore") is not None
        return is_s3 and not self.bucket.endswith("--x-s3")

    def part_uploads(self) -> PartUploads:
        """Return the way to make an object of parts: with ranges copied inside the store where it can."""
        with self._lock:
            if self._uploads is None:
                self._uploads = self._make_uploads(self)
            return self._uploads

    def part_uploads_from(self, source: ObjectDoor | None) -> PartUploads:
        """Return the same, with ranges of the objects of ``source``, opened with the same options; None: of files."""
        return self._make_uploads(source)

    def _make_uploads(self, source: ObjectDoor | None) -> PartUploads:
        if _STORES[self.scheme] == "S3Store":
            try:
                import botocore.session  # noqa: F401
            except ImportError:
                pass
            else:
                return S3PartUploads(self, self._options, source)
        return StreamedUploads(self, self._store)

    def _call(self, what: str, request: Callable[[], T]) -> T:
        try:
            return request()
        except HostError:
            raise
        except Exception as error:
            raise self.translate(error, what) from None

    def translate(self, error: Exception, what: str) -> HostError:
        """Say what an exception means for the engine; credentials are struck out of the text."""
        import obstore.exceptions as known

        # obstore appends the error's structure, for its own developers.
        text = redact(" ".join(str(error).split()).split(" Debug source:", 1)[0])
        where = f"{self.uri}: {what}"
        lowered = text.lower()
        if isinstance(error, (known.NotFoundError, FileNotFoundError)):
            return HostError("not found", f"{where}: no such object")
        if isinstance(error, known.AlreadyExistsError):
            return HostError("already exists", f"{where}: it exists")
        if isinstance(error, known.PreconditionError) or "preconditionfailed" in lowered:
            return HostError("conflict", f"{where}: it was changed meanwhile")
        refused = ("accessdenied", "expiredtoken", "invalidaccesskeyid", "signaturedoesnotmatch", "forbidden", "403")
        if isinstance(error, (known.PermissionDeniedError, known.UnauthenticatedError)) or any(
            word in lowered for word in refused
        ):
            return HostError(
                "invalid argument",
                f"{where}: the object store refused the credentials (wrong, expired, or without permission); give "
                f"valid ones in storage_options or the environment, and run the same call again: {_short(text)}",
            )
        if "nosuchupload" in lowered or "nosuchbucket" in lowered:
            return HostError("not found", f"{where}: {_short(text)}")
        return HostError("retryable", f"{where}: the object store did not answer as it should: {_short(text)}")


class PartUploads:
    """Makes objects of parts.

    ``copies_ranges``: parts can be ranges of objects; ``any_order``: parts can come in any order, and at once.
    """

    copies_ranges = False
    any_order = False

    def create(self, key: str) -> str:
        """Begin; return the upload's id."""
        raise NotImplementedError

    def upload(self, key: str, upload_id: str, number: int, content: bytes) -> str:
        """Upload part ``number``, from 1 on; return its tag."""
        raise NotImplementedError

    def copy_range(
        self, key: str, upload_id: str, number: int, source: str, etag: str, offset: int, size_bytes: int
    ) -> str:
        """Make part ``number`` of a range of an object that still has ``etag``; return the part's tag."""
        raise NotImplementedError

    def complete(self, key: str, upload_id: str, tags: list[str]) -> None:
        """Make the object appear."""
        raise NotImplementedError

    def abort(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts."""
        raise NotImplementedError


class StreamedUploads(PartUploads):
    """Parts go through this process, in order; for stores without copies of ranges."""

    _BUFFER_BYTES = 32 << 20
    _CONCURRENT = 4

    def __init__(self, door: ObjectDoor, store: Any) -> None:
        self._door = door
        self._store = store
        self._open: dict[str, Any] = {}

    def create(self, key: str) -> str:
        """Begin."""
        import obstore

        writer = obstore.open_writer(self._store, key, buffer_size=self._BUFFER_BYTES, max_concurrency=self._CONCURRENT)
        upload_id = f"{key}#{id(writer)}"
        self._open[upload_id] = writer
        return upload_id

    def upload(self, key: str, upload_id: str, number: int, content: bytes) -> str:
        """Append."""
        self._door._call(f"write {key}", lambda: self._open[upload_id].write(content))
        return ""

    def complete(self, key: str, upload_id: str, tags: list[str]) -> None:
        """Close."""
        self._door._call(f"complete {key}", self._open.pop(upload_id).close)

    def abort(self, key: str, upload_id: str) -> None:
        """Drop; obstore completes nothing that was not closed."""
        self._open.pop(upload_id, None)


class S3PartUploads(PartUploads):
    """Multipart uploads of S3, whose parts may be ranges of other objects: of ``source``, in any bucket of S3."""

    any_order = True

    def __init__(self, door: ObjectDoor, options: Mapping[str, str], source: ObjectDoor | None) -> None:
        self._door = door
        self._source = source if source is not None and _STORES[source.scheme] == "S3Store" else None
        self.copies_ranges = self._source is not None
        self._client = _s3_client(options)

    def _name(self, key: str) -> str:
        return self._door.name_of(key)

    def _target(self, key: str, upload_id: str) -> dict[str, str]:
        return {"Bucket": self._door.bucket, "Key": self._name(key), "UploadId": upload_id}

    def create(self, key: str) -> str:
        """Begin."""
        name = {"Bucket": self._door.bucket, "Key": self._name(key)}
        return str(self._door._call(f"write {key}", lambda: self._client.create_multipart_upload(**name))["UploadId"])

    def upload(self, key: str, upload_id: str, number: int, content: bytes) -> str:
        """Upload a part."""
        part = {**self._target(key, upload_id), "PartNumber": number, "Body": content}
        return str(self._door._call(f"write {key}", lambda: self._client.upload_part(**part))["ETag"])

    def copy_range(
        self, key: str, upload_id: str, number: int, source: str, etag: str, offset: int, size_bytes: int
    ) -> str:
        """Copy a part."""
        assert self._source is not None
        part = {
            **self._target(key, upload_id),
            "PartNumber": number,
            "CopySource": {"Bucket": self._source.bucket, "Key": self._source.name_of(source)},
            "CopySourceRange": f"bytes={offset}-{offset + size_bytes - 1}",
            **({"CopySourceIfMatch": etag} if etag else {}),
        }
        try:
            copied = self._door._call(f"copy {source}", lambda: self._client.upload_part_copy(**part))
        except HostError as error:
            # What may be read and what may be written need not be what may be copied.
            if self._source is not self._door and error.leman_kind in ("invalid argument", "not found"):
                raise HostError("unsupported", str(error)) from None
            raise
        return str(copied["CopyPartResult"]["ETag"])

    def complete(self, key: str, upload_id: str, tags: list[str]) -> None:
        """Make the object of its parts."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        request = {**self._target(key, upload_id), "MultipartUpload": {"Parts": parts}}
        self._door._call(f"complete {key}", lambda: self._client.complete_multipart_upload(**request))

    def parts_of(self, key: str, upload_id: str) -> list[tuple[int, int, str]]:
        """Return (number, size in bytes, tag) of each part that the store has, by number."""
        pages = self._client.get_paginator("list_parts")
        request = self._target(key, upload_id)
        parts = self._door._call(
            f"list parts of {key}", lambda: [p for page in pages.paginate(**request) for p in page.get("Parts", ())]
        )
        return [(int(part["PartNumber"]), int(part["Size"]), str(part["ETag"])) for part in parts]

    def complete_of(self, key: str, upload_id: str, tags: list[tuple[int, str]]) -> None:
        """Make the object of exactly these parts, (number, tag) by ascending number."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in tags]
        request = {**self._target(key, upload_id), "MultipartUpload": {"Parts": parts}}
        self._door._call(f"complete {key}", lambda: self._client.complete_multipart_upload(**request))

    def abort(self, key: str, upload_id: str) -> None:
        """Forget the parts; an upload that is gone is no error."""
        try:
            self._door._call(
                f"abort {key}", lambda: self._client.abort_multipart_upload(**self._target(key, upload_id))
            )
        except HostError as error:
            if error.leman_kind != "not found":
                raise

    def pending(self, folder: str) -> list[tuple[str, str, int]]:
        """Return (key, upload id, Unix micros of its begin) of each upload under ``folder``."""
        pages = self._client.get_paginator("list_multipart_uploads")
        request = {"Bucket": self._door.bucket, "Prefix": self._name(folder) + "/"}
        uploads = self._door._call(
            f"list {folder}", lambda: [u for page in pages.paginate(**request) for u in page.get("Uploads", ())]
        )
        cut = len(self._door.prefix) + 1 if self._door.prefix else 0
        return [(u["Key"][cut:], u["UploadId"], int(u["Initiated"].timestamp() * 1e6)) for u in uploads]


def _make_store(kind: str, bucket: str, prefix: str, options: Mapping[str, str]) -> Any:
    import obstore.exceptions
    import obstore.store

    make = getattr(obstore.store, kind)
    config: dict[str, Any] = {}
    client: dict[str, Any] = {"timeout": "60s", "connect_timeout": "10s"}
    for key, value in options.items():
        if key in ("timeout", "connect_timeout", "request_timeout"):
            client["timeout" if key == "request_timeout" else key] = value
        elif _CLIENT_KEY.sub("", key) in ("allow_http", "allow_invalid_certificates"):
            client[_CLIENT_KEY.sub("", key)] = value.lower() in ("1", "true", "yes")
        elif key == "proxy_url":
            client[key] = value
        else:
            # Lance takes settings that are only its own; they are passed over here.
            try:
                make(bucket, config={key: value})
                config[key] = value
            except obstore.exceptions.UnknownConfigurationKeyError:
                continue
            except Exception:
                config[key] = value
    retry = {
        "max_retries": int(options.get("client_max_retries", "10")),
        "retry_timeout": datetime.timedelta(seconds=float(options.get("client_retry_timeout", RETRY_TIMEOUT_S))),
        "backoff": {
            "init_backoff": datetime.timedelta(milliseconds=100),
            "max_backoff": datetime.timedelta(seconds=10),
            "base": 2,
        },
    }
    # obstore takes credentials from the environment, as Lance does, but not this setting.
    if os.environ.get(f"{_VARIABLES[kind]}_ALLOW_HTTP", "").lower() in ("1", "true", "yes"):
        client.setdefault("allow_http", True)
    return make(bucket, prefix=prefix or None, config=config, client_options=client, retry_config=retry)


def _s3_client(options: Mapping[str, str]) -> Any:
    import botocore.session
    from botocore.config import Config

    def setting(*names: str) -> str | None:
        for name in names:
            value = options.get(name) or options.get(f"aws_{name}") or os.environ.get(f"AWS_{name.upper()}")
            if value:
                return value
        return None

    virtual = (setting("virtual_hosted_style_request") or "").lower() in ("1", "true", "yes")
    endpoint = setting("endpoint_url_s3", "endpoint", "endpoint_url")
    skip_signature = (setting("skip_signature") or "").lower() in ("1", "true", "yes")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1 + int(options.get("client_max_retries", "10"))},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
        s3={"addressing_style": "path" if endpoint and not virtual else "auto"},
        # Stores other than AWS do not know the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    if skip_signature:
        from botocore import UNSIGNED

        config = config.merge(Config(signature_version=UNSIGNED))
    key_id, secret = setting("access_key_id"), setting("secret_access_key")
    given = (
        {
            "aws_access_key_id": key_id,
            "aws_secret_access_key": secret,
            "aws_session_token": setting("session_token", "token"),
        }
        if key_id and secret
        else {}
    )
    region = setting("region", "default_region") or "us-east-1"
    return botocore.session.get_session().create_client(
        "s3", region_name=region, endpoint_url=endpoint, config=config, **given
    )


def _short(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
