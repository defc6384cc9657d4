"""What the tests of tracing share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

from opto import trace

# Tests of values write programs as users do; what type checkers make of them is tests/typing's.
node: Any = trace.node


def names(nodes: Iterable[Any]) -> list[str]:
    """Names of nodes, in order."""
    return [made.name for made in nodes]


def is_gone(reference: ref[Any]) -> bool:
    """Whether the object was freed."""
    gc.collect()
    return reference() is None


def same_nodes(found: Iterable[Any], expected: Iterable[Any]) -> bool:
    """Whether both hold the same nodes, by identity, in any order and each once."""
    return sorted(map(id, found)) == sorted(map(id, expected))


def steps_of(work: Callable[[], object]) -> int:
    """How many calls of functions `work` makes: a measure of time that no machine disturbs."""
    count = 0

    def profile(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
