"""A job whose process is killed, and the same call again: what was acknowledged is not computed a second time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import leman

ROWS = 400
CALLS = Path("calls.txt")


@leman.udf
def slow_square(x: int) -> int:
    time.sleep(0.01)
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(f"{x}\n")
    return x * x


def fill() -> leman.BackfillResult:
    table = leman.connect("./db").open_table("numbers")
    return table.backfill("square", concurrency=2, checkpoint_size=10)


def called() -> list[int]:
    return [int(line) for line in CALLS.read_text().split()] if CALLS.exists() else []


def main() -> None:
    os.environ["CALLS"] = str(CALLS.resolve())
    CALLS.unlink(missing_ok=True)
    db = leman.connect("./db")
    table = db.create_table("numbers", {"x": list(range(ROWS))}, mode="overwrite", max_rows_per_file=ROWS // 4)
    table.add_columns({"square": slow_square})

    driver = subprocess.Popen([sys.executable, __file__, "fill"])
    while len(called()) < ROWS // 2:
        assert driver.poll() is None, "the job ended before it could be killed"
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(1)  # The workers notice and end.
    before = called()
    print(f"killed after {len(before)} of {ROWS} calls")

    result = fill()
    after = called()[len(before) :]
    twice = set(before) & set(after)
    print(f"run again: {result.status}, {len(after)} calls, {len(twice)} of them for rows that were called before")
    # Two workers with checkpoints of 10 rows: at most what was in work, not yet acknowledged, is called again.
    assert len(twice) <= 2 * 10 + 2, twice
    assert table.to_arrow()["square"].to_pylist() == [x * x for x in range(ROWS)]


if __name__ == "__main__":
    if sys.argv[1:] == ["fill"]:
        fill()
    else:
        main()
