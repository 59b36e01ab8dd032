"""A driver in a process of its own: ``python driver.py DB CALLS add|fill``; credentials come from the environment.

Each call of the function appends its argument to the file CALLS. The function waits while there is a file CALLS.gate
and its argument is at least 200.
"""

from __future__ import annotations

import json
import os
import sys
import time

import leman

CALLS = sys.argv[2]
GATED_FROM = 200


@leman.udf(version="1")
def gated(x: int) -> int:
    """Return ten times ``x``."""
    with open(CALLS, "ab", buffering=0) as file:
        file.write(b"%d\n" % x)
    while os.path.exists(CALLS + ".gate") and x >= GATED_FROM:
        time.sleep(0.01)
    return x * 10


def main() -> None:
    """Fill column y of table ``numbers``, and print how that ended."""
    table = leman.connect(sys.argv[1]).open_table("numbers")
    if "y" not in table.schema.names:
        table.add_columns({"y": gated})
    if sys.argv[3] == "add":
        print("OUTCOME {}")
        return
    try:
        result = table.backfill(
            "y", udf=gated, concurrency=2, batch_size=10, checkpoint_size=25, refresh_status_secs=0.5
        )
        told = result.as_dict()
    except leman.LemanError as error:
        told = {"status": "FAILED", "error": str(error), "error_type": type(error).__name__}
    print("OUTCOME " + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
