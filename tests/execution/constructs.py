"""What code may do under each policy: one row a construct, one cell a test.

`test_constructs.py` runs every cell; the table in docs/reference/execution.md is written by
`python -m tests.execution.constructs`.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opto.errors import CannotIsolate, CodeFailed, ExecutionError
from opto.trace import bundle, model, node
from tests.execution.proposing import proposed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "execution.md"
WAYS = ("inprocess", "isolated", "portable")
CANNOT = "`CannotIsolate`"

LIMIT = [3]


@dataclass
class Point:
    """A class of the host."""

    x: int


def helper(x: int) -> int:
    """A helper function."""
    return x + LIMIT[0]


@bundle()
def other(x: int) -> int:
    """Another bundled function."""
    return x * 2


def f(x: Any) -> Any:
    """The author's own: it names what may be used."""
    return helper(x), other(x), LIMIT, Point


def run(way: str, body: str, x: Any = 1, fun: Callable[..., Any] = f) -> Any:
    """What the function with another body returns."""
    head = "async def" if asyncio.iscoroutinefunction(fun) else "def"
    made: Any = proposed(fun, f"{head} f(x):\n    {body}", way)
    return made(x).data


# ---- the rows: each returns the words of its cell ------------------------------------------------


def arguments(way: str) -> str:
    given = [1]
    back = run(way, "return x", given)
    assert back == given
    return "the object itself" if back is given else "a copy"


def mutation(way: str) -> str:
    given = [1]
    assert run(way, "x.append(2)\n    return len(x)", given) == 2
    return "seen by the caller" if len(given) == 2 else "not seen by the caller"


def instances(way: str) -> str:
    given = Point(1)
    back = run(way, "return x", given)
    assert type(back) is Point
    return "the object itself" if back is given else "a copy, of the same class"


def arrays(way: str) -> str:
    given = np.eye(2)
    back = run(way, "return x", given)
    assert (back == given).all()
    return "the object itself" if back is given else "a copy"


def globals_(way: str) -> str:
    function = proposed(f, "def f(x):\n    LIMIT.append(0)\n    return len(LIMIT)", way)
    first = function(1).data
    assert first == 2
    changed = len(LIMIT) == 2
    LIMIT[:] = [3, 3, 3]
    assert function(1).data == 4
    LIMIT[:] = [3]
    return "live" if changed else "a copy of what they are at the call"


def closures(way: str) -> str:
    bias = 1

    def f(x: Any) -> Any:
        return x + bias

    function = proposed(f, "def f(x):\n    return x * bias", way)
    assert function(2).data == 2
    bias = 5
    assert function(2).data == 10
    return "live" if way == "inprocess" else "a copy of what they are at the call"


def helpers(way: str) -> str:
    assert run(way, "return helper(x)", 1) == 4
    return "the function itself" if way == "inprocess" else "by source, with what it needs"


def bundles(way: str) -> str:
    made = proposed(f, "def f(x):\n    return other(x)", way)(node(4))
    assert made.data == 8
    return "traced" if way == "inprocess" else "called here, traced"


def allowed_modules(way: str) -> str:
    assert run(way, "import math\n    return math.floor(x)", 1.5) == 1
    return "imported"


def third_party(way: str) -> str:
    assert run(way, "import numpy\n    return float(numpy.sum([x]))", 1) == 1.0
    return "imported" if way == "inprocess" else "imported if listed"


def state(way: str) -> str:
    function = proposed(f, "n = []\ndef f(x):\n    n.append(x)\n    return len(n)", way)
    assert [function(1).data, function(1).data] == [1, 2]
    return "kept" if way == "inprocess" else "kept until the process is replaced"


def recursion(way: str) -> str:
    assert run(way, "return 1 if x < 2 else x * f(x - 1)", 20) > 10**18
    return "as ever, not traced"


def endless_recursion(way: str) -> str:
    run(way, "return f(x)")
    return ""


def coroutines(way: str) -> str:
    async def f(x: Any) -> Any:
        return x

    function: Any = proposed(
        f, "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1", way
    )

    async def both() -> list[Any]:
        return [made.data for made in await asyncio.gather(function(1), function(2))]

    assert asyncio.run(both()) == [2, 3]
    return "awaited" if way == "inprocess" else "run to the end there; awaited here"


