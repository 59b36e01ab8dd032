"""`make bench`: the main job measured beside its peers; see `--help`. Results go to bench/results/."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import measure
import report
import resume
import workloads
from report import Series, Target

HERE = Path(__file__).resolve().parent
WORK = workloads.ROOT / ".bench" / "work"
SPENT = workloads.ROOT / ".bench" / "spent"
OWN_PYTHON = sys.executable
# Peer -> (its script in bench/peers, the Python environment it runs in, arguments).
PEERS: dict[str, tuple[str, str | None, list[str]]] = {
    "leman": ("with_leman.py", None, ["--concurrency", "2"]),
    "leman-1": ("with_leman.py", None, ["--concurrency", "1"]),
    "leman-8": ("with_leman.py", None, ["--concurrency", "8"]),
    "pylance": ("with_pylance.py", None, []),
    "bare_loop": ("with_bare_loop.py", None, []),
    "two_processes": ("with_two_processes.py", None, []),
    "lance_ray": ("with_lance_ray.py", "venv-ray", []),
    "daft": ("with_daft.py", "venv-daft", []),
}
# A peer whose first run takes longer is not run again; its figure includes the sampling of memory.
SLOW_S = 60.0
MANY_FILES = 1_000
ONLY_HELLO = ("leman-1", "leman-8")


def python_of(environment_name: str | None) -> Path:
    """The interpreter of a peer's environment; None is our own."""
    if environment_name is None:
        return Path(OWN_PYTHON)
    return workloads.ROOT / ".bench" / environment_name / "bin" / "python"


def process_environment() -> dict[str, str]:
    """What every measured process gets: ours, and the benchmark's functions to import."""
    return {**os.environ, "PYTHONPATH": str(HERE), "RAY_worker_niceness": "0", "PYTHONWARNINGS": "ignore"}


def available_peers(names: list[str], notes: list[str]) -> list[str]:
    """Those of `names` that are installed; says why another is left out."""
    found = []
    for name in names:
        environment_name = PEERS[name][1]
        if not python_of(environment_name).exists():
            notes.append(f"{name} is left out: it is not installed (tools/bootstrap bench)")
        elif name.startswith("leman") and importlib.util.find_spec("leman") is None:
            notes.append(f"{name} is left out: leman is not installed in this environment")
        else:
            found.append(name)
    for note in notes:
        print(f"note: {note}")
    return found


def command(peer: str, workload: workloads.Workload, table: Path, *more: str) -> list[str]:
    script, environment_name, arguments = PEERS[peer]
    python = python_of(environment_name)
    return [str(python), str(HERE / "peers" / script), workload.name, str(table), *arguments, *more]


def check_result(peer: str, workload: workloads.Workload, table: Path) -> str | None:
    """None where the peer's output is right and complete; else what is wrong with it."""
    import lance
    import lance.file

    if peer in ("bare_loop", "two_processes"):
        rows = sum(lance.file.LanceFileReader(str(file)).metadata().num_rows for file in WORK.glob(f"{table.name}.*"))
        return None if rows == workload.table.rows else f"{rows} rows written"
    dataset = lance.dataset(table)
    if workload.function != "embed":
        good = dataset.count_rows(filter="y = x + 1")
        return None if good == workload.table.rows else f"{good} of {workload.table.rows} rows are right"
    from batch_functions import embed

    sample = dataset.take(list(range(0, workload.table.rows, 997)))
    expected = embed(sample.column("text").combine_chunks())
    same = expected.flatten().to_numpy() == sample.column("y").combine_chunks().flatten().to_numpy()
    # Matrix products may differ in the last bit with the number of rows.
    return None if same.mean() > 0.5 and len(same) == 384 * sample.num_rows else "values differ"


def why(run: measure.Run) -> str:
    """Why a run failed, in a line."""
    last_line = (run.output.strip().splitlines() or ["no output"])[-1]
    return f"failed with {run.exit_code}: {last_line[:200]}"


def one_run(peer: str, workload: workloads.Workload, *, memory: bool = False, check: bool = False) -> measure.Run:
    """Runs a peer once on a fresh copy of the table; an error is in the run's output and exit code."""
    shutil.rmtree(WORK, ignore_errors=True)
    table = workloads.fresh_copy(workload.table, WORK)
    os.sync()
    run = measure.run(command(peer, workload, table), environment=process_environment(), memory=memory)
    if check and run.exit_code == 0 and (wrong := check_result(peer, workload, table)):
        run.exit_code, run.output = 1, wrong
    if workload.table.fragments >= MANY_FILES:
        # ext4 gives an inode out again a minute after its file was deleted, at the earliest, and walks over those that
        # wait each time a file is made: tens of thousands of deleted files would be measured in the runs that follow.
        SPENT.mkdir(parents=True, exist_ok=True)
        WORK.rename(SPENT / str(len(list(SPENT.iterdir()))))
    shutil.rmtree(WORK, ignore_errors=True)
    return run


