"""Imports the module or file of a name on the command line: ``module:name`` or ``path.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType


def import_place(option: str, reference: str, form: str) -> tuple[ModuleType, str, str]:
    """Import what is before the colon.

    Parameters
    ----------
    option, reference : str
        The option's or argument's name and its value.
    form : str
        What was expected, for messages.

    Returns
    -------
    tuple of module, str, str
        The module, its place as it was written, and what is after the colon.

    Raises
    ------
    ValueError
        Where there is no such file or module, or the import fails; the message says which.
    """
    label = f"{option} {reference!r}"
    place, colon, expression = reference.partition(":")
    # A Windows drive is no module.
    if len(place) == 1 and colon and ":" in expression:
        drive, (place, _, expression) = place, expression.partition(":")
        place = f"{drive}:{place}"
    if not place or not expression:
        raise ValueError(f"{label}: {form}")
    module = _import_file(label, Path(place), form) if place.endswith(".py") else _import_module(label, place, form)
    return module, place, expression


def _import_file(label: str, path: Path, form: str) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"{label}: there is no file {str(path)!r}; {form}")
    # As python itself does for a script, so that the file's neighbours can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"{name}_from_file"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_failed(label, error) from error
    return module


def _import_module(label: str, name: str, form: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise _import_failed(label, error) from error
        file = Path(name + ".py")
        hint = f" Did you mean {file}:…?" if file.is_file() else ""
        raise ValueError(f"{label}: there is no module {name!r}.{hint} {form}") from None
    except Exception as error:
        raise _import_failed(label, error) from error


def _import_failed(label: str, error: Exception) -> ValueError:
    return ValueError(f"{label}: importing it failed: {type(error).__name__}: {error}")