def generators(way: str) -> str:
    def f(x: int) -> Iterator[int]:
        yield x

    steps: list[int] = []
    text = "def f(x):\n    for i in range(x[0]):\n        x.append(i)\n        yield i"
    items: Any = proposed(f, text, way)(given := [2]).data
    for item in items:
        steps.append(len(given))
        assert item == len(steps) - 1
    return "as ever" if steps[0] == 2 else "drained, to at most 100,000 items"


def async_generators(way: str) -> str:
    async def f(x: int) -> AsyncIterator[int]:
        yield x

    function: Any = proposed(f, "async def f(x):\n    for i in range(x):\n        yield i", way)

    async def items() -> list[Any]:
        return [item.data async for item in function(3)]

    assert asyncio.run(items()) == [0, 1, 2]
    return "as ever" if way == "inprocess" else "drained, to at most 100,000 items"


@model
class Agent(Point):
    """Has the method that is trained."""

    def __init__(self) -> None:
        self.plan = ["a"]

    def look(self) -> int:
        return len(self.plan)

    @bundle(trainable=True)
    def act(self, x: Any) -> Any:
        return x

    def base(self) -> str:
        return "base"


@model
class Agent2(Agent):
    """Its subclass, in which the method stands."""

    def base(self) -> str:
        return "own"

    @bundle(trainable=True)
    def step(self, x: Any) -> Any:
        return x


def method(way: str, body: str) -> Any:
    made: Any = Agent2()
    made.step.execution = way
    made.step.parameter._set(f"def step(self, x):\n    {body}")
    return made, made.step(0).data


def attributes(way: str) -> str:
    assert method(way, "return self.plan[x]")[1] == "a"
    return "live" if way == "inprocess" else "a copy of what it reads"


def attributes_set(way: str) -> str:
    made, _ = method(way, "self.plan = 1")
    assert made.plan == 1
    return "changed"


def methods(way: str) -> str:
    assert method(way, "return self.look()")[1] == 1
    return "called" if way == "inprocess" else "by source"


def supers(way: str) -> str:
    assert method(way, "return super().base()")[1] == "base"
    return "called" if way == "inprocess" else "by source"


def threads(way: str) -> str:
    body = (
        "import threading\n    found = []\n"
        "    t = threading.Thread(target=lambda: found.append(x))\n"
        "    t.start()\n    t.join()\n    return found"
    )
    assert run(way, body, 5) == [5]
    return "started" if way == "inprocess" else "started; a process with threads left is replaced"


