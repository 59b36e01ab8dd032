"""A Ray cluster of several nodes on this machine, each in a network namespace of its own where that is allowed.

Nothing here touches other clusters of the machine: every process carries a mark in its environment and is found by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MARK = "LEMAN_TEST_CLUSTER"
_START_TIMEOUT_S = 40.0
_FAKE_AUTOSCALER = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
# What Ray's own tests do to have the second autoscaler work with the fake provider.
_FAKE_HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
_SECOND_AUTOSCALER = {
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": _FAKE_HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _FAKE_HEAD_ID,
    "RAY_NODE_TYPE_NAME": "ray.head.default",  # KubeRay says it, too
}
# By its class, since the second autoscaler looks under its name for a file that Ray's package lacks.
_SECOND_PROVIDER = {
    "type": "external",
    "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
    "launch_multiple": True,
    "head_node_id": _FAKE_HEAD_ID,
}
_COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
_REPOSITORY = Path(__file__).parents[2]


def cluster_python() -> str | None:
    """Return the interpreter that has Ray: ``LEMAN_CLUSTER_PYTHON``, or that of ``tools/bootstrap cluster``."""
    chosen = os.environ.get("LEMAN_CLUSTER_PYTHON")
    if chosen:
        return chosen
    made = _REPOSITORY / ".bench" / "venv-cluster"
    return str(made / "bin" / "python") if (made / "stamp").exists() else None


def namespaces_allowed() -> bool:
    """Say whether this process may make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None or os.environ.get("LEMAN_CLUSTER_NAMESPACES") == "0":
        return False
    name = f"leman-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        return False
    subprocess.run(["ip", "netns", "delete", name], check=False)
    return True


