"""What workers on this machine may use: processors, GPUs, and the threads of libraries inside of them."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .backfill_spec import BackfillSpec

#: Read by libraries when they are loaded, or when they make their threads.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
_SLOT_WAIT_S = 5.0
_held: list[socket.socket] = []


def cpu_count() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0))


def fitting_workers(
    concurrency: int, threads: int, num_cpus: float | None, num_gpus: float | None, function_name: str
) -> int:
    """Return how many worker processes of ``concurrency`` fit on this machine; at least 1.

    Parameters
    ----------
    concurrency, threads : int
        Worker processes asked for, and threads in each.
    num_cpus : float or None
        Processors of a thread; None: no matter.
    num_gpus : float or None
        GPUs of a worker, a fraction where workers share one.
    function_name : str
        For messages.

    Raises
    ------
    ValueError
        Where the machine has fewer GPUs than one worker wants.
    """
    workers = concurrency
    if num_cpus:
        workers = min(workers, max(1, int(cpu_count() / (num_cpus * threads) + 1e-9)))
    if num_gpus:
        workers = min(workers, len(gpu_slots(num_gpus, visible_gpus(), function_name)))
    return workers


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        # As CUDA does: what follows the first invalid one is not visible.
        gpus = [entry.strip() for entry in named.split(",") if entry.strip()]
        return gpus[: gpus.index("-1")] if "-1" in gpus else gpus
    try:
        found = sorted(entry for entry in os.listdir("/dev") if re.fullmatch(r"nvidia\d+", entry))
    except OSError:
        found = []
    if found:
        return [str(i) for i in range(len(found))]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    return [str(i) for i, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def gpu_slots(num_gpus: float, gpus: Sequence[str], function_name: str) -> list[str]:
    """Return the value of ``CUDA_VISIBLE_DEVICES`` of each worker that fits, in the order in which they are given out.

    Workers that want a fraction are spread: the first of each GPU come before the second of any.

    Raises
    ------
    ValueError
        Where not even one fits.
    """
    where = "CUDA_VISIBLE_DEVICES names" if "CUDA_VISIBLE_DEVICES" in os.environ else "this machine has"
    count = f"{len(gpus)} GPUs" if gpus else "none"
    if num_gpus > 1 and num_gpus != int(num_gpus):
        raise ValueError(f"num_gpus={num_gpus:g}: expected a whole number, or a fraction of one GPU")
    if len(gpus) < num_gpus or not gpus:
        raise ValueError(
            f"num_gpus={num_gpus:g}: a worker of function {function_name!r} wants that many GPUs, and {where} {count}; "
            "pass num_gpus=0 to run it without, or run it where there are (executor='ray')"
        )
    if num_gpus >= 1:
        each = int(num_gpus)
        return [",".join(gpus[i : i + each]) for i in range(0, len(gpus) - each + 1, each)]
    sharing = int(1 / num_gpus + 1e-9)
    return list(gpus) * sharing


def library_threads(spec: BackfillSpec) -> int:
    """Return the threads that a library in one worker may use, so that all workers together fill the machine."""
    if spec.num_cpus:
        return max(1, int(spec.num_cpus))
    return max(1, cpu_count() // (spec.concurrency * spec.intra_applier_concurrency))


def worker_environment(spec: BackfillSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the job's workers: the user's, and what the user did not set of thread counts."""
    threads = str(library_threads(spec))
    return {**dict.fromkeys(THREAD_VARIABLES, threads), **environ}


def worker_gpu_slots(spec: BackfillSpec) -> list[str] | None:
    """Return the GPUs of each worker; None where the function does not say whether it uses any."""
    if spec.num_gpus is None:
        return None
    if spec.num_gpus == 0:
        return []
    return gpu_slots(spec.num_gpus, visible_gpus(), spec.udf.name)


def take_gpus(job_id: str, slots: Sequence[str] | None) -> None:
    """Make this worker see its GPUs only: those of the first slot that no living worker of the job has.

    A slot is held as a name in the kernel's socket namespace, which goes with the process however it ends.
    """
    if slots is None:
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = slots[_take_slot(job_id, len(slots))] if slots else ""


def _take_slot(job_id: str, count: int) -> int:
    deadline = time.monotonic() + _SLOT_WAIT_S
    while True:
        for slot in range(count):
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                holder.bind(f"\0leman-{os.getuid()}-{job_id}-gpu-{slot}")
            except OSError:
                holder.close()
                continue
            _held.append(holder)
            return slot
        if time.monotonic() > deadline:
            # The worker that this one replaces has not quite ended: better shared than stuck.
            return os.getpid() % count
        time.sleep(0.05)


def limit_loaded_libraries(environ: Mapping[str, str]) -> None:
    """Apply ``OPENBLAS_NUM_THREADS`` to an OpenBLAS that is loaded already, as numpy's is in a forked worker."""
    import ctypes

    text = environ.get("OPENBLAS_NUM_THREADS", "") or environ.get("OMP_NUM_THREADS", "")
    if not text.isdigit() or int(text) < 1:
        return
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split(maxsplit=5)[-1].strip() for line in maps if "openblas" in line}
    except OSError:
        return
    for path in paths:
        try:
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
        for name in ("openblas_set_num_threads", "openblas_set_num_threads64_"):
            for prefix in ("", "scipy_"):
                function = getattr(library, prefix + name, None)
                if function is not None:
                    function(ctypes.c_int(min(int(text), math.ceil(os.cpu_count() or 1))))
