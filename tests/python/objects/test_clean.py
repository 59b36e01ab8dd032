"""``leman clean`` on S3: what dead jobs left goes, uploads that nobody completed too; the rest stays."""

from __future__ import annotations

import time

import lance
import pyarrow as pa
import pytest

import leman
from leman.lance_cleanup import clean_table
from leman.object_door import S3PartUploads, open_door


@leman.udf(data_type=pa.int64())
def fragile(x: int) -> int:
    if x == 999:
        raise ValueError("broken")
    return x


def test_checkpoints_and_uploads_of_dead_jobs_go(db, options) -> None:
    table = db.create_table("numbers", pa.table({"x": pa.array(range(1000), pa.int64())}))
    table.add_columns({"y": fragile})
    with pytest.raises(leman.UserFunctionError):
        table.backfill("y", concurrency=1, checkpoint_size=100)
    uri = db.table_uri("numbers")
    door = open_door(uri, options)
    uploads = door.part_uploads()
    assert isinstance(uploads, S3PartUploads)
    (computation,) = door.folders("_leman/checkpoints")
    folder = f"_leman/checkpoints/{computation}"
    assert door.entries(folder)
    uploads.create(f"{folder}/tmp-1x2-0-0-1")
    foreign = "data/somebody-elses.lance"
    uploads.create(foreign)
    time.sleep(1.1)
    planned = clean_table(uri, options, dry_run=True, grace_s=0.0)
    assert any("tmp-1x2" in item["file"] for item in planned["would_remove"])
    assert door.entries(folder)
    clean_table(uri, options, grace_s=0.0)
    assert door.entries(folder) == []
    assert [key for key, _ in door.pending_uploads("data")] == [foreign]
    assert door.pending_uploads("_leman/checkpoints") == []
    door.delete(foreign)
    assert lance.dataset(uri, storage_options=options).count_rows() == 1000
