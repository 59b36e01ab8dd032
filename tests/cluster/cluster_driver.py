"""The driver of one job, or of several in a row.

Its argument is a JSON object: connect, table, columns, functions (one for all columns, or one each), cluster, backfill.
With ``rows`` and ``fragments``, for a database that only the cluster reaches, it makes the table where there is none,
and tells the last column's values.
"""

from __future__ import annotations

import json
import sys
import time

import cluster_functions
import pyarrow as pa

import leman


def numbers(rows: int) -> pa.Table:
    """Return x = 0, 1, 2, … and a text."""
    return pa.table({"x": pa.array(range(rows), pa.int64()), "text": ["t" * (i % 13) for i in range(rows)]})


def main() -> None:
    """Run a backfill of each column, and print how the last one ended."""
    request = json.loads(sys.argv[1])
    db = leman.connect(**request["connect"])
    if "rows" in request and request["table"] not in db.table_names():
        rows = request["rows"]
        db.create_table(request["table"], numbers(rows), max_rows_per_file=rows // request["fragments"])
    table = db.open_table(request["table"])
    columns = request["columns"]
    functions = [getattr(cluster_functions, name) for name in request["functions"]]
    functions *= len(columns) // len(functions)
    for column, function in zip(columns, functions, strict=True):
        if column not in table.schema.names:
            table.add_columns({column: function})
    started_s = time.time()
    told = {}
    with leman.ray_cluster(**request["cluster"]):
        connected_s = time.time()
        try:
            for column in columns:
                told = table.backfill(column, progress=True, **request["backfill"]).as_dict()
        except leman.LemanError as error:
            told = {"error": str(error), "error_type": type(error).__name__, "status": "FAILED", "job_id": error.job_id}
    if "rows" in request:
        told["values"] = table.to_lance().to_table([columns[-1]]).column(0).to_pylist()
    told["connect_s"], told["job_s"] = connected_s - started_s, time.time() - connected_s
    print("OUTCOME " + json.dumps(told))


if __name__ == "__main__":
    main()
