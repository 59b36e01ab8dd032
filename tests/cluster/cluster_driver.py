"""The driver of one job; its argument is a JSON object: db, table, column, function, cluster, backfill."""

from __future__ import annotations

import json
import sys
import time

import cluster_functions

import leman


def main() -> None:
    """Run a backfill, and print how it ended."""
    request = json.loads(sys.argv[1])
    table = leman.connect(request["db"]).open_table(request["table"])
    function = getattr(cluster_functions, request["function"])
    if request["column"] not in table.schema.names:
        table.add_columns({request["column"]: function})
    started_s = time.time()
    told = {}
    with leman.ray_cluster(**request["cluster"]):
        connected_s = time.time()
        try:
            result = table.backfill(request["column"], progress=True, **request["backfill"])
            told = result.as_dict()
        except leman.LemanError as error:
            told = {"error": str(error), "error_type": type(error).__name__, "status": "FAILED", "job_id": error.job_id}
    told["connect_s"], told["job_s"] = connected_s - started_s, time.time() - connected_s
    print("OUTCOME " + json.dumps(told))


if __name__ == "__main__":
    main()
