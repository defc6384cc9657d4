"""Code in the interpreter of a subset of Python behaves as the documentation's table says."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
import threading
from typing import Any

import pytest

from opto.errors import CannotIsolate, ExecutionError, MissingExtra, TraceMissingInputsError
from opto.execution import Limits, Policy
from opto.execution.subset import MODULES, unsupported
from opto.testing import ScriptedModel
from opto.trace import bundle, model, node
from opto.trace.nodes import ParameterNode
from opto.trace.operators import call_llm
from tests.execution.proposing import drawn, proposed
from tests.execution.things import Pair, Point

pytest.importorskip("pydantic_monty")

OFFSET = 10
TABLE = {"a": [1]}
QUICK = Policy("portable", limits=Limits(seconds=0.3))


def helper(x: float) -> float:
    """Uses a global."""
    return x + OFFSET


@bundle()
def double(x: Any) -> Any:
    """Twice, on the host."""
    return [x * 2, os.getpid()]


@bundle(trainable=True)
def learned(x: Any) -> Any:
    """By its author so far."""
    return x + 1


@bundle()
def fails(x: Any) -> Any:
    """Raises."""
    message = f"no {x}"
    raise KeyError(message)


@bundle()
def ends(x: Any) -> Any:
    """Ends the program."""
    raise KeyboardInterrupt(x)


@bundle()
async def waits(x: Any) -> Any:
    """Returns later."""
    return x


def same(x: Any) -> Any:
    """Name what may be called."""
    if x:
        return double(x), learned(x), fails(x), ends(x), waits(x), call_llm(x)
    return helper(x), TABLE


def run(body: str, x: Any = 1, policy: Policy | str = "portable", **options: Any) -> Any:
    """What another body returns."""
    return proposed(same, f"def same(x):\n    {body}", policy, **options)(x).data


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *[
            None,
            True,
            3,
            10**400,
            -2.5,
            float("inf"),
            "text",
            "",
            b"bytes",
            1j,
            [1, (2,)],
            {1: {2}},
        ],
        *[frozenset([1]), (), [], {}, {(1, (2, "a")): [None]}, {"a": {"b": {"c": [1.0, {3}]}}}],
        *["<function", ["range(3)"]],
    ],
    ids=repr,
)
def test_plain_values_cross_both_ways(value: Any) -> None:
    back = run("return x", value)

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "odd",
    ["same", "len", "range(3)", "[1, {2: (lambda: 1)}]", "iter([1])", "slice(1)", "int", "..."],
)
def test_what_is_no_plain_data_cannot_leave(odd: str) -> None:
    with pytest.raises(TypeError, match="not plain data"):
        run(f"return {odd}")


def test_globals_and_helpers_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    function = proposed(
        same,
        "import math\ndef same(x):\n    return helper(x), TABLE['a'], math.sqrt(4)",
        "portable",
    )
    assert function(1).data == (11, [1], 2.0)
    monkeypatch.setitem(globals(), "OFFSET", 20)
    monkeypatch.setitem(TABLE, "a", [2, 3])
    assert function(1).data == (21, [2, 3], 2.0)


def test_changes_stay_inside_and_state_is_kept() -> None:
    function = proposed(
        same,
        "n = []\ndef same(x):\n    n.append(x)\n    x.append(0)\n    return len(n)",
        "portable",
    )
    given = [1]
    assert [function(given).data for _ in range(3)] == [1, 2, 3]
    assert given == [1]


@pytest.mark.parametrize("value", [Point(1), Pair(1, 2), object(), len])
def test_instances_do_not_cross(value: Any) -> None:
    with pytest.raises(CannotIsolate, match=r"- x: .* is not plain data"):
        run("return 1", value)


# ---- what it can't run ---------------------------------------------------------------------------


def test_all_that_it_cannot_run_is_named_at_once() -> None:
    text = (
        "import heapq, math\n"
        "from os import *\n"
        "class Own(dict):\n"
        "    @property\n"
        "    def a(self): return 1\n"
        "def same(x):\n"
        "    def inner():\n"
        "        yield from x\n"
        "    del x[0]\n"
        "    return callable(x), eval('1'), same, CLIENT\n"
    )
    with pytest.raises(CannotIsolate) as caught:
        proposed(same, text, "portable")(1)

    error = caught.value.__cause__
    assert isinstance(error, CannotIsolate)
    assert error.offenders[:8] == (
        "line 1: import heapq",
        "line 2: from os import *",
        "line 3: Own.a: a decorated method",
        "line 3: class Own: a base class or metaclass",
        "line 8: yield from (generators)",
        "line 9: del",
        "line 10: callable, a builtin that isn't there",
        "line 10: eval, a builtin that isn't there",
    )
    assert error.offenders[8].startswith("CLIENT: object")
    assert "execution='inprocess'" in str(error)


CLIENT = object()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("async def f():\n    async for x in y: pass", "async for"),
        ("async def f():\n    async with y: pass", "async with"),
        ("from . import x", "import ."),
        ("super().x", "super"),
        ("import os.path", ""),
        ("from __future__ import annotations", ""),
        ("import json as j\nfrom re import sub", ""),
    ],
)
def test_constructs(text: str, word: str) -> None:
    found = unsupported(ast.parse(text), MODULES)
    assert bool(found) == bool(word)
    assert word in "".join(found)


def test_imports_are_those_that_the_policy_allows_too() -> None:
    with pytest.raises(CannotIsolate, match="line 2: import re"):
        run("import re\n    return 1", policy=Policy("portable", imports=frozenset({"math"})))


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trace-opt\[portable\]'") as caught:
        run("return 1")
    assert isinstance(caught.value, ExecutionError)


# ---- errors and limits ---------------------------------------------------------------------------


def test_feedback_is_that_of_the_other_ways() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("print('seen', x)\n    y = 0\n    return x / y")
    assert isinstance(caught.value, ExecutionError)
    assert caught.value.exception_node.create_feedback("full") == (
        "def same(x):\n"
        "    print('seen', x)\n"
        "    y = 0\n"
        "    return x / y <--- (ZeroDivisionError) division by zero.\n"
        "\n"
        "Arguments:\n"
        "  x = 1\n"
        "\n"
        "Printed:\n"
        "seen 1\n"
        "\n"
        "(ZeroDivisionError) division by zero."
    )


def test_an_error_is_no_end_and_the_state_is_kept() -> None:
    function = proposed(
        same, "n = []\ndef same(x):\n    n.append(1)\n    return len(n) / x", "portable"
    )
    with pytest.raises(ZeroDivisionError):
        function(0)
    assert function(1).data == 2


@pytest.mark.covers("A47")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("while True: pass", TimeoutError),
        ("import time\n    time.sleep(100)", TimeoutError),
        ("return [0] * 10**9", MemoryError),
        ("return 7 ** (10 ** 10)", MemoryError),
        ("return same(x)", RecursionError),
        ("return 'a' * (17 << 20)", TypeError),
        ("return list(range(2_000_000))", TypeError),
    ],
)
def test_limits(body: str, kind: type[Exception]) -> None:
    limits = Limits(seconds=1.5, memory=512 << 20)
    function = proposed(same, f"def same(x):\n    {body}", Policy("portable", limits=limits))
    with pytest.raises(kind):
        function(1)
    assert run("return x + 1") == 2


def test_deep_values_are_errors() -> None:
    with pytest.raises(TypeError, match="nested deeper"):
        run("y = []\n    for _ in range(300):\n        y = [y]\n    return y")


def test_much_output_is_cut() -> None:
    with pytest.raises(KeyError) as caught:
        run("for _ in range(2000):\n        print('y' * 1000)\n    raise KeyError('x')")
    assert isinstance(caught.value, ExecutionError)
    assert len(caught.value.exception_node.create_feedback("full")) < 7_000


def test_keys_cannot_be_chosen_to_take_for_ever() -> None:
    body = "return {i * (2**61 - 1): 0 for i in range(1000)}"
    with pytest.raises(ExecutionError, match="equal hashes"):
        run(body)
    with pytest.raises(ExecutionError, match="equal hashes"):
        run(body.replace("return", "return double(") + ")")


@pytest.mark.parametrize(
    "body",
    [
        "global __pack\n    __pack = 1\n    return (x, len)",
        "type = lambda v: int\n    return len",
        "global type, list\n    type = lambda v: int\n    list = 1\n    return len",
    ],
)
def test_what_packs_values_is_out_of_reach(body: str) -> None:
    with pytest.raises(TypeError, match="not plain data"):
        run(body)


# ---- calls back ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "return double(double(x).data[0])",
        "return double(double(x))",
        "return [double(x), {'a': learned(x)}]",
        "y = learned(x)\n    return double(y).data[0]",
    ],
)
def test_the_graph_is_that_of_running_here(body: str) -> None:
    here, there = [
        proposed(same, f"def same(x):\n    {body}", way, allow_external_dependencies=True)(1)
        for way in ("inprocess", "portable")
    ]
    assert drawn(there) == drawn(here)


def test_feedback_reaches_a_trainable_function_that_was_called() -> None:
    made = proposed(same, "def same(x):\n    return learned(x)", "portable")(node(1))
    made.backward("larger")
    assert isinstance(learned.parameter, ParameterNode)
    assert learned.parameter.feedback
    learned.parameter.zero_feedback()
    with pytest.raises(TraceMissingInputsError):
        run("return learned(x).data")


def test_errors_of_the_host() -> None:
    assert run("try:\n        fails(x)\n    except KeyError:\n        return 'caught'") == "caught"
    with pytest.raises(KeyError) as caught:
        run("return fails(x)")
    assert isinstance(caught.value, ExecutionError)
    assert "raise KeyError(message) <---" in caught.value.exception_node.create_feedback("full")


def test_an_interruption_of_the_host_cannot_be_caught() -> None:
    with pytest.raises(KeyboardInterrupt):
        run("try:\n        ends(x)\n    except BaseException:\n        return 'caught'")


def test_models_are_asked() -> None:
    asked = ScriptedModel(["yes", "no"])

    def f(x: Any) -> Any:
        return call_llm(asked, x), asked(messages=x)

    text = (
        "def f(x):\n"
        "    made = asked(messages=[{'role': 'user', 'content': x}])\n"
        "    return made.choices[0].message.content, made.text"
    )
    assert proposed(f, text, "portable")("?").data == ("yes", "yes")


def test_calls_back_are_counted() -> None:
    few = Policy("portable", limits=Limits(calls_back=3))
    with pytest.raises(RuntimeError, match="more than 3 calls back"):
        run("return [double(i).data for i in range(4)]", policy=few)


def test_coroutines_of_the_host_are_named() -> None:
    with pytest.raises(CannotIsolate, match="waits: a coroutine of the host"):
        run("return waits(x)")


# ---- kinds of functions --------------------------------------------------------------------------


@model
class Agent:
    """Something with state."""

    kind = "walker"

    def __init__(self) -> None:
        self.plan = ["a", "b"]
        self.__own = 7
        self.prompt = node("short", trainable=True, name="prompt")

    @bundle()
    def ask(self, x: Any) -> Any:
        return f"asked {x}"

    def look(self) -> int:
        return len(self.plan)

    @bundle(trainable=True, execution="portable", allow_external_dependencies=True)
    def act(self, x: Any) -> Any:
        return self.ask(x)


def acting(body: str) -> Any:
    made: Any = Agent()
    made.act.parameter._set(f"def act(self, x):\n    {body}")
    return made


def test_methods_read_attributes_and_call_bundles() -> None:
    made = acting(
        "return self.plan[x], self.kind, self.__own, self.prompt.data, type(self).__name__"
    )
    assert made.act(1).data == ("b", "walker", 7, "short", "Agent")
    assert acting("return self.ask(x)").act(1).data == "asked 1"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return self.look()", "self.look: a method"),
        ("self.plan = 1", "line 2: self is read-only here"),
    ],
)
def test_methods_name_what_cannot_be(body: str, why: str) -> None:
    with pytest.raises(CannotIsolate, match=why):
        acting(body).act(1)


def test_coroutine_functions() -> None:
    async def f(x: Any) -> Any:
        return x

    text = "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x * 2"
    function: Any = proposed(f, text, "portable")

    async def both() -> list[Any]:
        return [made.data for made in await asyncio.gather(function(1), function(2))]

    assert asyncio.run(both()) == [2, 4]


def test_a_cancelled_task_ends_the_process() -> None:
    async def f(x: Any) -> Any:
        return x

    function: Any = proposed(f, "async def f(x):\n    while x: pass\n    return 'next'", "portable")

    async def late() -> Any:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(function(1), 0.2)
        return (await function(0)).data

    assert asyncio.run(late()) == "next"


def test_overlapping_calls() -> None:
    function = proposed(same, "def same(x):\n    return sum(range(x))", "portable")
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(function(10_000).data)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [49995000] * 4


def test_many_versions_keep_few_processes() -> None:
    kept = [proposed(same, f"def same(x):\n    return x + {n}", "portable") for n in range(24)]
    assert [function(1).data for function in kept] == list(range(1, 25))
    assert [function(2).data for function in kept] == list(range(2, 26))
