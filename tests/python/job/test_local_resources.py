"""Processors, GPUs and library threads of workers on this machine."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pytest

import leman
from leman import local_resources

from .test_backfill import column

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize(
    ("num_gpus", "gpus", "slots"),
    [
        (1, ["0", "1"], ["0", "1"]),
        (2, ["0", "1", "2"], ["0,1"]),
        (0.5, ["0", "1"], ["0", "1", "0", "1"]),
        (0.3, ["GPU-a"], ["GPU-a"] * 3),
        (0.7, ["0", "1"], ["0", "1"]),
    ],
)
def test_gpus_are_given_out_whole_or_shared(num_gpus: float, gpus: list[str], slots: list[str]) -> None:
    assert local_resources.gpu_slots(num_gpus, gpus, "f") == slots


def test_too_few_gpus_and_odd_numbers_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(ValueError, match=r"num_gpus=1: a worker of function 'f' wants .* this machine has none; pass"):
        local_resources.gpu_slots(1, [], "f")
    with pytest.raises(ValueError, match="this machine has 1 GPUs"):
        local_resources.gpu_slots(2, ["0"], "f")
    with pytest.raises(ValueError, match=r"num_gpus=1\.5: expected a whole number, or a fraction"):
        local_resources.gpu_slots(1.5, ["0", "1"], "f")


def test_gpus_are_those_that_the_user_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, gpus in [("", []), ("2, 5", ["2", "5"]), ("1,-1,2", ["1"]), ("MIG-x", ["MIG-x"])]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert local_resources.visible_gpus() == gpus


def test_no_more_workers_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_resources, "cpu_count", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    fitting = local_resources.fitting_workers
    assert fitting(8, 1, None, None, "f") == 8
    assert fitting(8, 1, 2, None, "f") == 4
    assert fitting(8, 2, 2, None, "f") == 2
    assert fitting(8, 1, 0.1, None, "f") == 8
    assert fitting(8, 1, 100, None, "f") == 1
    assert fitting(8, 1, None, 1, "f") == 2
    assert fitting(8, 1, None, 0.25, "f") == 8
    assert fitting(3, 1, None, 0.5, "f") == 3


def test_each_worker_sees_its_own_gpu(numbers: leman.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    @leman.udf(num_gpus=1, batch_size=10)
    class Seen:
        def setup(self) -> None:
            self.gpus = os.environ["CUDA_VISIBLE_DEVICES"]

        def __call__(self, x: int) -> str:
            return f"{os.getpid()} {self.gpus}"

    numbers.add_columns({"seen": Seen()})
    numbers.backfill("seen", concurrency=8)
    gpu_of = dict(value.split() for value in set(column(numbers, "seen")))
    assert set(gpu_of.values()) <= {"4", "7"}
    assert len(set(gpu_of.values())) == len(gpu_of) <= 2  # no two workers share one


def test_no_gpu_is_an_error_before_any_work_and_zero_hides_them(
    numbers: leman.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    @leman.udf(num_gpus=1, data_type=pa.string())
    def seen(x):
        return os.environ["CUDA_VISIBLE_DEVICES"]

    numbers.add_columns({"seen": seen})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ValueError, match="num_gpus=1: a worker of function 'seen' wants"):
        numbers.backfill("seen")
    assert numbers.connection.list_jobs() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    numbers.backfill("seen", num_gpus=0, concurrency=1)
    assert set(column(numbers, "seen")) == {""}


def openblas_threads() -> int:
    import ctypes

    with open("/proc/self/maps") as maps:
        for path in {line.split()[-1] for line in maps if "openblas" in line}:
            function = getattr(ctypes.CDLL(path), "scipy_openblas_get_num_threads64_", None)
            if function is not None:
                return int(function())
    return -1


def test_libraries_in_workers_share_the_machine(numbers: leman.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    np.dot(np.ones(2), np.ones(2))
    if openblas_threads() < 0:
        pytest.skip("numpy is not built with its own OpenBLAS here")
    for name in local_resources.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local_resources, "cpu_count", lambda: 6)

    @leman.udf(version="1")
    def threads(x: int) -> str:
        return f"{os.environ['OMP_NUM_THREADS']} {os.environ['MKL_NUM_THREADS']} {openblas_threads()}"

    numbers.add_columns({"t": threads})
    limit = os.cpu_count() or 1
    numbers.backfill("t", concurrency=2)
    assert set(column(numbers, "t")) == {f"3 3 {min(3, limit)}"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    again = leman.udf(version="2")(threads.__wrapped__)
    numbers.backfill("t", udf=again, concurrency=3)
    assert set(column(numbers, "t")) == {f"1 2 {min(2, limit)}"}
    fixed = leman.udf(version="3", num_cpus=2)(threads.__wrapped__)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    numbers.backfill("t", udf=fixed, concurrency=3)
    assert set(column(numbers, "t")) == {f"1 2 {min(2, limit)}"}
