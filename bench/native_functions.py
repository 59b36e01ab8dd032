"""The straightforward Python functions that `make bench-native` puts beside native ones, and their inputs."""

from __future__ import annotations

import hashlib
import io
import random
import re
import unicodedata

import numpy as np
import pyarrow as pa

PATTERN = "([a-z]{7}) [a-z]{3}"
CONSTANT = [round(float(x), 4) for x in np.random.default_rng(7).normal(size=384)]
_COMPILED = re.compile(PATTERN)
_TOKEN = re.compile(r"\w+")
_SIGNATURES = {
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"%PDF": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
}
_HASH_ANGLES = np.pi * np.arange(8)[:, None] * (2 * np.arange(32) + 1)[None, :] / 64


def inputs() -> dict[str, pa.Array]:
    """Columns of every kind; the same on every machine."""
    source = random.Random(7)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(2_000)]
    texts = [" ".join(source.choices(words, k=source.randint(20, 45))) for _ in range(51_200)]
    accents = [text.replace("e", "e\u0301").replace("x", "ﬁ") for text in texts[:10_240]]
    vectors = np.random.default_rng(7).normal(size=(10_240, 384)).astype(np.float32)
    return {
        "texts": pa.array(texts, pa.string()),
        "accents": pa.array(accents, pa.string()),
        "vectors": pa.array(list(vectors), pa.list_(pa.float32())),
        "images": pa.array([_picture(seed) for seed in range(20)] * 10, pa.binary()),
    }


def _picture(seed: int) -> bytes:
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 256, size=(12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def byte_count(text: str) -> int:
    return len(text.encode())


def char_count(text: str) -> int:
    return len(text)


def word_count(text: str) -> int:
    return len(text.split())


def token_count(text: str) -> int:
    return len(_TOKEN.findall(text))


def lower(text: str) -> str:
    return text.lower()


def normalize_space(text: str) -> str:
    return " ".join(text.split())


def normalize_unicode(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def regex_extract(text: str) -> str:
    found = _COMPILED.search(text)
    return found[1] if found else ""


def regex_count(text: str) -> int:
    return len(_COMPILED.findall(text))


def minhash(text: str) -> list[int]:
    words = text.split()
    shingles = [hash(" ".join(words[i : i + 3])) & 0xFFFFFFFF for i in range(max(1, len(words) - 2))]
    return [min((shingle * (2 * seed + 1) + seed) & 0xFFFFFFFF for shingle in shingles) for seed in range(32)]


def simhash(text: str) -> int:
    words = text.split()
    hashes = [hash(" ".join(words[i : i + 3])) for i in range(max(1, len(words) - 2))]
    return sum(1 << bit for bit in range(62) if 2 * sum(one >> bit & 1 for one in hashes) > len(hashes))


def blake2(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "little")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def l2_norm(vector: list[float]) -> float:
    return sum(value * value for value in vector) ** 0.5


def l2_normalize(vector: list[float]) -> list[float]:
    norm = sum(value * value for value in vector) ** 0.5
    return [value / norm for value in vector]


def quantize_int8(vector: list[float]) -> list[int]:
    return [round(max(-1.0, min(1.0, value)) * 127) for value in vector]


def dot(vector: list[float]) -> float:
    return sum(a * b for a, b in zip(vector, CONSTANT, strict=True))


def mime_type(data: bytes) -> str:
    return next((kind for signature, kind in _SIGNATURES.items() if data.startswith(signature)), "")


def image_size(data: bytes) -> list[int]:
    from PIL import Image

    return list(Image.open(io.BytesIO(data)).size)


def perceptual_hash(data: bytes) -> int:
    from PIL import Image

    grey = Image.open(io.BytesIO(data)).convert("L").resize((32, 32), Image.Resampling.BILINEAR)
    cosines = np.cos(_HASH_ANGLES)
    strengths = cosines @ np.asarray(grey, dtype=float) @ cosines.T
    bits = (strengths > np.median(strengths)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big") >> 1  # an int64


def resized_pixels(data: bytes) -> bytes:
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR).tobytes()
