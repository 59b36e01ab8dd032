"""Pictures as bytes in, a struct and a vector out: decode once a row, several results in one column."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pyarrow as pa

import leman


@leman.udf(data_type=pa.struct({"width": pa.int32(), "height": pa.int32(), "thumbnail": pa.list_(pa.uint8(), 256)}))
def measure(image: bytes) -> dict:
    from PIL import Image

    picture = Image.open(io.BytesIO(image))
    small = np.asarray(picture.convert("L").resize((16, 16)), np.uint8)
    return {"width": picture.width, "height": picture.height, "thumbnail": small.ravel()}


class Likeness:
    """Distance to one picture, which each worker prepares once."""

    def __init__(self, thumbnail: bytes) -> None:
        self.reference = np.frombuffer(thumbnail, np.uint8).astype(np.float32)

    def __call__(self, thumbnails: pa.Array) -> pa.Array:
        rows = thumbnails.flatten().to_numpy().reshape(len(thumbnails), -1).astype(np.float32)
        return pa.array(np.abs(rows - self.reference).mean(axis=1))


def main() -> None:
    spec = importlib.util.find_spec("skimage")
    assert spec and spec.origin, "needs scikit-image, for its pictures: pip install scikit-image"
    files = sorted((Path(spec.origin).parent / "data").glob("*.png"))
    db = leman.connect("./db")
    data = pa.table({"name": [file.name for file in files], "image": [file.read_bytes() for file in files]})
    table = db.create_table("pictures", data, mode="overwrite", max_rows_per_file=8)

    table.add_columns({"seen": measure})
    table.backfill("seen", concurrency=2)

    reference = table.to_lance().to_table(["seen"], filter="name = 'coins.png'")["seen"][0]["thumbnail"].as_py()
    likeness = leman.udf(data_type=pa.float32())(Likeness)(bytes(reference))
    table.add_columns({"distance": (likeness, ["seen.thumbnail"])})
    table.backfill("distance", concurrency=2)

    rows = table.to_lance().to_table(["name", "seen.width", "seen.height", "distance"]).to_pylist()
    for row in sorted(rows, key=lambda row: row["distance"])[:5]:
        print(row)
    assert min(rows, key=lambda row: row["distance"])["name"] == "coins.png"


if __name__ == "__main__":
    main()
