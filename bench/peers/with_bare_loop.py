"""No engine at all: read the batches, call the function, write one Lance file. Usage: WORKLOAD TABLE."""

import sys

import workloads


def fill(workload: workloads.Workload, table: str, target: str, part: int = 0, parts: int = 1) -> None:
    """Reads every `parts`-th fragment of the table from number `part` on, and writes the new column to `target`."""
    import lance
    import lance.file
    import pyarrow as pa

    if workload.function == "scalar":
        from scalar_functions import add_one

        value_type = pa.int64()

        def function(x):
            return pa.array([add_one(value) for value in x.to_pylist()], pa.int64())

    elif workload.function == "array":
        from batch_functions import add_one_array as function

        value_type = pa.int64()
    else:
        from batch_functions import EMBEDDING_TYPE as value_type
        from batch_functions import embed as function

    dataset = lance.dataset(table)
    fragments = dataset.get_fragments()[part::parts]
    schema = pa.schema([("y", value_type)])
    with lance.file.LanceFileWriter(target, schema) as writer:
        if fragments:
            scanner = dataset.scanner(
                columns=[workload.input_column], fragments=fragments, batch_size=10240, scan_in_order=True
            )
            for batch in scanner.to_batches():
                writer.write_batch(pa.RecordBatch.from_arrays([function(batch.column(0))], schema=schema))


if __name__ == "__main__":
    fill(workloads.WORKLOADS[sys.argv[1]], sys.argv[2], sys.argv[2] + ".bare-loop")
