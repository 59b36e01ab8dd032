"""Daft on its local runner: `daft_lance.merge_columns`, a function a fragment. Usage: WORKLOAD TABLE."""

import os
import sys

os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import daft_lance
import pyarrow as pa

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

    daft_lance.merge_columns(sys.argv[2], transform=fill, read_columns=[workload.input_column])


main()
