"""Every path of this repository that a Markdown file names, in backticks or as a link, exists."""

from __future__ import annotations

import posixpath
import re

from .checkout import Checkout

# A path in backticks counts as one of ours when it begins with one of these or with a room of src/.
TOP_FOLDERS = ("bench", "cmake", "console", "deploy", "docs", "examples", "include", "python", "requirements")
TOP_FOLDERS += ("src", "tests", "tools")
_CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1", re.S | re.M)
_BACKTICKS = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"[\w.\-]+(?:/[\w.\-]+)*/?")


def _exists(known: set[str], folders: set[str], path: str) -> bool:
    path = posixpath.normpath(path)
    return path in known or path in folders or path == "."


def _backtick_path(token: str, rooms: set[str]) -> str | None:
    """The repository path that a token in backticks names, if it names one."""
    token = re.sub(r"(::[\w:\[\]-]+|:\d+)$", "", token)
    if not _PATH.fullmatch(token):
        return None
    top = token.split("/")[0]
    if "/" in token and top in TOP_FOLDERS:
        return token
    if "/" in token and top in rooms and "." in token:
        return f"src/{token}"
    if re.fullmatch(r"[A-Z]+\.md|\.ci/\w+", token):
        return token
    return None


def check(checkout: Checkout) -> list[str]:
    known = set(checkout.files)
    folders = {posixpath.dirname(file) for file in known}
    folders |= {parent for folder in folders for parent in _parents(folder)}
    rooms = {folder.split("/")[1] for folder in folders if folder.startswith("src/")}
    problems = []
    for file in checkout.with_suffix(".md"):
        text = _CODE_BLOCK.sub("", checkout.text(file))
        here = posixpath.dirname(file)
        for token in dict.fromkeys(_BACKTICKS.findall(text)):
            path = _backtick_path(token, rooms)
            if path and not _exists(known, folders, path) and not _exists(known, folders, posixpath.join(here, path)):
                problems.append(f"{file}: `{token}` does not exist")
        for target in dict.fromkeys(_LINK.findall(text)):
            path = target.split("#")[0]
            elsewhere = not path or "://" in target or target.startswith("mailto:")
            if not elsewhere and not _exists(known, folders, posixpath.join(here, path)):
                problems.append(f"{file}: the link to {target} leads nowhere")
    return problems


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
