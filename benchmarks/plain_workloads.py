"""The same statements on plain Python values: the floor."""

from __future__ import annotations

from benchmarks.micro import AWAITS, Micro, Namespace, drive, many

CHAIN = 1_000


def reset() -> None:
    """Nothing is kept."""


def add(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


def fail(x: float, y: float) -> float:
    """Divide by nothing."""
    return (x + y) / 0


async def wait(x: float, y: float) -> float:
    """Add two numbers."""
    return x + y


class Agent:
    """A method."""

    def act(self, x: float) -> float:
        """Answer."""
        return x + 1.0


def names() -> Namespace:
    """Everything that the statements use."""
    return {
        "x": 1.0,
        "y": 2.0,
        "s": "ab",
        "t": "cd",
        "items": [1.0, 2.0],
        "f": add,
        "e": fail,
        "w": wait,
        "drive": drive,
        "many": many,
        "m": Agent(),
    }


MICRO: dict[str, Micro] = {
    "op_nodes": Micro("x + y", names),
    "op_constant": Micro("x + 1.0", names),
    "op_chain": Micro(f"y = x\nfor _ in range({CHAIN}): y = y + x", names, per=CHAIN),
    "op_concat": Micro("s + t", names),
    "op_getitem": Micro("items[1]", names),
    "op_upper": Micro("s.upper()", names),
    "op_less": Micro("x < y", names),
    "bundle_nodes": Micro("f(x, y)", names),
    "method": Micro("m.act(x)", names),
    "async": Micro("drive(many(w, x, y))", names, per=AWAITS),
    "raises": Micro("try: e(x, y)\nexcept ZeroDivisionError: pass", names),
}
