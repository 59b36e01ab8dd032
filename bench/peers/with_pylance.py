"""pylance alone: `LanceDataset.add_columns` with a batch UDF, in one process. Usage: WORKLOAD TABLE."""

import sys

import lance
import pyarrow as pa

import workloads


def main() -> None:
    workload = workloads.WORKLOADS[sys.argv[1]]
    if workload.function == "scalar":
        from scalar_functions import add_one

        value_type = pa.int64()

        def function(x):
            return pa.array([add_one(value) for value in x.to_pylist()], pa.int64())

    elif workload.function == "array":
        from batch_functions import add_one_array as function

        value_type = pa.int64()
    else:
        from batch_functions import EMBEDDING_TYPE as value_type
        from batch_functions import embed as function

    @lance.batch_udf(output_schema=pa.schema([("y", value_type)]))
    def fill(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([function(batch.column(0))], ["y"])

    lance.dataset(sys.argv[2]).add_columns(fill, read_columns=[workload.input_column], batch_size=10240)


main()
