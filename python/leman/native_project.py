"""What one needs to build native functions: the CMake package, and a project to start from."""

from __future__ import annotations

import shutil
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_TEMPLATE = _PACKAGE / "templates" / "native_udf"


def cmake_folder() -> Path:
    """Return the folder of ``lemanConfig.cmake``, for ``-Dleman_DIR=…``.

    Raises
    ------
    FileNotFoundError
        Where this installation lacks it.
    """
    for folder in (_PACKAGE / "cmake", _PACKAGE.parent.parent / "cmake" / "package"):
        if (folder / "lemanConfig.cmake").is_file():
            return folder
    raise FileNotFoundError(f"lemanConfig.cmake is not in {_PACKAGE / 'cmake'}; install leman again")


def new_project(folder: Path) -> list[Path]:
    """Write a project with two functions, ready to build, into a new or empty folder.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        Where there is something in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{str(folder)!r} exists and is not an empty folder; give another name")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(_TEMPLATE.iterdir()):
        shutil.copyfile(source, folder / source.name)
        written.append(folder / source.name)
    return written
