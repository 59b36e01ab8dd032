"""Leman fills a column; prints what the job says of itself as JSON. Usage: WORK TABLE."""

import json
import sys
import time
from pathlib import Path

import leman
from write_functions import WORKS


def main() -> None:
    work, path = WORKS[sys.argv[1]], Path(sys.argv[2])
    table = leman.connect(str(path.parent)).open_table(path.stem)
    table.add_columns({"y": (work.annotated, ["x"])})
    result = table.backfill("y", concurrency=2, progress=False)
    print(json.dumps({"done_at": time.time(), "metrics": result.metrics}))


main()
