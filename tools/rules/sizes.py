"""No source file over 600 lines, no function over 70 (a Python docstring is not counted)."""

from __future__ import annotations

import ast
import re

from .checkout import Checkout

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
_CODE_SUFFIXES = (".cc", ".h", ".py", ".cmake", ".txt", ".sh", ".js", ".ts", ".html", ".css", ".c")
# What may hide braces from a reader of C++: comments, raw strings, strings, characters, preprocessor lines.
_HIDDEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^\s()\\]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\''
    r"|^[ \t]*#(?:\\\n|[^\n])*",
    re.S | re.M,
)
_AFTER_LABELS = re.compile(r"^\s*((public|protected|private)\s*:\s*)*")
_CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def cpp_functions(text: str) -> list[tuple[int, int]]:
    """(first line, lines) of every function body that lies in a namespace or a class."""
    code = _HIDDEN.sub(_blank, text)
    functions: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []  # What each open brace belongs to, and the line where it began.
    header_start = 0
    for at, char in enumerate(code):
        if char == "{":
            header = code[header_start:at]
            kind = "block"
            if all(kind == "container" for kind, _ in stack):
                before_paren = header.split("(")[0]
                if _CONTAINER.search(before_paren) and not re.search(r"\w\s*\(", header.replace("alignas(", "")):
                    kind = "container"
                elif "(" in header:
                    kind = "function"
            first = header_start + len(header) - len(_AFTER_LABELS.sub("", header))
            stack.append((kind, code.count("\n", 0, first) + 1))
        elif char == "}" and stack:
            kind, first_line = stack.pop()
            if kind == "function":
                functions.append((first_line, code.count("\n", 0, at) + 1 - first_line + 1))
        if char in "{};":
            header_start = at + 1
    return functions


def python_functions(text: str) -> list[tuple[int, int]]:
    """(first line, lines without the docstring) of every function."""
    functions = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            functions.append((node.lineno, lines))
    return functions


def _is_python(checkout: Checkout, file: str) -> bool:
    if file.endswith(".py"):
        return True
    return file.startswith("tools/") and "." not in file and "python" in checkout.text(file).split("\n", 1)[0]


def check(checkout: Checkout) -> list[str]:
    problems = []
    for file in checkout.files:
        is_script = file.startswith((".ci/", "tools/")) and "." not in file.rpartition("/")[2]
        if not (file.endswith(_CODE_SUFFIXES) or is_script):
            continue
        text = checkout.text(file)
        lines = text.count("\n")
        if lines > MAX_FILE_LINES:
            problems.append(f"{file}: {lines} lines; at most {MAX_FILE_LINES}")
        functions: list[tuple[int, int]] = []
        if file.endswith((".cc", ".h")):
            functions = cpp_functions(text)
        elif _is_python(checkout, file):
            functions = python_functions(text)
        problems += [
            f"{file}:{first}: a function of {length} lines; at most {MAX_FUNCTION_LINES}"
            for first, length in sorted(functions)
            if length > MAX_FUNCTION_LINES
        ]
    return problems
