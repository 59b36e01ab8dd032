"""Leman, a slow function, to be killed and run again. Usage: TABLE [BATCH_SIZE]."""

import sys
from pathlib import Path

import pyarrow as pa

import leman
from slow_function import add_one_slowly


def main() -> None:
    path = Path(sys.argv[1])
    options = {"batch_size": int(sys.argv[2])} if len(sys.argv) > 2 else {}
    table = leman.connect(str(path.parent)).open_table(path.stem)
    if "y" not in table.schema.names:
        table.add_columns({"y": (leman.udf(data_type=pa.int64())(add_one_slowly), ["x"])})
    table.backfill("y", concurrency=2, progress=False, **options)


main()
