"""Which tests run: `make test` leaves out the long ones, of which shorter ones show the same with fewer cases."""

from __future__ import annotations

import os

import pytest

VARIABLE = "LEMAN_LONG_TESTS"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked long, and have pytest count it."""
    if os.environ.get(VARIABLE):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