class Network:
    """Namespaces with one address each, joined by a bridge in one more."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._hub = f"lm{mark}hub"
        self._made = [self._hub]
        # A range that is for benchmarks of networks, and so nobody's.
        self._subnet = f"198.18.{int(mark[:2], 16)}"
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "br0", "up")

    def add(self, number: int) -> tuple[str, str]:
        """Make a namespace; return its name and address."""
        name, address, link = f"lm{self._mark}n{number}", f"{self._subnet}.{number + 1}", f"p{number}"
        _ip("netns", "add", name)
        self._made.append(name)
        _ip("-n", self._hub, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", self._hub, "link", "set", link, "master", "br0", "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return name, address

    def cut(self, number: int) -> None:
        """Take a node off the network, as a broken cable does: nobody is told."""
        _ip("-n", self._hub, "link", "set", f"p{number}", "down")

    def join(self, number: int) -> None:
        """Put it back."""
        _ip("-n", self._hub, "link", "set", f"p{number}", "up")

    def close(self) -> None:
        """Remove everything."""
        for name in self._made:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Node:
    """One node: its processes, and where they run."""

    def __init__(self, number: int, namespace: str | None, address: str, process: subprocess.Popen[bytes]) -> None:
        self.number = number
        self.namespace = namespace
        self.address = address
        self.process = process


class RayNodes:
    """The cluster; the driver of a job runs on its head.

    Attributes
    ----------
    nodes : list of Node
        The head first.
    has_namespaces : bool
        Whether nodes have networks of their own.
    token : str
        Of Ray's own authentication.
    """

    def __init__(self, python: str, *, dashboard: bool = False) -> None:
        self._python = python
        self._mark = secrets.token_hex(3)
        self.token = secrets.token_hex(16)
        self.has_namespaces = namespaces_allowed()
        self._network = Network(self._mark) if self.has_namespaces else None
        self.folder = Path(tempfile.mkdtemp(prefix="lm", dir="/tmp"))  # a socket's path is short
        #: Nodes that are told to hide it have another folder, an empty one, in its place.
        self.private = self.folder / "private"
        self.private.mkdir()
        self.nodes: list[Node] = []
        self._port = 6379 if self.has_namespaces else _free_port()
        self.client_port = 10001 if self.has_namespaces else _free_port()
        self._dashboard = dashboard
        self._dashboard_port = 8265 if self.has_namespaces else _free_port()

    # Nodes.

    def add_node(
        self,
        *,
        cpus: int,
        gpus: int = 0,
        labels: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
        hides_private: bool = False,
        node_types: Mapping[str, Mapping[str, Any]] | None = None,
        autoscaler: int = 1,
    ) -> Node:
        """Start a node; the first is the head.

        With ``node_types`` (a name: ``resources``, ``labels``, ``max_workers``) the head's autoscaler adds such nodes
        by Ray's fake provider, as processes beside the head; ``autoscaler`` says which of Ray's two does.
        """
        number = len(self.nodes)
        namespace, address = self._network.add(number) if self._network else (None, "127.0.0.1")
        ray = str(Path(self._python).parent / "ray")
        command = [ray, "start", "--block", f"--node-ip-address={address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        if number == 0:
            command += ["--head", f"--port={self._port}", f"--temp-dir={self.folder / 'ray'}"]
            command += [
                f"--include-dashboard={str(self._dashboard).lower()}",
                f"--dashboard-port={self._dashboard_port}",
            ]
            command += ["--dashboard-host=127.0.0.1", f"--ray-client-server-port={self.client_port}"]
        else:
            command += [f"--address={self.nodes[0].address}:{self._port}"]
        command += [f"--object-store-memory={100 << 20}", "--disable-usage-stats"]
        if labels:
            command += ["--labels", ",".join(f"{key}={value}" for key, value in labels.items())]
        if resources:
            command += ["--resources", json.dumps(dict(resources))]
        if node_types is not None:
            command += [f"--autoscaling-config={self._autoscaling_config(address, node_types, autoscaler)}"]
        if hides_private and self.has_namespaces:
            hide = f'mount -t tmpfs none {self.private} && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", hide, "sh", *command]
        fake = {} if node_types is None else _FAKE_AUTOSCALER | (_SECOND_AUTOSCALER if autoscaler == 2 else {})
        log = open(self.folder / f"node{number}.log", "wb")  # noqa: SIM115
        process = subprocess.Popen(
            self._inside(namespace, command),
            env={**self._environment(number), **fake},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        node = Node(number, namespace, address, process)
        self.nodes.append(node)
        if number == 0:
            self.await_nodes(1)
        else:
            self._await_socket(number)
        return node

    def _await_socket(self, number: int) -> None:
        # Nodes share the session's folder, and choose a free name there without a lock.
        sockets = self.folder / "ray" / "session_latest" / "sockets"
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while len(list(sockets.glob("raylet*"))) <= number and time.monotonic() < deadline_s:
            time.sleep(0.05)

    def await_nodes(self, count: int, *, exactly: bool = False, settled_s: float = 0.0) -> None:
        """Wait until that many nodes are in the cluster, or exactly so many, and have been for a while."""
        wrong = f"sum(node['Alive'] for node in ray.nodes()) {'!=' if exactly else '<'} {count}"
        code = (
            "import ray, sys, time\n"
            f"deadline = time.time() + {_START_TIMEOUT_S}\n"
            "while True:\n"
            "    try:\n"
            f"        ray.init(address='{self.address}', logging_level='ERROR')\n"
            "        break\n"
            "    except Exception:\n"
            "        if time.time() > deadline: raise\n"
            "        time.sleep(0.3)\n"
            "since = time.time()\n"
            "while True:\n"
            f"    if {wrong}: since = time.time()\n"
            f"    elif time.time() - since >= {settled_s}: break\n"
            "    if time.time() > deadline: sys.exit('nodes are missing')\n"
            "    time.sleep(0.1)\n"
        )
        # Ray waits forever for a head that has died.
        limit = ["timeout", str(2 * _START_TIMEOUT_S)]
        done = subprocess.run(
            self._inside(self.nodes[0].namespace, [*limit, self._python, "-c", code]),
            env=self._environment(0),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("node*.log")))
            raise RuntimeError(f"the cluster did not start:\n{done.stderr}\n{logs}")

    @property
    def address(self) -> str:
        """The cluster's address."""
        return f"{self.nodes[0].address}:{self._port}"

    @property
    def dashboard(self) -> str:
        """Where jobs are submitted; on the head only."""
        return f"http://127.0.0.1:{self._dashboard_port}"

    def cut(self, node: Node) -> None:
        """Make a node fall silent: cut its network, or where there are no namespaces stop its processes."""
        if self._network is not None:
            self._network.cut(node.number)
        else:
            self.signal(node, signal.SIGSTOP)

    def rejoin(self, node: Node) -> None:
        """Undo :meth:`cut`."""
        if self._network is not None:
            self._network.join(node.number)
        else:
            self.signal(node, signal.SIGCONT)

    def signal(self, node: Node, number: int, *, only: str = "") -> list[int]:
        """Send a signal to a node's processes whose command line holds ``only``; return which."""
        found = []
        for pid, command in self._processes(f"{self._mark}-{node.number}\0"):
            if only in command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    found.append(pid)
        return found

    # Drivers.

    def start(self, command: list[str], *, output: Any = None, **environment: str) -> subprocess.Popen[str]:
        """Start a program on the head; what it prints goes to a file, or to the caller."""
        return subprocess.Popen(
            self._inside(self.nodes[0].namespace, command),
            env={**self._environment("driver"), **environment},
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE if output is None else output,
            text=True,
        )

    def python(self, *arguments: str, output: Any = None, **environment: str) -> subprocess.Popen[str]:
        """Start a Python program on the head."""
        return self.start([self._python, *arguments], output=output, **environment)

    def program(self, name: str) -> str:
        """Return the path of a program that is installed beside the interpreter."""
        return str(Path(self._python).parent / name)

    # The end.

    def close(self) -> None:
        """End every process of this cluster, and nobody else's."""
        for number in (signal.SIGCONT, signal.SIGKILL, signal.SIGKILL):
            for pid, _ in self._processes(f"{self._mark}-"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.2)
        for node in self.nodes:
            node.process.wait()
        if self._network is not None:
            self._network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self) -> str:
        """Return all that the cluster wrote, for checks of what must not be in it."""
        texts = [
            path.read_text(errors="replace")
            for path in self.folder.rglob("*")
            if path.suffix in (".log", ".out", ".err")
        ]
        return "\n".join(texts)

    def _autoscaling_config(self, address: str, node_types: Mapping[str, Mapping[str, Any]], autoscaler: int) -> Path:
        workers = {name: {"node_config": {}, "min_workers": 0, **of} for name, of in node_types.items()}
        config = {
            "cluster_name": "leman-test",
            "max_workers": sum(of["max_workers"] for of in node_types.values()),
            "upscaling_speed": 10.0,
            "idle_timeout_minutes": 0.05,
            "provider": {
                "type": "fake_multinode",
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "gcs_address": f"{address}:{self._port}",
                **(_SECOND_PROVIDER if autoscaler == 2 else {}),
            },
            "available_node_types": {
                "ray.head.default": {"node_config": {}, "resources": {}, "max_workers": 0},
                **workers,
            },
            "head_node_type": "ray.head.default",
            "auth": {},
            "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "rsync_exclude": [],
            "rsync_filter": [],
            **{name: [] for name in _COMMANDS},
        }
        path = self.folder / "autoscaling.json"
        path.write_text(json.dumps(config))
        return path

    def _environment(self, node: int | str) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment.update(
            {
                MARK: f"{self._mark}-{node}",
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": self.token,
                "RAY_worker_niceness": "0",
                "RAY_DEDUP_LOGS": "0",
                "LEMAN_PREWARM": "0",
                "LEMAN_CONFIG_DIR": str(self.folder / "config"),
            }
        )
        return environment

    def _inside(self, namespace: str | None, command: list[str]) -> list[str]:
        return command if namespace is None else ["ip", "netns", "exec", namespace, *command]

    def _processes(self, mark: str) -> Iterator[tuple[int, str]]:
        wanted = f"\0{MARK}={mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if wanted in b"\0" + (entry / "environ").read_bytes():
                    yield (
                        int(entry.name),
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
                    )


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_line(process: subprocess.Popen[str], text: str, timeout_s: float = 90.0) -> None:
    """Read a driver's error output up to a line that holds a text."""
    assert process.stderr is not None
    limit = threading.Timer(timeout_s, process.kill)
    limit.start()
    shown = []
    try:
        for line in process.stderr:
            shown.append(line)
            if text in line:
                return
    finally:
        limit.cancel()
    raise AssertionError(f"the driver ended, or {timeout_s} s passed, without {text!r}:\n{''.join(shown)}")


def outcome(process: subprocess.Popen[str], timeout_s: float = 120.0) -> dict[str, Any]:
    """Wait for a driver of ``cluster_driver.py``; return what it printed, with its exit code and error output."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the driver did not end within {timeout_s} s\n{out}\n{err}") from None
    lines = [line for line in out.splitlines() if line.startswith("OUTCOME ")]
    told = json.loads(lines[-1].removeprefix("OUTCOME ")) if lines else {}
    return {"status": "none was told", **told, "exit_code": process.returncode, "err": err, "out": out}
