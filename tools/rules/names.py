"""No file or folder is named after nothing: util, helper, common, misc, manager, alone or as a part of a name."""

from __future__ import annotations

import re

from .checkout import Checkout

_EMPTY_WORDS = {"util", "helper", "common", "misc", "manager"}
_EMPTY_WORDS |= {f"{word}s" for word in _EMPTY_WORDS} | {"utility", "utilities"}


def check(checkout: Checkout) -> list[str]:
    problems = []
    for file in checkout.files:
        for part in file.split("/"):
            words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).lower())
            if empty := sorted(_EMPTY_WORDS.intersection(words)):
                problems.append(f'{file}: "{part}" says nothing with "{empty[0]}"; name what is in it')
                break
    return problems
