"""Leman: add the column, backfill it. Usage: WORKLOAD TABLE [--concurrency N] [--again | --plan]."""

import sys
import time
from pathlib import Path

import leman
import workloads


def main() -> None:
    workload = workloads.WORKLOADS[sys.argv[1]]
    path = Path(sys.argv[2])
    concurrency = int(sys.argv[sys.argv.index("--concurrency") + 1]) if "--concurrency" in sys.argv else 2
    table = leman.connect(str(path.parent)).open_table(path.stem)
    if "--again" not in sys.argv:
        if workload.function == "scalar":
            from scalar_functions import add_one

            function = leman.udf(add_one)
        elif workload.function == "array":
            import pyarrow as pa

            from batch_functions import add_one_array

            function = leman.udf(data_type=pa.int64())(add_one_array)
        else:
            from batch_functions import EMBEDDING_TYPE, embed

            function = leman.udf(data_type=EMBEDDING_TYPE)(embed)
        table.add_columns({"y": (function, [workload.input_column])})
    if "--plan" in sys.argv:
        start = time.perf_counter()
        table.plan_backfill("y", concurrency=concurrency)
        print(f"planned in {time.perf_counter() - start:.3f} s")
        return
    table.backfill("y", concurrency=concurrency, progress=False)


main()
