"""Tells the user's own modules from installed ones: their code is part of a function, and travels with it."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from types import ModuleType

_OWN_PACKAGE = __name__.split(".")[0]
_PICKLING = threading.RLock()


@functools.lru_cache(maxsize=1)
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


def is_own_module(name: str | None) -> bool:
    """Say whether a loaded module is the user's own code, as opposed to an installed package or Python itself."""
    if not name:
        return False
    if name == "__main__":
        return True
    top = name.split(".")[0]
    if top == _OWN_PACKAGE or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    if not file:
        return False
    real = os.path.realpath(file)
    if f"{os.sep}site-packages{os.sep}" in real or f"{os.sep}dist-packages{os.sep}" in real:
        return False
    return not real.startswith(_installed_folders())


def own_modules() -> list[ModuleType]:
    """Return every loaded module of the user's own, ``__main__`` excepted."""
    return [
        module
        for name, module in list(sys.modules.items())
        # A script may put anything into sys.modules; only real modules can be registered below.
        if name != "__main__" and isinstance(module, ModuleType) and module.__name__ == name and is_own_module(name)
    ]


@contextlib.contextmanager
def pickled_by_value() -> Iterator[None]:
    """Let cloudpickle put the user's own modules inside the pickle, since a worker may not find them."""
    import cloudpickle

    # The registration is global to the process, so only one thread may change it at a time.
    with _PICKLING:
        already = set(cloudpickle.list_registry_pickle_by_value())
        added = [module for module in own_modules() if module.__name__ not in already]
        try:
            for module in added:
                cloudpickle.register_pickle_by_value(module)
            yield
        finally:
            for module in added:
                with contextlib.suppress(ValueError):
                    cloudpickle.unregister_pickle_by_value(module)
