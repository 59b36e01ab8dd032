"""No engine, two processes: each does with_bare_loop.py's work on half of the fragments. Usage: WORKLOAD TABLE."""

import subprocess
import sys

import workloads


def main() -> None:
    name, table = sys.argv[1:3]
    if len(sys.argv) > 3:
        from with_bare_loop import fill

        part = int(sys.argv[3])
        fill(workloads.WORKLOADS[name], table, f"{table}.part-{part}", part, 2)
        return
    children = [subprocess.Popen([sys.executable, __file__, name, table, str(part)]) for part in range(2)]
    codes = [child.wait() for child in children]
    sys.exit(max(codes))


main()