def measure_workload(workload: workloads.Workload, peers: list[str], runs: int) -> list[Series]:
    """A checked first run with memory sampled, then `runs` rounds in which the peers take turns."""
    print(f"\n{workload.title}", flush=True)
    peers = [peer for peer in peers if workload.name == "hello" or peer not in ONLY_HELLO]
    series = {peer: Series(workload.name, peer) for peer in peers}
    for peer, entry in series.items():
        first = one_run(peer, workload, memory=True, check=True)
        if first.exit_code != 0:
            entry.failure = why(first)
            print(f"  {report.PEER_TITLES[peer]:32} {entry.failure}", flush=True)
            continue
        entry.peak_rss_mb, entry.peak_pss_mb = first.peak_rss_mb, first.peak_pss_mb
        entry.peak_processes, entry.left_behind = first.peak_processes, first.left_behind
        if first.seconds > SLOW_S:
            entry.seconds.append(first.seconds)
    slow = [peer for peer, entry in series.items() if entry.seconds]
    for _ in range(runs):
        for peer, entry in series.items():
            if entry.failure is None and peer not in slow:
                run = one_run(peer, workload)
                entry.left_behind = max(entry.left_behind, run.left_behind)
                if run.exit_code == 0:
                    entry.seconds.append(run.seconds)
                else:
                    entry.failure = why(run)
    for peer, entry in series.items():
        if entry.best is not None:
            print(f"  {report.PEER_TITLES[peer]:32} {entry.best:7.2f} s  {entry.peak_rss_mb or 0:7.0f} MB", flush=True)
    return list(series.values())


def measure_rerun(runs: int, results: dict) -> None:
    """Figure 5: nothing to do on 10 M rows; then the same with the table's data files taken away."""
    workload = workloads.WORKLOADS["ints-array"]
    shutil.rmtree(WORK, ignore_errors=True)
    table = workloads.fresh_copy(workload.table, WORK)
    environment = process_environment()
    made = measure.run(command("leman", workload, table), environment=environment)
    seconds = [measure.run(command("leman", workload, table, "--again"), environment=environment) for _ in range(runs)]
    shutil.rmtree(table / "data")
    without_data = measure.run(command("leman", workload, table, "--again"), environment=environment)
    if made.exit_code or any(run.exit_code for run in seconds):
        results["notes"].append("re-run with nothing to do: failed")
        return
    results["rerun"] = {
        "seconds": [run.seconds for run in seconds],
        "data_files_needed": without_data.exit_code != 0,
    }
    needed = "needs" if without_data.exit_code else "does not need"
    best = min(run.seconds for run in seconds)
    print(f"\nNothing to do on 10 M rows: {best:.2f} s; the run {needed} the table's data files", flush=True)
    results["notes"].append(
        f"A re-run with nothing to do on 10 M rows takes {best:.2f} s (min of {runs}) and {needed} the table's data "
        "files (tried with their folder taken away)."
    )


def measure_plan(results: dict) -> None:
    """Figure 6, its first half: the plan for 10,000 fragments, in a process that has imported what it needs."""
    workload = workloads.WORKLOADS["many"]
    shutil.rmtree(WORK, ignore_errors=True)
    table = workloads.fresh_copy(workload.table, WORK)
    run = measure.run(command("leman", workload, table, "--plan"), environment=process_environment())
    last = (run.output.strip().splitlines() or [""])[-1]
    if run.exit_code or not last.startswith("planned in "):
        results["notes"].append(f"plan of 10,000 fragments: failed: {last[:200]}")
        return
    results["plan_seconds"] = float(last.split()[2])
    results["notes"].append(f"The plan for 10,000 fragments takes {results['plan_seconds']:.2f} s.")


def measure_resume(peers: list[str], results: dict) -> None:
    """Figure 4, for Leman with its own cut and with a given batch_size, and for pylance's checkpoint file."""
    cases = {
        "Leman, default checkpoints": ("leman", "resume_with_leman.py", []),
        "Leman, batch_size=10240": ("leman", "resume_with_leman.py", ["10240"]),
        "pylance, its checkpoint file": ("pylance", "resume_with_pylance.py", [str(WORK / "pylance.ckpt")]),
    }
    print("\nKilled with -9 at half of 10 M rows, run again", flush=True)
    for title, (peer, script, arguments) in cases.items():
        if peer not in peers:
            continue
        shutil.rmtree(WORK, ignore_errors=True)
        table = workloads.fresh_copy(workloads.INTS, WORK)
        line = [OWN_PYTHON, str(HERE / "peers" / script), str(table), *arguments]
        try:
            result = resume.kill_and_resume(line, table, process_environment(), checkpoints=peer == "leman")
            results["resume"][title] = dataclasses.asdict(result)
        except RuntimeError as error:
            results["resume"][title] = {"failure": f"failed: {str(error).splitlines()[0][:200]}"}
        print(f"  {title:32} {results['resume'][title]}", flush=True)


