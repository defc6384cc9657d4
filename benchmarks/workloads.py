"""What is measured, in terms of `opto.trace`'s public names: runs under ours and the original."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.micro import AWAITS, Micro, Namespace, drive, many
from opto.trace import GRAPH, ExecutionError, Module, bundle, model, node, stop_tracing

CHAIN = 1_000
FUNCTIONS = 50
_fresh = itertools.count()
_folder = tempfile.TemporaryDirectory(prefix="opto-bench-")


def reset() -> None:
    """Forget what earlier samples registered (the original keeps every node until this)."""
    GRAPH.clear()


@bundle()
def add(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


@bundle()
def scaled(x: float, y: float, factor: float = 2.0, offset: float = 1.0) -> float:
    """Combine two numbers."""
    return (x + y) * factor + offset


@bundle()
def total(*xs: float) -> float:
    """Add up all the numbers."""
    return sum(xs)


@bundle(trainable=True)
def learn(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


@bundle()
def fail(x: float, y: float) -> float:
    """Divide by nothing."""
    return (x + y) / 0


@bundle()
async def wait(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


@model
class Agent:
    """A bundled method, a trainable one and a parameter."""

    def __init__(self) -> None:
        self.bias = node(1.0, trainable=True)

    @bundle()
    def act(self, x: float) -> float:
        """Answer."""
        return x + 1.0

    @bundle(trainable=True)
    def think(self, x: float) -> float:
        """Answer."""
        return x + 1.0


class Wide(Module):
    """A module of a hundred parameters."""

    def __init__(self) -> None:
        for index in range(100):
            setattr(self, f"weight{index}", node(1.0, trainable=True))


def numbers() -> Namespace:
    """Two nodes."""
    return {"x": node(1.0), "y": node(2.0)}


def calling(function: object) -> Callable[[], Namespace]:
    """Two nodes, two raw numbers and the function `f`."""
    return lambda: {
        **numbers(),
        "a": 1.0,
        "b": 2.0,
        "f": function,
        "ExecutionError": ExecutionError,
    }


def generated_functions(count: int, lines: int) -> Namespace:
    """A module file never seen before with `count` plain functions of `lines` lines and three."""
    filler = "".join(f"    total = total * {index}.5 + 1\n" for index in range(lines))
    text = "\n\n".join(
        f'def function{index}(x, y=1.0):\n    """Number {index}."""\n'
        f"    total = x + y\n{filler}    return total\n"
        for index in range(count)
    )
    name = f"bench_generated_{next(_fresh)}"
    path = Path(_folder.name) / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    functions = [getattr(module, f"function{index}") for index in range(count)]
    return {"functions": functions, "bundle": bundle}


def long_trainable() -> Namespace:
    """A trainable function of sixty lines."""
    (function,) = generated_functions(1, 57)["functions"]
    return calling(bundle(trainable=True)(function))()


GROW = f"y = x\nfor _ in range({CHAIN}): y = y + 1.0"
GROW_NODES = f"y = x\nfor _ in range({CHAIN}): y = y + x"
RAISE = "try: f(x, y)\nexcept ExecutionError: pass"
RAISE_AND_READ = (
    "try: f(x, y)\nexcept ExecutionError as e: e.exception_node.create_feedback('full')"
)
AWAIT = "drive(many(f, x, y))"
DECORATE = "for f in functions: bundle()(f)"
DECORATE_TRAINABLE = "for f in functions: bundle(trainable=True)(f)"


def stopped() -> Namespace:
    """Two nodes and the switch."""
    return {**numbers(), "stop_tracing": stop_tracing}


def awaiting() -> Namespace:
    """A bundled coroutine function and what runs it."""
    return {**calling(wait)(), "drive": drive, "many": many}


def decorating() -> Namespace:
    """Fifty short functions of a new file."""
    return generated_functions(FUNCTIONS, 3)


def texts() -> Namespace:
    """A string, a list and two numbers."""
    return {**numbers(), "s": node("ab"), "t": node("cd"), "items": node([1.0, 2.0])}


MICRO: dict[str, Micro] = {
    "op_nodes": Micro("x + y", numbers),
    "op_constant": Micro("x + 1.0", numbers),
    "op_chain": Micro(GROW_NODES, numbers, per=CHAIN),
    "op_chain_constant": Micro(GROW, numbers, per=CHAIN),
    "op_concat": Micro("s + t", texts),
    "op_getitem": Micro("items[1]", texts),
    "op_upper": Micro("s.upper()", texts),
    "op_less": Micro("x < y", numbers),
    "op_stopped": Micro(
        f"with stop_tracing():\n for _ in range({CHAIN}): x + y", stopped, per=CHAIN
    ),
    "node": Micro("node(1.0)", lambda: {"node": node}),
    "node_trainable": Micro("node(1.0, trainable=True)", lambda: {"node": node}),
    "bundle_nodes": Micro("f(x, y)", calling(add)),
    "bundle_raw": Micro("f(a, b)", calling(add)),
    "bundle_defaults": Micro("f(x, y)", calling(scaled)),
    "bundle_star": Micro("f(*[x] * 100)", calling(total)),
    "method": Micro("m.act(x)", lambda: {**numbers(), "m": Agent()}),
    "method_first": Micro("Agent().act(x)", lambda: {**numbers(), "Agent": Agent}),
    "async": Micro(AWAIT, awaiting, per=AWAITS),
    "trainable": Micro("f(x, y)", calling(learn)),
    "trainable_method": Micro("m.think(x)", lambda: {**numbers(), "m": Agent()}),
    "trainable_long": Micro("f(x, y)", long_trainable),
    "raises": Micro(RAISE, calling(fail)),
    "raises_read": Micro(RAISE_AND_READ, calling(fail)),
    "decorate": Micro(DECORATE, decorating, per=FUNCTIONS, once=True),
    "decorate_trainable": Micro(DECORATE_TRAINABLE, decorating, per=FUNCTIONS, once=True),
    "parameters": Micro("m.parameters()", lambda: {"m": Wide()}),
}
