"""Job records are bytes from outside: whatever they are, reading one gives a job."""

from __future__ import annotations

import json
import random
import socket

import pytest

from leman import jobs

RECORD = {
    "format": 1,
    "job_id": "job-1",
    "table_name": "t",
    "column": "y",
    "status": "RUNNING",
    "launched_at": "2026-11-23T01:02:03.456Z",
    "updated_at": "2026-11-23T01:02:03.456Z",
    "completed_at": None,
    "error": {"type": "JobFailedError", "message": "no"},
    "driver": {"pid": 1, "host": socket.gethostname(), "boot_id": None, "start_ticks": None},
    "read_version": 1,
    "version": None,
    "udf_name": "f",
    "udf_version": "1",
    "where": None,
    "metrics": {"rows_total": 1, "duration_s": 1.5},
    "events": [{"timestamp": "2026-11-23T01:02:03.456Z", "message": "job started"}],
}
OTHER_VALUES = [
    None,
    True,
    -1,
    1e400,
    10**400,
    "",
    "x" * 1000,
    "2026-13-40T99:99:99Z",
    [],
    [[]],
    {},
    {"a": []},
    "\ud800",
]


def _other_value(chance: random.Random, value: object) -> object:
    """`value` with one part of it replaced or removed."""
    if chance.random() < 0.4 or not value or not isinstance(value, dict | list):
        return chance.choice(OTHER_VALUES)
    if isinstance(value, list):
        return [_other_value(chance, value[0]), *value[1:]]
    key = chance.choice(list(value))
    changed = {**value, key: _other_value(chance, value[key])}
    if chance.random() < 0.3:
        del changed[key]
    return changed


def _other_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed))
        match chance.randrange(3):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at:]
                changed.extend(b"}")
            case _:
                changed[at:at] = changed[: chance.randrange(len(changed))]
    return bytes(changed)


@pytest.mark.parametrize("part", range(4))
def test_any_bytes_are_a_job(part: int) -> None:
    corrupt = 0
    for seed in range(part * 500, (part + 1) * 500):
        chance = random.Random(seed)
        content = json.dumps(_other_value(chance, RECORD)).encode()
        if chance.random() < 0.5:
            content = _other_bytes(chance, content)
        job = jobs.read_record("job-1", content, "t", "/t.lance")
        assert isinstance(job, jobs.Job), seed
        assert job.status in jobs.STATUSES, seed
        json.dumps(job.as_dict())
        corrupt += job.error_type == "CorruptRecord"
    assert corrupt > 50
