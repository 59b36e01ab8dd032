"""Includes between the rooms of src/ obey the table of src/README.md, which CMakeLists.txt repeats; no include cycle.

Tests and fakes (`*_test.cc`, `testing/`) may use every room above their own.
"""

from __future__ import annotations

import posixpath
import re

from .checkout import Checkout

TABLE_FILE = "src/README.md"
_ROW = re.compile(r"^\|\s*`?([a-z_]+)`?\s*\|[^|]*\|\s*([^|]*?)\s*\|\s*$", re.M)
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
_CMAKE_ROOM = re.compile(r"^\s*leman_room\((\w+)(?:\s+DEPENDS\s+([^)]*))?\)", re.M)


def room_table(text: str) -> dict[str, list[str]]:
    """Room -> rooms it may include, in the table's order."""
    table: dict[str, list[str]] = {}
    for name, allowed in _ROW.findall(text):
        if name != "room":
            table[name] = [] if allowed in ("–", "-") else [part.strip(" `") for part in allowed.split(",")]
    return table


def _table_problems(table: dict[str, list[str]]) -> list[str]:
    problems, seen = [], set()
    for room, allowed in table.items():
        for other in allowed:
            if other not in seen:
                problems.append(f"{TABLE_FILE}: {room} may include {other}, which is no room above it")
        seen.add(room)
    return problems


def _is_for_tests(file: str) -> bool:
    return file.endswith(("_test.cc", "_fuzzer.cc")) or "/testing/" in file


def _rooms_above(table: dict[str, list[str]], room: str) -> list[str]:
    return list(table)[: list(table).index(room)]


def _include_problems(table: dict[str, list[str]], graph: dict[str, list[str]]) -> list[str]:
    problems = []
    for file, targets in graph.items():
        room = file.split("/")[1]
        if room not in table:
            problems.append(f"{file}: {room} is not a room of {TABLE_FILE}")
            continue
        allowed = (room, *(_rooms_above(table, room) if _is_for_tests(file) else table[room]))
        for target in targets:
            if target.startswith("src/") and (other := target.split("/")[1]) not in allowed:
                problems.append(f"{file}: {room} may not include {other} ({target})")
    return problems


def include_graph(checkout: Checkout) -> tuple[dict[str, list[str]], list[str]]:
    """File of src/ -> files of the checkout it includes; and problems with quoted includes that lead nowhere."""
    known, graph, problems = set(checkout.files), {}, []
    for file in checkout.with_suffix(".h", ".cc"):
        if not file.startswith("src/"):
            continue
        graph[file] = []
        for name in _INCLUDE.findall(checkout.text(file)):
            places = (f"src/{name}", f"include/{name}", posixpath.normpath(f"{posixpath.dirname(file)}/{name}"))
            found = next((place for place in places if place in known), None)
            if found:
                graph[file].append(found)
            else:
                problems.append(f'{file}: #include "{name}" is in neither src/ nor include/')
    return graph, problems


def _cycles(graph: dict[str, list[str]]) -> list[str]:
    problems: list[str] = []
    finished: set[str] = set()

    def visit(file: str, path: list[str]) -> None:
        if file in path:
            problems.append(f"{file}: include cycle: {' -> '.join([*path[path.index(file) :], file])}")
            return
        if file in finished:
            return
        for target in graph.get(file, []):
            visit(target, [*path, file])
        finished.add(file)

    for file in graph:
        visit(file, [])
    return problems


def _cmake_problems(checkout: Checkout, table: dict[str, list[str]]) -> list[str]:
    if "CMakeLists.txt" not in checkout.files:
        return []
    problems = []
    for room, depends in _CMAKE_ROOM.findall(checkout.text("CMakeLists.txt")):
        if room not in table:
            problems.append(f"CMakeLists.txt: {room} is not a room of {TABLE_FILE}")
            continue
        linked, _, for_tests = depends.partition("TESTING_DEPENDS")
        extra = set(linked.split()) - set(table[room])
        extra |= {name.removesuffix("_testing") for name in for_tests.split()} - set(_rooms_above(table, room))
        for other in sorted(extra):
            problems.append(f"CMakeLists.txt: {room} links {other}, which {TABLE_FILE} does not allow")
    return problems


def check(checkout: Checkout) -> list[str]:
    if TABLE_FILE not in checkout.files:
        return [f"{TABLE_FILE}: missing; it holds the table of rooms"]
    table = room_table(checkout.text(TABLE_FILE))
    if not table:
        return [f"{TABLE_FILE}: no table of rooms found"]
    graph, problems = include_graph(checkout)
    return [
        *_table_problems(table),
        *problems,
        *_include_problems(table, graph),
        *_cycles(graph),
        *_cmake_problems(checkout, table),
    ]
