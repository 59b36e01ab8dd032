"""Jobs on a cluster of the tests, and what became of them."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any, NamedTuple

from cluster_driver import numbers
from ray_nodes import RayNodes, cluster_python, outcome

import leman


class Call(NamedTuple):
    """One call of a function that notes its calls."""

    x: int
    pid: int
    node: str
    time_s: float
    gpus: str
    niceness: int


class Jobs:
    """Runs jobs of ``cluster_driver.py`` on a cluster, with a database of its own."""

    def __init__(self, cluster: RayNodes, folder: Path) -> None:
        self.cluster = cluster
        self.db = leman.connect(folder / "db")
        self.db.prewarms = False
        #: More of what ``cluster_driver.py`` is asked for.
        self.request: dict[str, Any] = {"connect": {"uri": self.db.uri}}
        self._calls = folder / "calls"

    def numbers(self, rows: int = 2000, fragments: int = 10, name: str = "t") -> leman.Table:
        """Make a table of x = 0, 1, 2, … and a text."""
        return self.db.create_table(name, numbers(rows), max_rows_per_file=rows // fragments)

    def start(self, function: str, *, column: str = "y", name: str = "t", **backfill: Any) -> Any:
        """Start a driver on the head.

        ``column`` may name several, with spaces between, for one job after the other; ``function`` then, too.
        """
        cluster = {"address": self.cluster.address, **backfill.pop("cluster", {})}
        environment = backfill.pop("environment", {})
        cluster.setdefault("runtime_env", {"env_vars": {"LEMAN_CLUSTER_CALLS": str(self._calls)}})
        request = {
            **self.request,
            "table": name,
            "columns": column.split(),
            "functions": function.split(),
            "cluster": cluster,
            "backfill": backfill,
        }
        return self.cluster.python(str(Path(__file__).parent / "cluster_driver.py"), json.dumps(request), **environment)

    def run(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run a job to its end."""
        return outcome(self.start(function, **arguments))

    def open_gate(self) -> None:
        """Let calls of ``gated`` go on."""
        self._calls.with_name(self._calls.name + ".open").touch()

    def calls(self) -> list[Call]:
        """Return the calls so far."""
        if not self._calls.exists():
            return []
        found = []
        for line in self._calls.read_text().splitlines():
            x, pid, node, time_s, gpus, niceness = line.split(" ")
            found.append(Call(int(x), int(pid), node, float(time_s), gpus.strip("[]"), int(niceness)))
        return found

    def times_called(self) -> collections.Counter[int]:
        """Return how often each x was computed."""
        return collections.Counter(call.x for call in self.calls())

    def values(self, column: str = "y", name: str = "t") -> list[Any]:
        """Return a column."""
        return list(self.db.open_table(name).to_lance().to_table([column])[column].to_pylist())

    def events(self, job_id: str) -> str:
        """Return what the job's record says happened."""
        return "\n".join(entry["message"] for entry in self.db.get_job(job_id).as_dict()["events"])

    def event_times(self, job_id: str, text: str) -> list[float]:
        """Return when the events happened that hold a text."""
        import datetime

        found = [e for e in self.db.get_job(job_id).as_dict()["events"] if text in e["message"]]
        return [datetime.datetime.fromisoformat(e["timestamp"].replace("Z", "+00:00")).timestamp() for e in found]


def one_node() -> RayNodes:
    """Start a cluster of one node, which has GPUs that are none."""
    python = cluster_python()
    assert python is not None
    cluster = RayNodes(python)
    try:
        cluster.add_node(cpus=4, gpus=2, labels={"zone": "b"})
    except BaseException:
        cluster.close()
        raise
    return cluster


def small_cluster(*, dashboard: bool = False) -> RayNodes:
    """Start a head without CPUs and two nodes, one of them with GPUs that are none."""
    python = cluster_python()
    assert python is not None
    cluster = RayNodes(python, dashboard=dashboard)
    try:
        cluster.add_node(cpus=0)
        cluster.add_node(cpus=2, labels={"zone": "a"}, resources={"licence": 1}, hides_private=True)
        cluster.add_node(cpus=2, gpus=2, labels={"zone": "b"})
        cluster.await_nodes(3)
    except BaseException:
        cluster.close()
        raise
    return cluster
