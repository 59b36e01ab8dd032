"""Source lines of functions that are defined in a notebook, for tracebacks of processes that never saw its cells."""

from __future__ import annotations

import linecache
import re

_FRAME = re.compile(r'  File "(?P<file>[^"\n]+)", line (?P<line>\d+), in ')


def with_source_lines(text: str) -> str:
    """Return ``text`` with the source of each frame of a traceback that lacks it, where this process knows it.

    Parameters
    ----------
    text : str
        An error's text that may hold a traceback, as Python writes one.
    """
    lines = text.split("\n")
    complete: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        complete.append(line)
        frame = _FRAME.match(line)
        if frame is not None and not following.startswith("    "):
            source = linecache.getline(frame["file"], int(frame["line"])).strip()
            complete += [f"    {source}"] if source else []
    return "\n".join(complete)