def overlapping(way: str) -> str:
    text = (
        "import time\nn = []\ndef f(x):\n    n.append(x)\n"
        "    for _ in range(20):  # until the other call is there, if it ever is\n"
        "        if len(n) == 2:\n            break\n        time.sleep(0.1)\n    return len(n)"
    )
    function = proposed(f, text, way)
    found: list[int] = []
    started = [threading.Thread(target=lambda: found.append(function(1).data)) for _ in range(2)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return "in one process" if max(found) == 2 else "a process each"


def processes(way: str) -> str:
    assert (
        run(
            way,
            "import os\n    return os.waitpid(os.spawnv(0, '/bin/true', ['true']), 0)[1]"
            if way != "inprocess"
            else "return 0",
        )
        == 0
    )
    return "started"


def network(way: str) -> str:
    assert run(way, "import socket\n    return 1") == 1
    return "used"


def files(way: str) -> str:
    try:
        assert run(way, "with open(x) as file:\n        return len(file.read()) > 0", __file__)
    except (FileNotFoundError, PermissionError):  # with a file tree of its own, and without
        return "refused"
    return "read and changed"


def own_exceptions(way: str) -> str:
    text = "class Odd(Exception):\n    pass\ndef f(x):\n    raise Odd('strange')"
    with pytest.raises(ExecutionError) as caught:
        proposed(f, text, way)(1)
    error = caught.value
    if isinstance(error, CannotIsolate):
        raise error
    assert type(error.__cause__).__name__ == "Odd"
    return "a `CodeFailed` of that name" if isinstance(error, CodeFailed) else "raised"


def endless_loop(way: str) -> str:
    if way == "inprocess":
        return "never ends"  # shown in docs/reference/attacks.md
    run(way, "while x: pass")
    return ""


@dataclass(frozen=True)
class Construct:
    """One row.

    Attributes:
        name: what the code does or uses.
        probe: does it under a policy; returns the words of the cell.
        cells: what they should be, in the order of `WAYS`.
    """

    name: str
    probe: Callable[[str], str]
    cells: tuple[str, ...]


COPY, NOW = "a copy", "a copy of what they are at the call"
DRAINED = "drained, to at most 100,000 items"
CONSTRUCTS = [
    Construct("arguments and results of plain data", arguments, ("the object itself", COPY, COPY)),
    Construct(
        "changes of arguments",
        mutation,
        ("seen by the caller", "not seen by the caller", "not seen by the caller"),
    ),
    Construct(
        "dataclasses, named tuples, enums",
        instances,
        ("the object itself", "a copy, of the same class", CANNOT),
    ),
    Construct("numpy arrays", arrays, ("the object itself", COPY, CANNOT)),
    Construct("globals of plain data", globals_, ("live", NOW, NOW)),
    Construct("closures", closures, ("live", NOW, NOW)),
    Construct(
        "helper functions",
        helpers,
        ("the function itself", *["by source, with what it needs"] * 2),
    ),
    Construct("other bundled functions", bundles, ("traced", *["called here, traced"] * 2)),
    Construct("modules that compute", allowed_modules, ("imported",) * 3),
    Construct("numpy", third_party, ("imported", "imported if listed", CANNOT)),
    Construct(
        "state of the code's module", state, ("kept", *["kept until the process is replaced"] * 2)
    ),
    Construct("recursion", recursion, ("as ever, not traced",) * 3),
    Construct("recursion without end", endless_recursion, ("`RecursionError`",) * 3),
    Construct("loops without end", endless_loop, ("never ends", *["`TimeoutError`"] * 2)),
    Construct("`async def`", coroutines, ("awaited", *["run to the end there; awaited here"] * 2)),
    Construct("generators", generators, ("as ever", DRAINED, CANNOT)),
    Construct("async generators", async_generators, ("as ever", DRAINED, CANNOT)),
    Construct("attributes of `self`", attributes, ("live", *["a copy of what it reads"] * 2)),
    Construct(
        "setting attributes of `self`", attributes_set, ("changed", "`AttributeError`", CANNOT)
    ),
    Construct("other methods of `self`", methods, ("called", "by source", CANNOT)),
    Construct("`super()`", supers, ("called", "by source", CANNOT)),
    Construct(
        "threads",
        threads,
        ("started", "started; a process with threads left is replaced", CANNOT),
    ),
    Construct("calls that overlap", overlapping, ("in one process", *["a process each"] * 2)),
    Construct("new processes", processes, ("started", "`PermissionError`", "`AttributeError`")),
    Construct("the network", network, ("used", "`ImportError`", CANNOT)),
    Construct("files elsewhere", files, ("read and changed", *["refused"] * 2)),
    Construct(
        "exceptions of its own", own_exceptions, ("raised", "a `CodeFailed` of that name", CANNOT)
    ),
]


def outcome(construct: Construct, way: str) -> str:
    """What happens, in the words of the table."""
    try:
        return construct.probe(way)
    except CannotIsolate:
        return CANNOT
    except ExecutionError as error:
        return f"`{type(error.__cause__).__name__}`"


def rendered() -> str:
    """The table."""
    rows = [f"| {c.name} | {' | '.join(c.cells)} |" for c in CONSTRUCTS]
    head = ["| what the code does or uses | inprocess | isolated | portable |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


TABLE = re.compile(r"(?<=<!-- constructs -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: rendered(), PAGE.read_text("utf-8")), "utf-8")


__all__ = ["CONSTRUCTS", "PAGE", "TABLE", "WAYS", "outcome", "rendered"]
