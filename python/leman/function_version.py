"""The default version of a user's function: a hash that changes with the code, not with the machine.

Part of it are the function's tokens, defaults, closure values and constructor arguments, and the same of every
function, class and constant of the user's own modules that it refers to, recursively. Installed packages take part by
name only, and so do values of their classes; those that ``value_digest.py`` knows, by what they hold. Where there is no
source (typed into a prompt), bytecode stands in; that hash also depends on Python's minor version.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .own_modules import is_own_module
from .source_tokens import source_tokens
from .value_digest import value_digest

_PLAIN = (bool, int, float, complex, str)
_Digest = Any  # hashlib's type has no public name before Python 3.13


def code_version(target: Any, constructor_arguments: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None) -> str:
    """Return ``auto-`` and 16 hex digits for a function, or for a class with its constructor arguments.

    Parameters
    ----------
    target : function or class
        What the user wrote.
    constructor_arguments : (tuple, mapping), optional
        Positional and keyword arguments of the class.

    Returns
    -------
    str
        Equal for equal code on every machine.
    """
    written = target.func if isinstance(target, functools.partial) else target
    hasher = _Hasher((getattr(written, "__module__", None) or "").split(".")[0])
    hasher.add("target", target)
    if constructor_arguments is not None:
        hasher.add("constructor", constructor_arguments)
    return f"auto-{hasher.hexdigest()[:16]}"


class _Hasher:
    """Feeds values into a digest in a canonical form, each object of code once."""

    def __init__(self, root_package: str = "") -> None:
        # An installed package of the function's own counts as its code too.
        self._root_package = root_package
        self._digest: _Digest = hashlib.sha256()
        # Functions and classes are entered once; of other values, only cycles are cut, since whether two equal
        # constants are one object depends on the interpreter.
        self._code_seen: dict[int, int] = {}
        self._open: set[int] = set()

    def hexdigest(self) -> str:
        return str(self._digest.hexdigest())

    def _is_own(self, module: str | None) -> bool:
        return is_own_module(module) or (bool(module) and str(module).split(".")[0] == self._root_package)

    def add(self, label: str, value: Any) -> None:
        self._write(label)
        self._value(value)

    def _write(self, *parts: str) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            self._digest.update(len(data).to_bytes(8, "little") + data)

    def _value(self, value: Any) -> None:
        if value is None or (isinstance(value, _PLAIN) and type(value).__module__ == "builtins"):
            self._write(type(value).__name__, repr(value))
        elif isinstance(value, (bytes, bytearray)):
            self._write(type(value).__name__, hashlib.sha256(value).hexdigest())
        elif id(value) in self._code_seen:
            self._write("again", str(self._code_seen[id(value)]))
        elif isinstance(value, (types.FunctionType, type)):
            self._code_seen[id(value)] = len(self._code_seen)
            self._compound(value)
        elif id(value) in self._open:
            self._write("cycle")
        else:
            self._open.add(id(value))
            self._compound(value)
            self._open.discard(id(value))

    def _compound(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._write("module", value.__name__ if not self._is_own(value.__name__) else "own")
        elif isinstance(value, enum.Enum):
            self._write("enum", type(value).__qualname__, value.name)
        elif isinstance(value, (set, frozenset)):
            self._write(type(value).__name__, *sorted(_Hasher.of(entry) for entry in value))
        elif isinstance(value, Mapping):
            self._write(type(value).__name__, str(len(value)))
            for key, entry in value.items():
                self._value(key)
                self._value(entry)
        elif isinstance(value, Sequence) and type(value).__module__ in ("builtins", "collections"):
            self._write(type(value).__name__, str(len(value)))
            for entry in value:
                self._value(entry)
        else:
            self._object(value)

    @staticmethod
    def of(value: Any) -> str:
        hasher = _Hasher()
        hasher.add("entry", value)
        return hasher.hexdigest()

    def _object(self, value: Any) -> None:
        cls = type(value)
        self._write("object", cls.__qualname__)
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(value, (functools.partial, functools.partialmethod)):
            self._value([value.func, value.args, value.keywords])
        elif isinstance(value, (types.MethodType, classmethod, staticmethod)):
            self._value(value.__func__)
        elif isinstance(value, property):
            self._value([value.fget, value.fset])
        elif hasattr(value, "leman_version_parts"):
            self._value(value.leman_version_parts())
        elif texts := value_digest(value):
            self._write(*texts)
        elif isinstance(wrapped, types.FunctionType):
            self._value(wrapped)
        elif self._is_own(cls.__module__):
            self._value(cls)
            self._value(getattr(value, "__dict__", None))

    def _class(self, cls: type) -> None:
        if not self._is_own(cls.__module__):
            self._write("class", cls.__module__, cls.__qualname__)
            return
        self._write("own class", cls.__name__)
        tokens = source_tokens(cls, _is_udf_decorator({}))
        if tokens is not None:
            self._write("source", *tokens)
        for base in cls.__mro__[1:]:
            self._value(base)
        for name, member in sorted(vars(cls).items()):
            member = getattr(member, "__func__", member)
            if tokens is not None and isinstance(member, types.FunctionType):
                self._references(member)
            elif isinstance(member, property):
                for accessor in (member.fget, member.fset):
                    if isinstance(accessor, types.FunctionType):
                        self._references(accessor)
            elif tokens is None and name not in ("__dict__", "__weakref__", "__doc__", "__module__"):
                self.add(name, member)

    def _function(self, function: types.FunctionType) -> None:
        # exec() and prompts leave functions without a real module; those are the user's.
        if function.__module__ in sys.modules and not self._is_own(function.__module__):
            self._write("function", function.__module__, function.__qualname__)
            return
        tokens = source_tokens(function, _is_udf_decorator(function.__globals__))
        if tokens is not None:
            self._write("source", *tokens)
        else:
            self._code(function.__code__)
        self.add("defaults", function.__defaults__)
        self.add("keyword defaults", function.__kwdefaults__)
        self._references(function)

    def _references(self, function: types.FunctionType) -> None:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.add(name, cell.cell_contents)
            except ValueError:
                self._write(name, "empty cell")
        for path in sorted(set(_global_paths(function.__code__))):
            self._reference(path, function.__globals__)

    def _reference(self, path: tuple[str, ...], scope: Mapping[str, Any]) -> None:
        name, *attributes = path
        if name not in scope:
            return
        value = scope[name]
        # helpers.clean(x): follow the attribute, so that the rest of the module does not matter.
        while attributes and isinstance(value, types.ModuleType) and self._is_own(value.__name__):
            missing = object()
            value = getattr(value, attributes.pop(0), missing)
            if value is missing:
                return
        self.add(".".join(path), value)

    def _code(self, code: types.CodeType) -> None:
        self._write("bytecode", code.co_name, code.co_code.hex(), *code.co_names, *code.co_varnames)
        for constant in code.co_consts[1:] if _has_docstring(code) else code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self._value(constant)


def _has_docstring(code: types.CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & 0x4000000)
    # Before, the first constant is the docstring or None.
    return code.co_name != "<lambda>" and bool(code.co_consts) and isinstance(code.co_consts[0], (str, type(None)))


def _global_paths(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Yield what code reads from its globals, each with the attributes taken from it at once."""
    path: list[str] = []
    for step in dis.get_instructions(code):
        if path and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path.append(str(step.argval))
            continue
        if path:
            yield tuple(path)
            path = []
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            path = [str(step.argval)]
    if path:
        yield tuple(path)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_paths(constant)


def _is_udf_decorator(scope: Mapping[str, Any]) -> Any:
    from . import user_function

    def is_udf(dotted: str) -> bool:
        name, *attributes = dotted.split(".")
        value = scope.get(name)
        for attribute in attributes:
            value = getattr(value, attribute, None)
        # Leman's options (resources, sizes) are no part of what the function computes.
        return value is user_function.udf or dotted.split(".")[-1] == "udf"

    return is_udf
