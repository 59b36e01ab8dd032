"""The functions of the demo: five kinds, each plain Python that can be called and tested without a table."""

import ast
import io
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import leman

WIDTH = 256
_GRAMS = 1 << 18
_SIGNS = np.random.default_rng(5).choice(np.array([-1.0, 1.0], np.float32), _GRAMS)


@leman.udf
def n_words(text: str) -> int:
    """A scalar function: one row in, one value out; the column's type comes from the annotations."""
    return len(text.split())


@leman.udf(data_type=pa.float64())
def comment_share(text: pa.Array) -> pa.Array:
    """A batch function: a whole Arrow array in, one out, without a Python object for any row."""
    comments = pc.count_substring_regex(text, r"\n[ \t]*#")
    lines = pc.add(pc.count_substring(text, "\n"), 1)
    return pc.divide(pc.cast(comments, pa.float64()), pc.cast(lines, pa.float64()))


@leman.udf
class ImportFinder:
    """A stateful function: made once in each worker, so that what is costly to make is made once."""

    def __init__(self) -> None:
        self.known = sys.stdlib_module_names

    def __call__(self, text: str) -> list[str] | None:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return None
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
        return sorted(found & self.known)


@leman.udf(data_type=pa.list_(pa.float32(), WIDTH))
def embedding(path: pa.Array, text: pa.Array) -> pa.Array:
    """A numpy-heavy batch function: which runs of 3 and 4 characters a text has, hashed to a vector of length 1."""
    calls = os.environ.get("LEMAN_DEMO_CALLS")
    if calls:  # The demo counts calls to show what a crash costs.
        with open(calls, "a") as file:
            file.write("".join(f"{name}\n" for name in path.to_pylist()))
    rows = np.zeros((len(text), WIDTH), np.float32)
    for i, value in enumerate(text):
        data = np.frombuffer(value.as_buffer(), np.uint8).astype(np.uint32)
        grams = data
        for length in (2, 3, 4):
            if len(data) < length:
                break
            grams = grams[:-1] * 31 + data[length - 1 :]
            if length > 2:
                hashes = (grams * np.uint32(2654435761)) >> np.uint32(14)
                weights = np.log1p(np.bincount(hashes, minlength=_GRAMS), dtype=np.float32) * _SIGNS
                rows[i] += weights.reshape(-1, WIDTH).sum(axis=0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), WIDTH)


@leman.udf(
    data_type=pa.struct(
        {
            "width": pa.int32(),
            "height": pa.int32(),
            "brightness": pa.float32(),
            "colourfulness": pa.float32(),
            "hash": pa.string(),
        }
    )
)
def look(image: bytes) -> dict | None:
    """A function with a struct as its result: size, brightness, colourfulness and a perceptual hash of a picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(image))
        colours = np.asarray(picture.convert("RGB"), np.float32) / 255
    except UnidentifiedImageError:
        return None
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean())
    small = np.asarray(picture.convert("L").resize((9, 8)), np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return {
        "width": picture.width,
        "height": picture.height,
        "brightness": float(colours.mean()),
        "colourfulness": float(spread),
        "hash": bits.tobytes().hex(),
    }
