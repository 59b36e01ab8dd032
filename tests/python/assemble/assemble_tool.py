"""The tool that carries out assemblies, as one process for all tests."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


class AssembleError(Exception):
    """The engine refused or failed; `kind` is the name of its error kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class Assembled:
    way: str
    rows: int
    size_bytes: int
    copied_bytes: int
    columns: int
    version: str


class Engine:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stitch(
        self,
        output: Path,
        parts: list[tuple[Path, int]],
        threads: int = 1,
        coalesce_below: int = 0,
        verify: bool = True,
    ) -> Assembled:
        """Assemble `parts` (path and number of rows) without ever encoding again."""
        words, start = [], 0
        for path, rows in parts:
            words += [str(path), str(start), str(start + rows)]
            start += rows
        answer = self._ask("stitch", str(output), str(start), str(threads), str(coalesce_below), "01"[verify], *words)
        rows, size_bytes, copied_bytes, columns = map(int, answer[1:5])
        return Assembled(answer[0], rows, size_bytes, copied_bytes, columns, f"{answer[5]}.{answer[6]}")

    def compare_tail(self, path: Path) -> None:
        self._ask("tail", str(path))

    def _ask(self, *words: str) -> list[str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "leman_assemble_check ended"
        status, *rest = line.rstrip("\n").split("\t")
        if status == "ok":
            return rest
        raise AssembleError(rest[0], "\t".join(rest[1:]))


def find_tool() -> Path | None:
    """The newest that was built, or the one that LEMAN_ASSEMBLE_CHECK names."""
    named = os.environ.get("LEMAN_ASSEMBLE_CHECK")
    if named:
        return Path(named)
    found = sorted(_ROOT.glob("build*/leman_assemble_check"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None
