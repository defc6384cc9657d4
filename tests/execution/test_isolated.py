"""Code in a process of its own behaves as the documentation's table says."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pytest

from opto.errors import CannotIsolate, CodeFailed, ExecutionError, UnknownName
from opto.execution import Limits, Policy, execution, isolated
from opto.trace import bundle, model, node
from opto.trace.function import FunModule

pytestmark = pytest.mark.usefixtures("isolation")

OFFSET = 10
TABLE = {"a": [1, 2]}
CLIENT = object()


def helper(x: float) -> float:
    """Uses another global and an imported function."""
    return sqrt(x) + OFFSET


@dataclass
class Point:
    """A class that code may use as a helper."""

    x: int
    y: int = 2


def proposed(text: str, fun: Callable[..., Any] | None = None, **options: Any) -> FunModule[Any]:
    """A trainable function that was given the code `text`."""

    def f(x: Any) -> Any:
        """Return what it is given."""
        return x

    made: FunModule[Any] = bundle(trainable=True, execution=isolated, **options)(fun or f)
    assert made.parameter is not None
    made.parameter._set(text)
    return made


def pid_of(function: FunModule[Any]) -> int:
    return int(function(None).data)


PID = "def f(x):\n    import os\n    return os.getpid()"


# ---- where code runs -----------------------------------------------------------------------------


def test_the_authors_text_runs_here() -> None:
    @bundle(trainable=True, execution=isolated)
    def where(x: Any) -> tuple[int, bool]:
        return os.getpid(), x is CLIENT

    assert where(CLIENT).data == (os.getpid(), True)


def test_another_text_runs_elsewhere_until_it_is_the_authors_again() -> None:
    function = proposed(PID)

    assert pid_of(function) != os.getpid()
    assert function.parameter is not None
    function.parameter._set(function.about.found.text if function.about.found else "")
    assert function(5).data == 5


def test_one_process_for_one_version() -> None:
    counting = "n = []\ndef f(x):\n    n.append(x)\n    return len(n)"
    one, other = proposed(counting), proposed(counting)

    assert [one(0).data, one(0).data, other(0).data] == [1, 2, 1]


def test_the_context_decides_unless_the_bundle_does() -> None:
    @bundle(trainable=True)
    def f(x: Any) -> Any:
        return x

    @bundle(trainable=True, execution="inprocess")
    def here(x: Any) -> Any:
        return x

    for function in (f, here):
        assert function.parameter is not None
        function.parameter._set(PID.replace("def f", f"def {function._fun_name.split('.')[-1]}"))
    with execution("inprocess"):
        assert pid_of(f) == os.getpid()
        with execution("isolated"):
            assert pid_of(f) != os.getpid()
            assert pid_of(here) == os.getpid()
        assert pid_of(f) == os.getpid()
    with execution(Policy("inprocess")):
        assert pid_of(f) == os.getpid()


def test_the_environment_decides_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTO_EXECUTION", "isolated")

    @bundle(trainable=True)
    def f(x: Any) -> Any:
        return x

    assert f.parameter is not None
    f.parameter._set(PID)
    assert pid_of(f) != os.getpid()


def test_an_unknown_way_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTO_EXECUTION", "sandboxed")
    function = proposed("def f(x): return 1")
    function.execution = None

    with pytest.raises(UnknownName, match=r"'sandboxed'; known: inprocess, isolated, portable"):
        function(1)


def test_nothing_runs_by_listing_printing_or_copying(tmp_path: Any) -> None:
    del tmp_path
    function = proposed("print('ran')\nraise SystemExit")

    assert function.parameters()
    assert repr(function)
    assert str(function.parameter)
    assert function.detach().parameters()
    assert function._loaded[0] is None


# ---- what crosses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "text", b"bytes", 1j, [1, (2,)], {1: {2}}, frozenset([1])],
    ids=repr,
)
def test_plain_values_cross_both_ways(value: Any) -> None:
    back = proposed("def f(x):\n    return x")(value).data

    assert back == value
    assert type(back) is type(value)


def test_arrays_cross_both_ways() -> None:
    back = proposed("def f(x):\n    return x @ x, x.mean()")(np.eye(2)).data

    assert (back[0] == np.eye(2)).all()
    assert type(back[1]) is np.float64


def test_arguments_by_name_and_many() -> None:
    def f(a: Any, b: int = 2, *c: Any, **d: Any) -> Any:
        return a, b, c, d

    function = proposed("def f(a, b=3, *c, **d):\n    return [a, b, c, d]", f)

    assert function(1, 2, 3, z=4).data == [1, 2, (3,), {"z": 4}]


def test_changes_of_arguments_stay_inside() -> None:
    given = [1]
    assert proposed("def f(x):\n    x.append(2)\n    return x")(given).data == [1, 2]
    assert given == [1]


def test_globals_are_seen_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    function = proposed("def f(x):\n    TABLE['b'] = 0\n    return OFFSET, sorted(TABLE)")

    assert function(0).data == (10, ["a", "b"])
    assert sorted(TABLE) == ["a"]
    monkeypatch.setitem(globals(), "OFFSET", 11)
    monkeypatch.setitem(TABLE, "c", [])
    assert function(0).data == (11, ["a", "b", "c"])


def test_closures_are_seen_as_they_are_now() -> None:
    bias = 1

    def f(x: Any) -> Any:
        return x + bias

    function = proposed("def f(x):\n    return x * bias", f)
    assert function(2).data == 2
    bias = 5
    assert function(2).data == 10


def test_helpers_go_along_with_what_they_need() -> None:
    assert proposed("def f(x):\n    return helper(x) + Point(1).y")(4).data == 14.0


def test_local_helpers_go_along() -> None:
    def double(x: int) -> int:
        return 2 * x

    text = "def f(x):\n    return double(x) + 1"
    assert proposed(text, lambda_free(double))(4).data == 9


def lambda_free(double: Callable[[int], int]) -> Callable[..., Any]:
    def f(x: Any) -> Any:
        return double(x)

    return f


def test_modules_and_what_they_hold_are_imported() -> None:
    text = "def f(x):\n    return [np.sum(x), sqrt(4), Counter(x)[1]]"

    assert Counter([1])[1] == 1
    assert proposed(text)([1, 1, 2]).data == [4, 2.0, 2]


def test_annotations_need_not_cross() -> None:
    text = "def f(x: FunModule, y: Unknown = 2) -> CLIENT:\n    z: CLIENT = x\n    return z, y"

    assert proposed(text)(1).data == (1, 2)


def test_our_decorators_are_left_out_others_are_kept() -> None:
    text = (
        "from functools import lru_cache\n"
        "@bundle(trainable=True)\n"
        "@lru_cache\n"
        "def f(x):\n    return f.cache_info().misses"
    )
    assert proposed(text)(1).data == 1


@pytest.mark.parametrize(
    "text",
    [
        "from opto.trace import bundle\n@bundle()\ndef f(x):\n    return x + 1",
        "import opto\nimport opto.trace as t\n@t.bundle()\ndef f(x):\n    return x + 1",
    ],
)
def test_our_decorators_may_be_imported_for_nothing_else(text: str) -> None:
    assert proposed(text)(1).data == 2
    with pytest.raises(ImportError, match=r"importing opto\S* isn't allowed"):
        proposed(f"from opto.trace import node\n{text}\n    node(x)")(1)


def test_what_is_not_there_is_said_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nothing_like_this'"):
        proposed("import nothing_like_this\ndef f(x):\n    return x")(1)


def test_all_that_cannot_cross_is_named_at_once() -> None:
    text = "import socket\ndef f(x):\n    return CLIENT, os.getpid(), pytest, proposed, socket"
    with pytest.raises(CannotIsolate) as caught:
        proposed(text.replace("import socket\n", ""))(1)
    message = str(caught.value.__cause__)

    assert isinstance(caught.value, ExecutionError)
    assert isinstance(caught.value.__cause__, CannotIsolate)
    for name in ("CLIENT: object", "pytest: the module", "isolated: opto.execution.policy.Policy"):
        assert name in message
    assert "(used by proposed)" in message
    assert "execution='inprocess'" in message
    assert "os" not in [line.partition(":")[0] for line in caught.value.__cause__.offenders]


def test_arguments_that_cannot_cross_are_all_named() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return x, y, z

    with pytest.raises(CannotIsolate) as caught:
        proposed("def f(x, y, z):\n    return 1", f)(1, object(), z=[len])

    assert isinstance(caught.value.__cause__, CannotIsolate)
    assert [line.partition(":")[0] for line in caught.value.__cause__.offenders] == ["y", "z"]


def test_results_that_cannot_cross_are_errors_of_the_code() -> None:
    with pytest.raises(TypeError, match="can't leave its process: function is not plain data"):
        proposed("def f(x):\n    return f")(1)


def test_imports_that_are_not_allowed_are_marked() -> None:
    with pytest.raises(ImportError) as caught:
        proposed("def f(x):\n    import subprocess\n    return 1")(1)

    assert isinstance(caught.value, ExecutionError)
    shown = caught.value.exception_node.create_feedback("full")
    assert "import subprocess <--- (ImportError) importing subprocess isn't allowed here" in shown


def test_allowed_imports_can_be_named() -> None:
    function = proposed("def f(x):\n    import colorsys, opto\n    return 1")
    function.execution = Policy(imports=frozenset({"colorsys"}))

    with pytest.raises(ImportError, match="importing opto isn't allowed"):
        function(1)


# ---- methods -------------------------------------------------------------------------------------


@model
class Agent:
    """Something with state, of which some is plain."""

    kind = "walker"

    def __init__(self) -> None:
        self.plan = ["a", "b"]
        self.client = CLIENT
        self.__hidden = 7

    @bundle(trainable=True, execution=isolated)
    def act(self, i: int) -> Any:
        return self.plan[i], self.__hidden

    def look(self) -> int:
        return len(self.plan)


def agent(body: str) -> Any:
    made: Any = Agent()
    made.act.parameter._set(f"def act(self, i):\n    {body}")
    return made


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return self.plan[i]", "b"),
        ("return self.kind", "walker"),
        ("return self.__hidden", 7),
        ("return [getattr(self, n) for n in ('plan', 'kind') if hasattr(self, n)]", [["a", "b"]]),
        ("return i", 1),
        ("return type(self).__name__", "Agent"),
    ],
)
def test_methods_read_plain_attributes(body: str, value: Any) -> None:
    assert agent(body).act(1).data == value


def test_methods_name_what_cannot_cross() -> None:
    with pytest.raises(CannotIsolate, match=r"self\.client: object") as caught:
        agent("return self.client").act(1)
    assert isinstance(caught.value.__cause__, CannotIsolate)


@pytest.mark.parametrize("body", ["self.plan = 1", "del self.plan", "self.new = 1"])
def test_methods_cannot_change_their_object(body: str) -> None:
    with pytest.raises(AttributeError, match="self is read-only here"):
        agent(body).act(1)


# ---- kinds of functions --------------------------------------------------------------------------


def test_recursion() -> None:
    assert proposed("def f(x):\n    return 1 if x < 2 else x * f(x - 1)")(20).data > 10**18


def test_a_recursion_without_end_is_an_error() -> None:
    with pytest.raises(RecursionError):
        proposed("def f(x):\n    return f(x)")(1)


def test_async_functions() -> None:
    async def f(x: Any) -> Any:
        return x

    text = "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x * 2"
    function: Any = proposed(text, f)

    async def both() -> list[Any]:
        return [made.data for made in await asyncio.gather(function(1), function(node(2)))]

    assert asyncio.run(both()) == [2, 4]


def test_a_cancelled_task_ends_the_process() -> None:
    async def f(x: Any) -> Any:
        return x

    function: Any = proposed("async def f(x):\n    while x: pass\n    return 'next'", f)

    async def late() -> Any:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(function(1), 0.2)
        return (await function(0)).data

    assert asyncio.run(late()) == "next"


def test_generators_are_drained() -> None:
    def f(x: int) -> Iterator[int]:
        yield x

    function: Any = proposed("def f(x):\n    for i in range(x):\n        yield i", f)
    assert list(function(3).data) == [0, 1, 2]


def test_a_generator_where_there_was_none() -> None:
    made = proposed("def f(x):\n    yield from range(x)")(3).data
    assert iter(made) is made
    assert list(made) == [0, 1, 2]


def test_generators_without_end_are_errors() -> None:
    with pytest.raises(OverflowError, match="more than 100000 items"):
        proposed("def f(x):\n    while True:\n        yield x")(1)


def test_async_generators_are_drained() -> None:
    async def f(x: int) -> AsyncIterator[int]:
        yield x

    function: Any = proposed("async def f(x):\n    for i in range(x):\n        yield i", f)

    async def items() -> list[Any]:
        return [item.data async for item in function(3)]

    assert asyncio.run(items()) == [0, 1, 2]


def test_overlapping_calls_get_a_process_each() -> None:
    function = proposed("def f(x):\n    import os, time\n    time.sleep(x)\n    return os.getpid()")
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(function(0.3).data), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 3


def test_signature_and_kind_stay_the_authors() -> None:
    async def f(x: Any) -> Any:
        return x

    assert inspect.iscoroutinefunction(proposed("async def f(x): return 1", f).fun)


# ---- errors --------------------------------------------------------------------------------------


def feedback(text: str, x: Any = 4, policy: Policy = isolated) -> str:
    """What a model is told of the failure."""
    function = proposed(text)
    function.execution = policy
    with pytest.raises(ExecutionError) as caught:
        function(x)
    return str(caught.value.exception_node.create_feedback("full"))


def test_feedback_shows_line_exception_arguments_and_output() -> None:
    text = "def f(x):\n    print('seen', x)\n    y = 0\n    return x / y"

    assert feedback(text) == (
        "def f(x):\n"
        "    print('seen', x)\n"
        "    y = 0\n"
        "    return x / y <--- (ZeroDivisionError) division by zero.\n"
        "\n"
        "Arguments:\n"
        "  x = 4\n"
        "\n"
        "Printed:\n"
        "seen 4\n"
        "\n"
        "(ZeroDivisionError) division by zero."
    )


def test_arguments_and_output_are_bounded() -> None:
    shown = feedback("def f(x):\n    print('y' * 10**6)\n    raise KeyError(x)", "x" * 10**6)

    assert len(shown) < 7_000
    assert "characters more)" in shown


@pytest.mark.covers("A47")
def test_a_call_that_takes_too_long_shows_where_it_was() -> None:
    text = "def f(x):\n    print('start')\n    while x:\n        y = 1\n        x = y"
    shown = feedback(text, 1, Policy(limits=Limits(seconds=0.5)))

    assert "<--- (TimeoutError) the call took longer than 0.5 s and was stopped." in shown
    assert "\nPrinted:\nstart\n" in shown


def test_what_the_code_raised_keeps_type_text_and_arguments() -> None:
    with pytest.raises(KeyError) as caught:
        proposed("def f(x):\n    return {}[x]")("missing")

    assert isinstance(caught.value, ExecutionError)
    assert caught.value.exception_node.data == "(KeyError) 'missing'"
    assert type(caught.value.__cause__) is KeyError
    assert caught.value.__cause__.args == ("missing",)


def test_own_exceptions_keep_their_name() -> None:
    text = "class Odd(Exception):\n    pass\ndef f(x):\n    raise Odd('strange', x)"
    with pytest.raises(CodeFailed, match="strange") as caught:
        proposed(text)(1)

    assert type(caught.value.__cause__).__name__ == "Odd"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("def f(x) return", SyntaxError),
        ("x = 1", NameError),
        ("raise LookupError('top')\ndef f(x): pass", LookupError),
        ("def f(x):\n    return unknown", NameError),
        ("def f(x, y):\n    return 1", TypeError),
        ("def f(x):\n    return '\\ud800'.encode()", UnicodeEncodeError),
        ("def f(x):\n    open('/none')", FileNotFoundError),
    ],
)
def test_errors_are_of_the_type_that_they_would_have_here(text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        proposed(text)(1)
    assert isinstance(caught.value, ExecutionError)


def test_the_innermost_line_of_the_code_is_marked() -> None:
    text = "def g(x):\n    return x.y\n\ndef f(x):\n    return g(x)"

    assert "    return x.y <--- (AttributeError)" in feedback(text)


def test_an_error_is_no_end() -> None:
    function = proposed("def f(x):\n    return 1 / x")
    with pytest.raises(ZeroDivisionError):
        function(0)

    assert function(1).data == 1.0
