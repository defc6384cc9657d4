"""Memory of traced operations, and of a loop that builds, sends feedback and drops."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opto.trace import Node, bundle, node

STATM = Path("/proc/self/statm")


@bundle()
def add(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


def makers() -> dict[str, Callable[[], Any]]:
    """What one repetition makes, by name."""
    x, y = node(1.0), node(2.0)
    return {
        "node": lambda: node(1.0 + 0.5),
        "op_nodes": lambda: x + y,
        "op_constant": lambda: x + 1.0,
        "bundle_nodes": lambda: add(x, y),
    }


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def per_operation(*, kind: str, count: int) -> dict[str, float]:
    """Bytes per operation beyond the value: kept, and left behind when the output is dropped."""
    make = makers()[kind]
    for _ in range(100):
        make()
    kept: list[Any] = [None] * count
    gc.collect()
    gc.disable()
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    for index in range(count):
        kept[index] = make()
    built = tracemalloc.get_traced_memory()[0]
    value = sys.getsizeof(kept[0].data)
    for index in range(count):
        kept[index] = None
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    gc.enable()
    return {"bytes": (built - start) / count - value, "left": (left - start) / count}


def resident_per_operation(*, kind: str, count: int) -> dict[str, float]:
    """Resident bytes per kept operation, the value included."""
    make = makers()[kind]
    kept: list[Any] = [make() for _ in range(100)]
    kept.extend([None] * count)
    gc.collect()
    gc.disable()
    start = resident()
    for index in range(100, count + 100):
        kept[index] = make()
    return {"bytes": (resident() - start) / count}


def loop(*, iterations: int) -> dict[str, float]:
    """Resident bytes after the first hundred iterations and after all, the collector off."""
    weight = node(1.0, trainable=True)
    gc.collect()
    gc.disable()
    early = 0
    for iteration in range(iterations):
        if iteration == 100:
            early = resident()
        y: Node[float] = weight
        for _ in range(5):
            y = add(y + 1.0, weight)
        y.backward("smaller, please")
        weight.zero_feedback()
        del y
    late = resident()
    gc.enable()
    growth = (late - early) / max(1, iterations - 100)
    return {"after_100": early, "after_all": late, "growth": growth}
