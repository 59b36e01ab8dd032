"""The built-in functions that stand on libraries of the system: RE2, xxHash, utf8proc, libmagic, and image codecs."""

from __future__ import annotations

import io
import random
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from native_library import called

import leman
from leman import builtin_libraries


def picture(width: int = 80, height: int = 60, mode: str = "RGB") -> Any:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(3).integers(0, 256, size=(8, 8, 4), dtype=np.uint8)
    return image.fromarray(pixels).resize((width, height), image.Resampling.BICUBIC).convert(mode)


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_regular_expressions() -> None:
    texts = ["id 17, id 4", "none", "", None, "id 99999999999 Grüße"]
    assert called("regex_extract", texts, pa.string(), pattern=r"id (\d+)") == ["17", None, None, None, "99999999999"]
    assert called("regex_extract", texts, pa.string(), pattern=r"id (\d+)", group=0)[0] == "id 17"
    assert called("regex_extract", texts, pa.string(), pattern=r"(?P<w>\w+) (?P<n>\d+)", group="n")[0] == "17"
    for pattern in (r"\d", r"\d*", "ß|e$", "(?i)ID"):
        found = called("regex_count", texts, pa.string(), pattern=pattern)
        assert found == [None if text is None else len(re.findall(pattern, text)) for text in texts], pattern


@pytest.mark.parametrize(
    "pattern",
    [
        ".",
        ".b",
        "[ab]+",
        "[ab]+?",
        "[a-z]*?b",
        "(?:[ab]|c)",
        "([ab] ?){2}",
        r"\w+ \w",
        r"(\w)(\d?)",
        "[äö]|a.",
        "[a-c]*",
        r"\wb\b",
    ],
)
def test_matches_are_counted_as_in_python(pattern: str) -> None:
    source = random.Random(7)
    texts = ["".join(source.choices("abc 1", k=source.randint(0, 60))) for _ in range(300)]
    if "\\" not in pattern:  # RE2's classes are ASCII's
        texts += ["".join(source.choices("abäö\n ", k=source.randint(0, 60))) for _ in range(300)]
    assert called("regex_count", texts, pa.string(), pattern=pattern) == [
        len(re.findall(pattern, text)) for text in texts
    ]


def test_wrong_patterns_are_refused_at_the_call() -> None:
    called("regex_count", [], pa.string(), pattern="x")  # skips where there is no RE2
    with pytest.raises(ValueError, match=r"pattern='\(': missing \): \(; expected a regular expression of RE2"):
        leman.builtin_udf("regex_extract", pattern="(")
    with pytest.raises(ValueError, match="the parameter pattern is missing"):
        leman.builtin_udf("regex_extract")
    with pytest.raises(ValueError, match="group=2: expected an integer from 0 to 1"):
        leman.builtin_udf("regex_extract", pattern="(a)", group=2)
    with pytest.raises(ValueError, match="group='n': the pattern has no such group"):
        leman.builtin_udf("regex_extract", pattern="(a)", group="n")


def test_xxh3_is_that_of_its_specification() -> None:
    # The values of `printf '' | xxhsum -H3` and `printf abc | xxhsum -H3`.
    assert called("xxh3_64", ["", "abc", None], pa.string()) == [0x2D06800538D394C2, 0x78AF5F94892F3950, None]


def test_case_and_normal_forms_of_unicode() -> None:
    texts = ["ÄÖÜ", "ΑΒΓ", "ПРИВЕТ", "ȺȾ" * 50, "ABC xyz", "", None, "中文 Ａ"]
    assert called("lower", texts, pa.string()) == [None if text is None else text.lower() for text in texts]
    mixed = ["ﬁ é é", "Å", "abc", "", None, "각"]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        expected = [None if text is None else unicodedata.normalize(form, text) for text in mixed]
        assert called("normalize_unicode", mixed, pa.string(), form=form) == expected
    with pytest.raises(ValueError, match='form="NFX": expected one of NFC, NFD, NFKC, NFKD'):
        leman.builtin_udf("normalize_unicode", form="NFX")


