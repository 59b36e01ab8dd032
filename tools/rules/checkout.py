"""The files of a checkout that the rules are about."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A folder and its files: those that git has or would take; all but hidden ones where there is no git."""

    root: Path
    files: tuple[str, ...]

    @staticmethod
    def at(root: Path) -> Checkout:
        listing = None
        if (root / ".git").exists():
            command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        else:
            listing = [str(path.relative_to(root)) for path in root.rglob("*")]
        files = {name for name in listing if name and (root / name).is_file()}
        return Checkout(root, tuple(sorted(files)))

    def text(self, file: str) -> str:
        return (self.root / file).read_text(encoding="utf-8", errors="replace")

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [file for file in self.files if file.endswith(suffixes)]
