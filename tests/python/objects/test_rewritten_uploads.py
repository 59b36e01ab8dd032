"""A fragment is rewritten while parts of its data file are uploaded: nothing wrong is read, nothing stays behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import lance
import pyarrow as pa
import pytest

import leman
from leman.lance_cleanup import clean_table

from .s3_server import Proxy, S3Server
from .test_write_once import _VALUE_BYTES, _blobs, _left, _uploads, payload
from .test_write_once import interrupted as interrupted  # A fixture: 40 rows of 60 are uploaded.


def _compact_without_a_row(open_it: Callable[[], lance.LanceDataset]) -> None:
    open_it().delete("x = 5")
    open_it().optimize.compact_files(materialize_deletions=True, materialize_deletions_threshold=0.0)


def _compact_with_others(open_it: Callable[[], lance.LanceDataset]) -> None:
    lance.write_dataset(pa.table({"x": pa.array([60, 61], pa.int64())}), open_it(), mode="append")
    open_it().optimize.compact_files()


def _update(open_it: Callable[[], lance.LanceDataset]) -> None:
    open_it().update({"x": "x + 1000"}, where="x = 7")


def _check(dataset: lance.LanceDataset, rows: set[int]) -> None:
    read = dataset.to_table().to_pydict()
    assert set(read["x"]) == rows
    for x, y in zip(*read.values(), strict=True):
        assert y == random.Random(x).randbytes(_VALUE_BYTES), x


def _events(db: leman.Connection) -> list[str]:
    last = max(db.list_jobs("blobs"), key=lambda job: job.launched_at)
    return [str(event["message"]) for event in last.events]


# What was uploaded can be used where the fragment is still there; the rows that it lost are nobody's.
_REWRITES = [
    pytest.param(_compact_without_a_row, set(range(60)) - {5}, 59, id="rows dropped"),
    pytest.param(_compact_with_others, set(range(62)), 62, id="fragments joined"),
    pytest.param(_update, set(range(60)) - {7} | {1007}, 21, id="row updated"),
]


@pytest.mark.parametrize(("rewrite", "rows", "computed"), _REWRITES)
def test_between_two_runs(
    db,
    options,
    interrupted: leman.Table,
    server: S3Server,
    rewrite: Callable[[Callable[[], lance.LanceDataset]], None],
    rows: set[int],
    computed: int,
) -> None:
    def open_it() -> lance.LanceDataset:
        return lance.dataset(db.table_uri("blobs"), storage_options=options)

    before = {fragment.fragment_id for fragment in open_it().get_fragments()}
    rewrite(open_it)
    assert before != {fragment.fragment_id for fragment in open_it().get_fragments()}
    assert interrupted.backfill("y", udf=payload, concurrency=1, checkpoint_size=20).rows_computed == computed
    _check(open_it(), rows)
    assert _uploads(db, options) == []
    assert _left(server, db) == []
    aborted = [
        event for event in _events(db) if "the upload of fragment 0, which was rewritten, is aborted: 2" in event
    ]
    assert len(aborted) == (0 if rewrite is _update else 1)


def test_under_a_running_job(db, options, proxy: Proxy, server: S3Server) -> None:
    def open_it() -> lance.LanceDataset:
        return lance.dataset(db.table_uri("blobs"), storage_options=options)

    table = _blobs(db)
    records = 0

    def rewrite_once(method: str, path: str) -> None:
        nonlocal records
        records += method == "PUT" and ".parts" in path
        if method == "PUT" and ".parts" in path and records == 2:
            _compact_without_a_row(open_it)

    proxy.fault = rewrite_once
    table.backfill("y", concurrency=1, checkpoint_size=20)
    assert any("the upload of fragment 0, which was rewritten, is aborted" in event for event in _events(db))
    assert records >= 2
    table.backfill("y", concurrency=1, checkpoint_size=20)
    _check(open_it(), set(range(60)) - {5})
    time.sleep(1.1)  # S3's times are of whole seconds.
    clean_table(db.table_uri("blobs"), options, grace_s=0.0)
    assert _uploads(db, options) == []
    assert _left(server, db) == []


def test_clean_aborts_the_upload_of_a_fragment_that_is_gone(
    db, options, interrupted: leman.Table, server: S3Server
) -> None:
    _compact_without_a_row(lambda: lance.dataset(db.table_uri("blobs"), storage_options=options))
    time.sleep(1.1)  # S3's times are of whole seconds.
    cleaned = clean_table(db.table_uri("blobs"), options, grace_s=0.0)
    assert cleaned["files"] == 3  # Two records, and the announcement with its upload.
    assert _uploads(db, options) == []
    assert _left(server, db) == []
    assert interrupted.backfill("y", udf=payload, concurrency=1, checkpoint_size=20).rows_computed == 59
