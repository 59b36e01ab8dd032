"""The source of a function or class as tokens, without what does not change its meaning."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable
from typing import Any

_LAYOUT = frozenset((tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER))
_Position = tuple[int, int]


def source_tokens(target: Any, is_ignored_decorator: Callable[[str], bool]) -> list[str] | None:
    """Return the tokens of a function or class, or None where its source is not to be had.

    Left out: comments, blank lines, the width of indents, docstrings, and the decorators of the outermost
    definition for which ``is_ignored_decorator`` (given the dotted name) is true.
    """
    try:
        # By its code object: getsource() of a decorated function gives the one inside instead.
        source = textwrap.dedent(inspect.getsource(getattr(target, "__code__", target)))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if getattr(target, "__name__", "") == "<lambda>":
        return _lambda_tokens(source, tree)
    if len(tree.body) != 1:
        return None
    left_out = _docstrings(tree) + _decorators(source, tree.body[0], is_ignored_decorator)
    return _tokens(source, left_out)


def _lambda_tokens(source: str, tree: ast.AST) -> list[str] | None:
    lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    # With two lambdas on a line there is no telling which one was meant.
    if len(lambdas) != 1:
        return None
    segment = ast.get_source_segment(source, lambdas[0])
    return None if segment is None else _tokens(f"({segment})", [])


def _docstrings(tree: ast.AST) -> list[tuple[_Position, _Position]]:
    spans = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                spans.append(_span(first))
    return spans


def _decorators(source: str, node: ast.stmt, is_ignored: Callable[[str], bool]) -> list[tuple[_Position, _Position]]:
    spans = []
    for decorator in getattr(node, "decorator_list", []):
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if is_ignored(ast.get_source_segment(source, called) or ""):
            start, end = _span(decorator)
            # The "@" stands before the expression, on the same line.
            line = source.splitlines()[start[0] - 1]
            spans.append(((start[0], line.index("@")), end))
    return spans


def _span(node: ast.expr | ast.stmt) -> tuple[_Position, _Position]:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def _tokens(source: str, left_out: list[tuple[_Position, _Position]]) -> list[str] | None:
    lines = source.splitlines(keepends=True)
    # ast counts columns in UTF-8 bytes, tokenize in characters.
    spans = [(_in_characters(lines, start), _in_characters(lines, end)) for start, end in left_out]
    result: list[str] = []
    format_string_start: _Position | None = None
    depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            kind = tokenize.tok_name[token.type]
            if any(start <= token.start and token.end <= end for start, end in spans):
                continue
            # Python 3.12 splits f-strings into many tokens; one whole string is what older ones give.
            if kind == "FSTRING_START":
                format_string_start = token.start if depth == 0 else format_string_start
                depth += 1
            elif kind == "FSTRING_END":
                depth -= 1
                if depth == 0 and format_string_start is not None:
                    result.append(_text_between(lines, format_string_start, token.end))
            elif depth == 0 and token.type not in _LAYOUT:
                result.append({"NEWLINE": "\n", "INDENT": "{", "DEDENT": "}"}.get(kind, token.string))
    except (tokenize.TokenError, IndentationError):
        return None
    return _without_empty_lines(result)


def _without_empty_lines(tokens: list[str]) -> list[str]:
    kept: list[str] = []
    for token in tokens:
        # A removed docstring or decorator leaves its line end behind.
        if token != "\n" or (kept and kept[-1] not in ("\n", "{")):
            kept.append(token)
    return kept


def _in_characters(lines: list[str], position: _Position) -> _Position:
    line, column = position
    return line, len(lines[line - 1].encode()[:column].decode(errors="ignore"))


def _text_between(lines: list[str], start: _Position, end: _Position) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])
