"""Isolation needs a kernel that offers it; where it doesn't, these tests say so and skip."""

from __future__ import annotations

from functools import lru_cache

import pytest

from opto.execution import report


@lru_cache(maxsize=1)
def why_not() -> str:
    """What keeps this machine from isolating code; empty if nothing does."""
    return report().reason


@pytest.fixture
def isolation() -> None:
    """For tests that need a machine that can isolate code."""
    if why_not():
        pytest.skip(why_not())
