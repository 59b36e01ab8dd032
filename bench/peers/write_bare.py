"""No engine: two processes make the same bytes and write each half to a file. Usage: WORK ROWS FOLDER plain|lance."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from write_functions import WORKS


def write_half(work, start, end, target, way):
    if way == "lance":
        from lance.file import LanceFileWriter

        schema = pa.schema([pa.field("y", work.type)])
        with LanceFileWriter(str(target), schema) as writer:
            for values in work.arrays(start, end):
                writer.write_batch(pa.RecordBatch.from_arrays([values], schema=schema))
        return
    with open(target, "wb", buffering=0) as file:
        if work.scalar:
            for row in range(start, end):
                file.write(work.function(row))
            return
        for values in work.arrays(start, end):
            file.write((values.values if pa.types.is_fixed_size_list(values.type) else values).buffers()[-1])


def main() -> None:
    name, rows, folder, way = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    if len(sys.argv) > 5:
        part = int(sys.argv[5])
        write_half(WORKS[name], rows * part // 2, rows * (part + 1) // 2, folder / f"part-{part}", way)
        return
    children = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:], str(part)]) for part in range(2)]
    sys.exit(max(child.wait() for child in children))


main()
