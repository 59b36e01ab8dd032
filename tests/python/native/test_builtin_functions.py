"""The functions that come with Leman, against plain Python."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from native_library import called

import leman
from leman import cli

TEXTS = [
    "to be or not to be",
    "",
    "  two\twords \n",
    "Grüße, ÄÖÜ — naïve café",
    "中文没有空格 abc",
    "no\u00a0break\u2003em\u3000ideographic",
    None,
    "x" * 10_000,
    " eight  b blocks\x1fof bytes ",
    "1234567 1234567  1234567\n8",
    "é" * 700 + " ",
]


def per_row(values: list[Any], function: Any) -> list[Any]:
    return [None if value is None else function(value) for value in values]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("byte_count", lambda text: len(text.encode())),
        ("char_count", len),
        ("word_count", lambda text: len(text.split())),
        ("normalize_space", lambda text: " ".join(text.split())),
        ("lower_ascii", lambda text: "".join(c.lower() if c.isascii() else c for c in text)),
        ("sha256", lambda text: hashlib.sha256(text.encode()).hexdigest()),
    ],
)
def test_texts_are_as_in_python(name: str, plain: Any) -> None:
    assert called(name, TEXTS, pa.string()) == per_row(TEXTS, plain)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("char_count", len),
        ("lower_ascii", lambda text: "".join(c.lower() if c.isascii() else c for c in text)),
        ("lower", lambda text: text.lower()),
        ("sha256", lambda text: hashlib.sha256(text.encode()).hexdigest()),
    ],
)
def test_whole_batches_of_texts_are_as_in_python(name: str, plain: Any) -> None:
    try:
        function = leman.builtin_udf(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    for odd in (None, "É" * 3, "Ab" * 5000, ""):
        for at in (0, 63, 64, 199):
            rows = [odd if i == at else f"Row {i} " * (i % 40) for i in range(200)]
            for kind in (pa.string(), pa.large_string()):
                column = pa.array(rows, kind)
                assert function.call_batch([column]).to_pylist() == per_row(rows, plain)
                assert function.call_batch([column.slice(3, 195)]).to_pylist() == per_row(rows[3:198], plain)
    assert function.call_batch([pa.array([], pa.string())]).to_pylist() == []


def test_sha256_of_texts_of_every_length_side_by_side() -> None:
    noise = np.random.default_rng(7).integers(0, 256, 70_000, dtype=np.uint8).tobytes()
    function = leman.builtin_udf("sha256", input_columns=["data"])
    sizes = [*range(1100), 70_000, 0, 65_535, 3, 64 * 1000]
    for rows in ([noise[size % 7 : size % 7 + size] for size in sizes], [noise], [noise, b""], [b"", noise[:4096]]):
        digits = function.call_batch([pa.array(rows, pa.binary())]).to_pylist()
        assert digits == [hashlib.sha256(row).hexdigest() for row in rows]


def test_tokens_of_scripts_with_and_without_spaces() -> None:
    assert called("token_count", ["to be, or not!", "中文没有空格 abc", "Grüße", "—…", ""], pa.string()) == [
        4,
        7,
        1,
        0,
        0,
    ]


def test_minhash_estimates_similarity() -> None:
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(words), " ".join(words[100:] + [f"v{i}" for i in range(100)]), "something else"]
    near, far = 0.0, 0.0
    one, two, three = (np.array(row) for row in called("minhash", texts, pa.string(), permutations=512))
    near, far = (one == two).mean(), (one == three).mean()
    shingles = [{tuple(text.split()[i : i + 3]) for i in range(len(text.split()) - 2)} for text in texts[:2]]
    jaccard = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    assert abs(near - jaccard) < 0.1 and far < 0.02
    assert len(called("minhash", ["a"], pa.string())[0]) == 128


def test_simhash_is_near_for_near_texts() -> None:
    base = " ".join(f"word{i}" for i in range(300))
    same, near, far = called("simhash", [base, base + " more", base[::-1]], pa.string())
    assert (same ^ near).bit_count() < 10 < (same ^ far).bit_count()


def test_vectors() -> None:
    kind = pa.list_(pa.float32())
    vectors = [[3.0, 4.0], [0.0, 0.0], None, list(np.linspace(-1, 1, 385))]
    norms = called("l2_norm", vectors, kind)
    assert norms[:3] == [5.0, 0.0, None] and norms[3] == pytest.approx(np.linalg.norm(vectors[3]), rel=1e-5)
    unit = called("l2_normalize", vectors, kind)
    assert unit[:3] == [pytest.approx([0.6, 0.8]), None, None]
    assert math.fsum(value * value for value in unit[3]) == pytest.approx(1.0, abs=1e-5)
    assert called("quantize_int8", [[-2.0, -1.0, 0.0, 0.5, 9.0]], kind) == [[-127, -127, 0, 64, 127]]
    assert called("dot", [[1.0, 2.0, 3.0], None], kind, vector_b=[1, 0.5, 2]) == [8.0, None]
    with pytest.raises(RuntimeError, match="a vector of 2 values; vector_b has 3"):
        called("dot", [[1.0, 2.0]], kind, vector_b=[1, 2, 3])
    fixed = pa.array([[3.0, 4.0]], pa.list_(pa.float32(), 2))
    assert leman.builtin_udf("l2_norm").call_batch([fixed]).to_pylist() == [5.0]


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


IMAGES = {
    "png": png(640, 480),
    "jpeg": b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x01\xe0\x02\x80" + b"\0" * 12,
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0\0\0",
    "bmp": b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, 640, -480) + b"\0" * 8,
    "webp": b"RIFF\0\0\0\0WEBPVP8X" + b"\x0a\0\0\0\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"),
}


def test_headers_of_images() -> None:
    sizes = called("image_size", list(IMAGES.values()), pa.binary())
    assert sizes == [{"format": name, "width": 640, "height": 480} for name in IMAGES]
    types = called("mime_type", [*IMAGES.values(), b"%PDF-1.7", b"hello", b""], pa.binary())
    assert types == [*(f"image/{name}" for name in IMAGES), "application/pdf", None, None]
    cut = [data[:length] for data in IMAGES.values() for length in range(len(data))]
    for size in called("image_size", cut, pa.binary()):
        assert size is None or (size["width"], size["height"]) == (640, 480)


def test_real_pictures() -> None:
    data = pytest.importorskip("skimage").data_dir
    files = [path for path in Path(data).iterdir() if path.suffix in (".png", ".jpg", ".gif")]
    image_open = pytest.importorskip("PIL.Image").open
    for path, size in zip(files, called("image_size", [p.read_bytes() for p in files], pa.binary()), strict=True):
        with image_open(path) as picture:
            assert (size["width"], size["height"], size["format"]) == (*picture.size, picture.format.lower()), path


def test_wrong_names_and_parameters() -> None:
    with pytest.raises(
        ValueError,
        match=r"no built-in function 'word_cuont'\. Did you mean 'word_count'\? There are: .*, regex_extract",
    ):
        leman.builtin_udf("word_cuont")
    with pytest.raises(ValueError, match="function minhash: has no parameter sise; it takes permutations, words"):
        leman.builtin_udf("minhash", sise=3)
    with pytest.raises(ValueError, match="permutations=0: expected an integer from 1 to 4096"):
        leman.builtin_udf("minhash", permutations=0)
    with pytest.raises(ValueError, match="vector_b: expected a list of numbers"):
        leman.builtin_udf("dot")
    with pytest.raises(ValueError, match="function word_count: takes no parameters"):
        leman.builtin_udf("word_count", words=3)


def test_in_a_table_and_on_the_command_line(tmp_path: Path) -> None:
    table = leman.connect(tmp_path / "db").create_table("texts", pa.table({"text": ["a b", None, "c"]}))
    table.add_columns({"n": leman.builtin_udf("word_count")})
    assert table.backfill("n", concurrency=1, progress=False).status == "DONE"
    assert table.to_arrow().column("n").to_pylist() == [2, None, 1]
    arguments = ["add-column", str(tmp_path / "db"), "texts", "m", "--udf", "builtin:minhash(permutations=4)"]
    run = CliRunner().invoke(cli.cli, arguments)
    assert run.exit_code == 0, run.output
    assert table.schema.field("m").type == pa.list_(pa.field("item", pa.uint32()))
