"""The rules of this repository that no compiler checks; each module has a function check(files) -> problems."""

from __future__ import annotations

from pathlib import Path

from . import documents, names, rooms, sizes
from .checkout import Checkout


def check_all(root: Path) -> list[str]:
    """Every problem found in the checkout at `root`, as lines that begin with the file's path."""
    checkout = Checkout.at(root)
    problems: list[str] = []
    for rule in (rooms, sizes, names, documents):
        problems += rule.check(checkout)
    return problems
