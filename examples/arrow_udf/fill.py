"""Fill a column by a function written with Arrow C++: ``python fill.py build/libarrow_functions.so``."""

import sys

import pyarrow as pa

import leman

words = pa.array([["to", "be"], [], None, ["or", None, "not"]], pa.list_(pa.string()))
table = leman.connect("arrow-db").create_table("texts", pa.table({"words": words}))
table.add_columns({"joined": leman.native_udf(sys.argv[1], "join_words")})
table.backfill("joined")
joined = table.to_arrow()["joined"].to_pylist()
print(joined)
assert joined == ["to-be", "", None, "or-not"], joined
