"""The smallest job: a table, a function, a column filled with it."""

import leman


@leman.udf
def shout(name: str) -> str:
    return name.upper() + "!"


if __name__ == "__main__":
    db = leman.connect("./db")
    table = db.create_table("people", {"name": ["Ada", "Grace", "Edsger"]}, mode="overwrite")
    table.add_columns({"greeting": shout})
    result = table.backfill("greeting", concurrency=1)
    print(f"job {result}: {result.status}, {result.rows_computed} rows computed")
    print(table.to_arrow().to_pylist())
    assert table.to_arrow()["greeting"].to_pylist() == ["ADA!", "GRACE!", "EDSGER!"]
    assert shout("Alan") == "ALAN!"  # A UDF stays a plain function.
