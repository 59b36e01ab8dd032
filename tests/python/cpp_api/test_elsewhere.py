"""C++ programs whose tables lie in an object store, and whose workers are Ray's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import leman

pytestmark = pytest.mark.xdist_group("cpp_api")
TESTS = Path(__file__).resolve().parents[2]
for folder in ("python/objects", "cluster"):
    sys.path.insert(0, str(TESTS / folder))

from ray_nodes import cluster_python  # noqa: E402
from s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, find_server  # noqa: E402


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Storage options of an S3 server of this test's own."""
    binary = find_server()
    if binary is None:
        pytest.skip("no S3 server: tools/bootstrap test builds versitygw where Go is installed")
    server = S3Server(binary, tmp_path / "s3")
    server.start()
    yield {
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "aws_endpoint": f"http://127.0.0.1:{server.port}",
        "aws_region": "us-east-1",
        "allow_http": "true",
    }
    server.kill()


def fill(programs: Path, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "fill_column"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_table_in_an_object_store_is_filled(
    programs: Path, environment: dict[str, str], storage: dict[str, str], tmp_path: Path
) -> None:
    uri = f"s3://{BUCKET}/db"
    table = leman.connect(uri, storage_options=storage).create_table(
        "t", {"x": list(range(3000))}, max_rows_per_file=1000
    )
    library = programs / "libtest_functions.so"
    table.add_columns({"y": leman.native_udf(library, "twice"), "z": leman.native_udf(library, "odd_fails")})
    given = {**environment, "STORAGE_OPTIONS": ";".join(f"{name}={value}" for name, value in storage.items())}
    done = fill(programs, uri, "t", "y", environment=given)
    assert (done.returncode, done.stdout) == (0, "3000 rows computed\n"), done.stderr
    table.checkout_latest()
    assert table.to_arrow()["y"].to_pylist() == list(range(0, 6000, 2))
    failed = fill(programs, uri, "t", "z", environment=given)
    assert failed.returncode == 1 and "x is odd: 1" in failed.stdout


@pytest.mark.skipif(os.environ.get("LEMAN_CLUSTER_TESTS") != "full", reason="long; 'make test-cluster' runs it")
def test_workers_of_ray_fill_a_column(
    programs: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = cluster_python()
    if python is None:
        pytest.skip("Ray is not installed; 'tools/bootstrap cluster' does that")
    table = leman.connect(tmp_path / "db").create_table("t", {"x": [1, 2, 3]})
    table.add_columns({"y": leman.native_udf(programs / "libtest_functions.so", "twice")})
    package = str(Path(leman.__file__).resolve().parents[1])
    with_ray = {**environment, "LEMAN_PYTHON": python, "PYTHONPATH": package}
    done = fill(programs, str(tmp_path / "db"), "t", "y", "ray", environment=with_ray)
    assert (done.returncode, done.stdout) == (0, "3 rows computed\n"), done.stderr
    assert table.to_arrow()["y"].to_pylist() == [2, 4, 6]
    (job,) = leman.connect(tmp_path / "db").list_jobs()
    assert job.status == "DONE"


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_an_environment_without_ray_says_so(programs: Path, environment: dict[str, str], tmp_path: Path) -> None:
    table = leman.connect(tmp_path / "db").create_table("t", {"x": [1, 2, 3]})
    table.add_columns({"y": leman.native_udf(programs / "libtest_functions.so", "twice")})
    done = fill(programs, str(tmp_path / "db"), "t", "y", "ray", environment=environment)
    assert done.returncode == 1
    assert done.stdout == "ModuleNotFoundError\trunning on Ray needs the package ray: pip install 'leman[ray]'\n"
