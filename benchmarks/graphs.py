"""Graphs of n operations in six shapes, and the cost of sending feedback back through them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from opto.trace import GRAPH, bundle, node
from opto.trace.utils import sum_feedback

Leaf = Callable[[int, int], Any]


@bundle()
def join(*xs: float) -> float:
    """Join all the inputs."""
    return sum(xs)


def chain(n: int, leaf: Leaf) -> Any:
    """Each operation takes the result of the one before."""
    y = leaf(0, n)
    for index in range(n):
        y = y + leaf(index, n)
    return y


def constants(n: int, leaf: Leaf) -> Any:
    """A chain in which every other operand is a constant of its own."""
    y = leaf(0, n)
    for index in range(n // 2):
        y = (y + 1.0) + leaf(index, n // 2)
    return y


def fan_in(n: int, leaf: Leaf) -> Any:
    """Separate operations, all of them inputs of the last."""
    other = leaf(1, 2)
    return join(*[leaf(index, n - 1) + other for index in range(n - 1)])


def fan_out(n: int, leaf: Leaf) -> Any:
    """One result used by half of the operations, which the other half collects."""
    source = y = leaf(0, 1) + leaf(0, 1)
    for index in range(n // 2):
        y = y + (source + leaf(index, n // 2))
    return y


def tree(n: int, leaf: Leaf) -> Any:
    """A balanced binary tree; half of its leaves are constants of their own."""
    layer = [node(1.0) if index % 2 else leaf(index // 2, n // 2 + 1) for index in range(n + 1)]
    while len(layer) > 1:
        odd = layer[len(layer) - len(layer) % 2 :]
        layer = [x + y for x, y in zip(layer[::2], layer[1::2])] + odd  # noqa: B905 - odd one out
    return layer[0]


def ladder(n: int, leaf: Leaf) -> Any:
    """Two rails that cross: the number of paths doubles with every rung of three operations."""
    a = b = leaf(0, 1)
    for index in range(n // 3):
        a, b = a + b, (b + a) + leaf(index, n // 3)
    return a + b


def minibatch(n: int, leaf: Leaf) -> Any:
    """Examples of three operations each on a shared parameter, joined by one operation."""
    heads, other = [], node(1.0)
    count = (n - 1) // 3
    for index in range(count):
        hidden = node(1.0) * leaf(0, 1) + leaf(index, count)
        heads.append(hidden + other)
    return join(*heads)


SHAPES: dict[str, Callable[[int, Leaf], Any]] = {
    "chain": chain,
    "constants": constants,
    "fan_in": fan_in,
    "fan_out": fan_out,
    "tree": tree,
    "ladder": ladder,
    "minibatch": minibatch,
}


def leaves(parameters: int) -> tuple[list[Any], Leaf]:
    """Parameters spread evenly over positions; every other position is one shared constant."""
    weights = [node(1.0, trainable=True) for _ in range(parameters)]
    constant = node(1.0)

    def leaf(index: int, count: int) -> Any:
        at = index * parameters // count
        if index and (index - 1) * parameters // count == at:
            return constant
        return weights[at]

    return weights, leaf


def once(shape: str, n: int, parameters: int, *, read: bool) -> dict[str, float]:
    """Build one graph, send feedback through it, and read what reached the parameters."""
    clock = time.process_time
    weights, leaf = leaves(parameters)
    start = clock()
    head = SHAPES[shape](n, leaf)
    built = clock()
    head.backward("smaller, please")
    done = clock()
    spent = {"build": (built - start) / n, "backward": done - built}
    reached = [weight for weight in weights if weight.feedback]
    if len(reached) < len(weights):
        raise RuntimeError(f"feedback reached {len(reached)} of {parameters} in the {shape}")
    if read:
        start = clock()
        graph = sum_feedback(reached)
        spent["size"] = float(len(graph.graph))
        spent["read"] = clock() - start
    return spent


def backward(
    *, shape: str, n: int, parameters: int, min_time: float, gc_on: bool, read: bool
) -> dict[str, float]:
    """Means over as many graphs as take `min_time` of backward, each fresh and dropped after.

    Where backward is a small part of it all, as many as take ten times that to build and read.
    """
    results: list[dict[str, float]] = []
    start = time.process_time()
    while not results or (
        sum(result["backward"] for result in results) < min_time
        and time.process_time() - start < 10 * min_time
    ):
        GRAPH.clear()
        gc.collect()
        if not gc_on:
            gc.disable()
        try:
            results.append(once(shape, n, parameters, read=read))
        finally:
            gc.enable()
    return {key: sum(result[key] for result in results) / len(results) for key in results[0]}
