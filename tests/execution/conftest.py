"""Isolation needs a kernel that offers it; where it doesn't, these tests say so and skip."""

from __future__ import annotations

from functools import lru_cache

import pytest

from opto.errors import CannotIsolate
from opto.execution.isolated import Runner, Version
from opto.execution.policy import isolated as policy


@lru_cache(maxsize=1)
def why_not() -> str:
    """What keeps this machine from isolating code; empty if nothing does."""
    load = {
        "text": "def f(): return 1",
        "filename": "<code of f>",
        "name": "f",
        "dropped": [],
        "imports": [],
        "helpers": [],
    }
    try:
        Runner(Version("f", "<code of f>", 1, (), load, {}, None, ()), policy).call()
    except CannotIsolate as error:
        return str(error)
    return ""


@pytest.fixture
def isolation() -> None:
    """For tests that need a machine that can isolate code."""
    if why_not():
        pytest.skip(why_not())
