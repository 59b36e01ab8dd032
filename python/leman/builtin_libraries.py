"""Where the built-in native functions lie (``native/builtin/CMakeLists.txt``), and what missing ones need."""

from __future__ import annotations

from pathlib import Path

_MAIN = "leman_builtin"
# Functions that need a library of the system lie in a library of their own: its functions, and Debian's packages to
# build it with.
_OF_SYSTEM_LIBRARIES: dict[str, tuple[tuple[str, ...], str]] = {
    "leman_builtin_xxhash": (("xxh3_64",), "libxxhash-dev"),
    "leman_builtin_regex": (("regex_extract", "regex_count"), "libre2-dev"),
    "leman_builtin_unicode": (("lower", "normalize_unicode"), "libutf8proc-dev"),
    "leman_builtin_magic": (("file_type",), "libmagic-dev"),
    "leman_builtin_images": (
        ("perceptual_hash", "resized_pixels"),
        "libjpeg62-turbo-dev libpng-dev libwebp-dev",
    ),
}


def functions_of_system_libraries() -> list[str]:
    """Return the names of the built-in functions that need a library of the system."""
    return [name for functions, _ in _OF_SYSTEM_LIBRARIES.values() for name in functions]


def builtin_library(function: str) -> Path:
    """Return the library that has a built-in function.

    Parameters
    ----------
    function : str
        Its name; one that there is not is looked for in the main library.

    Raises
    ------
    FileNotFoundError
        Where this installation lacks the library.
    """
    name, packages = _MAIN, ""
    for library, (functions, needed) in _OF_SYSTEM_LIBRARIES.items():
        if function in functions:
            name, packages = library, needed
    package = Path(__file__).resolve().parent
    for folder in (package / "native", package.parent.parent / "build" / "native" / "builtin"):
        if (folder / f"lib{name}.so").is_file():
            return folder / f"lib{name}.so"
    if packages:
        raise FileNotFoundError(
            f"the built-in function {function!r} is not in this installation: its libraries were missing when Leman "
            f"was built. Install them (on Debian: apt-get install {packages}), then build Leman again"
        )
    raise FileNotFoundError(f"lib{name}.so is not in {package / 'native'}; install leman again")
