"""Filling only some rows, only the new ones, and all of them again with a better function."""

import leman


@leman.udf(version="1")
def discount(price: float) -> float:
    return round(price * 0.9, 2)


@leman.udf(version="2")
def better_discount(price: float) -> float:
    return round(price * 0.8, 2)


def column(table: leman.Table) -> list[float | None]:
    return table.to_arrow()["discounted"].to_pylist()


def main() -> None:
    db = leman.connect("./db")
    goods = [{"kind": kind, "price": price} for kind, price in (("book", 10.0), ("pen", 2.0), ("book", 30.0))]
    table = db.create_table("goods", goods, mode="overwrite")
    table.add_columns({"discounted": discount})

    print("only books:     ", table.backfill("discounted", where="kind = 'book'", concurrency=1).rows_computed, "rows")
    assert column(table) == [9.0, None, 27.0]

    print("the rest:       ", table.backfill("discounted", concurrency=1).rows_computed, "rows")
    assert column(table) == [9.0, 1.8, 27.0]

    table.add([{"kind": "pen", "price": 4.0}])
    print("appended rows:  ", table.backfill("discounted", concurrency=1).rows_computed, "row")
    assert column(table) == [9.0, 1.8, 27.0, 3.6]

    print("nothing to do:  ", table.backfill("discounted", concurrency=1).rows_computed, "rows")

    table.alter_columns({"path": "discounted", "udf": better_discount, "input_columns": ["price"]})
    print("a new function: ", table.backfill("discounted", where="kind = 'book'", concurrency=1).rows_computed, "books")
    assert column(table) == [8.0, 1.8, 24.0, 3.6]  # Rows that were not selected keep their value.

    print("and the others: ", table.backfill("discounted", concurrency=1).rows_computed, "rows")
    assert column(table) == [8.0, 1.6, 24.0, 3.2]


if __name__ == "__main__":
    main()