def make_targets(series: list[Series], results: dict) -> list[Target]:
    """The figures that Leman means to reach."""

    def best(workload: str, peer: str) -> float | None:
        return next((entry.best for entry in series if (entry.workload, entry.peer) == (workload, peer)), None)

    def ratio(workload: str, peer: str) -> float | None:
        ours, theirs = best(workload, "leman"), best(workload, peer)
        return ours / theirs if ours and theirs else None

    hello = [entry for entry in series if entry.workload == "hello" and entry.peer.startswith("leman")]
    memory = max((entry.peak_rss_mb or 0 for entry in hello if not entry.failure), default=None)
    pss = max((entry.peak_pss_mb or 0 for entry in hello if not entry.failure), default=None)
    first_call = [
        result["seconds_to_first_call"]
        for who, result in results["resume"].items()
        if "Leman" in who and "failure" not in result
    ]
    twice = [
        result["acknowledged_rows_called_twice"]
        for who, result in results["resume"].items()
        if "Leman" in who and "failure" not in result
    ]
    rerun = min(results["rerun"]["seconds"]) if results["rerun"] else None
    many, start = best("many", "leman"), best("hello", "leman")
    overhead = (many - start) / workloads.MANY.fragments * 1000 if many and start else None
    return [
        Target("hello, concurrency=1", 0.8, "s", best("hello", "leman-1")),
        Target("hello, concurrency=8", 0.8, "s", best("hello", "leman-8")),
        Target("hello, peak PSS of all processes, largest of concurrency 1, 2, 8", 400, "MB", pss),
        Target("hello, peak RSS of all processes, likewise", 400, "MB", memory),
        Target("10 M int64, scalar", 1.5, "s", best("ints-scalar", "leman")),
        Target("10 M int64, pa.Array", 1.0, "s", best("ints-array", "leman")),
        Target("10 M int64, pa.Array, against pylance add_columns", 1.3, "×", ratio("ints-array", "pylance")),
        Target("1 M texts, against a bare loop in 2 processes", 1.15, "×", ratio("texts", "two_processes")),
        Target("resume: acknowledged rows computed again", 0, "rows", max(twice, default=None)),
        Target("resume: first call of the second run", 1.0, "s", max(first_call, default=None)),
        Target("re-run with nothing to do", 0.5, "s", rerun),
        Target("10,000 fragments: planning", 1.0, "s", results["plan_seconds"]),
        Target("10,000 fragments: overhead a fragment", 1.0, "ms", overhead),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures Leman's main job beside its peers, whole processes each.")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each peer (default 5)")
    parser.add_argument("--only", default=",".join([*workloads.WORKLOADS, "rerun", "resume"]), help="parts to run")
    parser.add_argument("--peers", default=",".join(PEERS), help="peers to run")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    only = arguments.only.split(",")

    measure.adopt_orphans()
    shutil.rmtree(SPENT, ignore_errors=True)
    load_before = os.getloadavg()[0]
    results: dict = {
        "date": datetime.date.today().isoformat(),
        "machine": report.machine(workloads.ROOT),
        "resume": {}, "rerun": None, "plan_seconds": None, "notes": [],
    }  # fmt: skip
    peers = available_peers(arguments.peers.split(","), results["notes"])
    series: list[Series] = []
    for workload in workloads.WORKLOADS.values():
        if workload.name in only:
            series += measure_workload(workload, peers, arguments.runs)
    if "leman" in peers and "many" in only:
        measure_plan(results)
    if "leman" in peers and "rerun" in only:
        measure_rerun(arguments.runs, results)
    if "resume" in only:
        measure_resume(peers, results)
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.rmtree(SPENT, ignore_errors=True)
    results["machine"]["load average"] = f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    if load_before > 1:
        results["notes"].append("The machine was busy with other work when this began: compare ratios, not seconds.")

    titles = {workload.name: workload.title for workload in workloads.WORKLOADS.values()}
    targets = make_targets(series, results) if "leman" in peers else []
    text = report.markdown(results, titles, series, targets)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "main_job.md").write_text(text)
    results["series"] = [dataclasses.asdict(entry) for entry in series]
    results["targets"] = [{**dataclasses.asdict(target), "verdict": target.verdict} for target in targets]
    (arguments.results / "main_job.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{text}\nwritten to {arguments.results / 'main_job.md'}")


if __name__ == "__main__":
    main()
