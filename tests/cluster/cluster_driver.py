"""The driver of one job, or of several in a row.

Its argument is a JSON object: db, table, columns, functions (one for all columns, or one each), cluster, backfill.
"""

from __future__ import annotations

import json
import sys
import time

import cluster_functions

import leman


def main() -> None:
    """Run a backfill of each column, and print how the last one ended."""
    request = json.loads(sys.argv[1])
    table = leman.connect(request["db"]).open_table(request["table"])
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
    told["connect_s"], told["job_s"] = connected_s - started_s, time.time() - connected_s
    print("OUTCOME " + json.dumps(told))


if __name__ == "__main__":
    main()