def test_every_code_point_and_normal_form() -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    lower = called("lower", every, pa.string())
    # Python's and utf8proc's Unicode may be of different versions; "İ" is two code points to Python.
    assert sum(made != text.lower() for text, made in zip(every, lower, strict=True)) < 100
    source = random.Random(1)
    # Without U+11A7, which is no letter and which utf8proc 2.8 takes for the end of a syllable.
    blocks = ((0x20, 0x7F), (0x300, 0x370), (0xC0, 0x250), (0x1100, 0x11A7), (0xAC00, 0xAC80), (0xFB00, 0xFB07))
    letters = [chr(source.randrange(*source.choice(blocks))) for _ in range(2000)]
    texts = ["".join(source.choices(letters, k=source.randint(0, 30))) for _ in range(5000)]
    for form in ("NFC", "NFKD"):
        expected = [unicodedata.normalize(form, text) for text in texts]
        assert called("normalize_unicode", texts, pa.string(), form=form) == expected


def test_file_types() -> None:
    files = [b"%PDF-1.7\n", b"hello\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, None]
    types = called("file_type", files, pa.binary())
    assert types[0] == "application/pdf" and types[1] == "text/plain" and types[3] is None


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "L", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
    ],
)
def test_pixels_are_those_of_another_decoder(kind: str, mode: str, options: dict[str, Any]) -> None:
    image = pytest.importorskip("PIL.Image")
    data = encoded(picture(mode=mode), kind, **options)
    opened = image.open(io.BytesIO(data))
    if opened.has_transparency_data:
        opened = image.alpha_composite(image.new("RGBA", opened.size, "white"), opened.convert("RGBA"))
    expected = np.asarray(opened.convert("RGB").resize((32, 20), image.Resampling.BILINEAR)).astype(int)
    (pixels,) = called("resized_pixels", [data], pa.binary(), width=32, height=20)
    difference = np.abs(np.frombuffer(pixels, np.uint8).reshape(20, 32, 3) - expected)
    assert difference.max() <= 4 and difference.mean() < 1.0


def test_hashes_are_near_for_near_images() -> None:
    base = picture(400, 300)
    files = [encoded(base, "PNG"), encoded(base, "JPEG", quality=40), encoded(base.resize((200, 150)), "WEBP")]
    files += [encoded(picture(400, 300).rotate(90), "PNG")]
    one, two, three, other = called("perceptual_hash", files, pa.binary())
    assert (one ^ two).bit_count() <= 4 and (one ^ three).bit_count() <= 4 < 16 < (one ^ other).bit_count()


def test_broken_large_and_other_files() -> None:
    whole = {kind: encoded(picture(), kind) for kind in ("PNG", "JPEG", "WEBP")}
    assert called("perceptual_hash", [b"GIF89a\x01\0\x01\0\0\0", b"text", b"", None], pa.binary()) == [None] * 4
    for kind, data in whole.items():
        with pytest.raises(leman.NativeFunctionError, match=f"(?i)a broken {kind}"):
            called("perceptual_hash", [data[: len(data) // 2]], pa.binary())
        with pytest.raises(leman.NativeFunctionError, match="an image of 80 × 60 pixels; max_pixels is 4799"):
            called("perceptual_hash", [data], pa.binary(), max_pixels=4799)
    # A header that promises 2^31 × 2^31 pixels takes no memory.
    bomb = bytearray(whole["PNG"])
    bomb[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(leman.NativeFunctionError, match="max_pixels is 100000000"):
        called("resized_pixels", [bytes(bomb)], pa.binary())


def test_what_the_build_left_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin_libraries, "__file__", str(tmp_path / "python" / "leman" / "x.py"))
    with pytest.raises(FileNotFoundError, match=r"'regex_extract' is not in this installation.*libre2-dev"):
        leman.builtin_udf("regex_extract", pattern="a")
