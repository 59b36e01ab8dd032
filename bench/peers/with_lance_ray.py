"""lance-ray: `add_columns` on a local Ray of two CPUs with two pool processes. Usage: WORKLOAD TABLE."""

import os
import sys

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

import lance_ray
import pyarrow as pa
import ray

import workloads


def main() -> None:
    workload = workloads.WORKLOADS[sys.argv[1]]
    if workload.function == "scalar":
        from scalar_functions import add_one

        def function(x):
            return pa.array([add_one(value) for value in x.to_pylist()], pa.int64())

    elif workload.function == "array":
        from batch_functions import add_one_array as function
    else:
        from batch_functions import embed as function

    def fill(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([function(batch.column(0))], ["y"])

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    lance_ray.add_columns(
        sys.argv[2], transform=fill, read_columns=[workload.input_column], batch_size=10240, concurrency=2
    )


main()
