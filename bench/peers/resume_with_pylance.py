"""pylance with its checkpoint file, a slow function, to be killed and run again. Usage: TABLE CHECKPOINT_FILE."""

import sys

import lance
import pyarrow as pa

from slow_function import add_one_slowly


def main() -> None:
    @lance.batch_udf(output_schema=pa.schema([("y", pa.int64())]), checkpoint_file=sys.argv[2])
    def fill(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([add_one_slowly(batch.column(0))], ["y"])

    lance.dataset(sys.argv[1]).add_columns(fill, read_columns=["x"], batch_size=10240)


main()
