"""The feedback of proposed code that fails: the line, the exception, what it was given and said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from opto.errors import ExecutionError
from opto.trace import bundle, model
from opto.trace.nodes import node
from tests.conftest import isolation_works
from tests.trace.helpers import node as any_node

POLICIES = ["inprocess", "isolated"]


@pytest.fixture(params=POLICIES, autouse=True)
def policy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "isolated" and not isolation_works():
        pytest.skip("this machine can't isolate code")
    monkeypatch.setenv("OPTO_EXECUTION", request.param)
    return str(request.param)


@model
class Shop:
    def __init__(self) -> None:
        self.rate = node(2, name="rate")
        self.rates = {"a": 1}
        self.secret = "not mentioned by the code"

    @bundle(trainable=True)
    def price(self, weight: Any, unit: str = "kg") -> Any:
        return weight


def shop() -> Any:
    """A new one; what `model` adds to a class isn't known to type checkers."""
    return Shop()


def f(x: Any, y: Any = 3, *rest: Any, **named: Any) -> Any:
    return x


def proposed(text: str, fun: Callable[..., Any] = f) -> Any:
    made: Any = bundle(trainable=True)(fun)
    made.parameter._set(text)
    return made


def feedback(call: Callable[[], Any]) -> str:
    """What a model reads of a failed call."""
    with contextlib.redirect_stdout(None), pytest.raises(ExecutionError) as caught:
        list(call().data)  # of a generator, the items
    return str(caught.value.exception_node.create_feedback("full"))


# ---- one of each kind ----------------------------------------------------------------------------


def test_a_function() -> None:
    text = "def f(x, y=3):\n    print('x is', x)\n    total = x + y\n    return total / (x - 1)"

    assert feedback(lambda: proposed(text)(1)) == (
        "def f(x, y=3):\n"
        "    print('x is', x)\n"
        "    total = x + y\n"
        "    return total / (x - 1) <--- (ZeroDivisionError) division by zero.\n\n"
        "Arguments:\n  x = 1\n  y = 3\n\n"
        "Printed:\nx is 1\n\n"
        "(ZeroDivisionError) division by zero."
    )


def test_a_method_with_the_attributes_that_it_mentions() -> None:
    program = shop()
    program.price.parameter._set(
        "def price(self, weight, unit='kg'):\n"
        "    print(unit)\n"
        "    return self.rates[unit] * self.rate * weight"
    )

    assert feedback(lambda: program.price(any_node([2.5]))) == (
        "def price(self, weight, unit='kg'):\n"
        "    print(unit)\n"
        "    return self.rates[unit] * self.rate * weight <--- (KeyError) kg.\n\n"
        "Arguments:\n  weight = [2.5]\n  unit = 'kg'\n\n"
        "Attributes:\n  self.rates = {'a': 1}\n  self.rate = 2\n\n"
        "Printed:\nkg\n\n"
        "(KeyError) kg."
    )


def test_a_generator() -> None:
    def many(x: int) -> Any:
        yield x

    text = "def many(x):\n    print('one')\n    yield 1\n    print('two')\n    yield x / 0"
    told = feedback(lambda: proposed(text, many)(7))

    assert "    yield x / 0 <--- (ZeroDivisionError)" in told
    assert "Arguments:\n  x = 7" in told
    assert "Printed:\none\ntwo\n" in told


def test_a_coroutine() -> None:
    async def later(x: int) -> Any:
        return x

    text = "async def later(x):\n    print('one')\n    return [][x]"
    told = feedback(lambda: asyncio.run(proposed(text, later)(7)))

    assert "    return [][x] <--- (IndexError) list index out of range." in told
    assert "Arguments:\n  x = 7" in told
    assert "Printed:\none\n" in told


def test_an_asynchronous_generator() -> None:
    async def items(x: int) -> Any:
        yield x

    async def drain() -> list[Any]:
        return [item async for item in proposed(text, items)(7)]

    text = "async def items(x):\n    print('one')\n    yield 1\n    raise ValueError('two')"
    told = feedback(lambda: asyncio.run(drain()))

    assert "    raise ValueError('two') <--- (ValueError) two." in told
    assert "Arguments:\n  x = 7" in told
    assert "Printed:\none\n" in told


def test_surplus_arguments_have_names_too() -> None:
    told = feedback(lambda: proposed("def f(x, y, *rest, **named): return 1 / 0")(1, 2, 3, z=4))

    assert [line in told for line in ("  x = 1", "  y = 2", "  z = 4")] == [True] * 3
    assert " = 3" in told


def test_an_error_in_a_helper_of_the_code_is_marked_there_and_in_the_call() -> None:
    text = "def half(x):\n    return x / 0\n\ndef f(x, y):\n    return half(x)"
    told = feedback(lambda: proposed(text)(1))

    assert "    return x / 0 <--- (ZeroDivisionError) division by zero." in told


def test_a_call_that_does_not_fit_is_marked_where_the_function_starts() -> None:
    told = feedback(lambda: proposed("import math\n\ndef f(x):\n    return x")(1))

    mark = "def f(x): <--- (TypeError) f() takes 1 positional argument but 2 were given."
    assert told.startswith(f"import math\n\n{mark}\n    return x\n\nArguments:\n  x = 1\n")


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("def f(x):\n    return (x", "    return (x <--- (SyntaxError) '(' was never closed."),
        ("def f(x):\nreturn x", "return x <--- (IndentationError) expected an indented block"),
        ("x = 1 / 0\ndef f(x):\n    return x", "x = 1 / 0 <--- (ZeroDivisionError)"),
        ("def g(", "def g( <--- (SyntaxError)"),
        ("nothing = 1", "the code defines no function; it must define f"),
    ],
)
def test_code_that_cannot_be_loaded_is_marked_too(text: str, marked: str) -> None:
    told = feedback(lambda: proposed(text)(1))

    assert marked in told
    assert "Arguments:" not in told  # it isn't their fault


# ---- bounds --------------------------------------------------------------------------------------


def test_long_values_and_output_are_cut() -> None:
    text = "def f(x, y):\n    for i in range(9_999):\n        print('line', i)\n    raise KeyError"
    told = feedback(lambda: proposed(text)("a" * 9_999, list(range(9_999))))

    assert "  x = '" + "a" * 199 + "… (9999 long)" in told
    assert "… (9999 items)" in told
    assert "characters more)" in told.split("Printed:")[1]
    assert "line 0\n" in told
    assert len(told) < 4_000


def test_many_arguments_are_cut() -> None:
    told = feedback(lambda: proposed("def f(*x): return 1 / 0")(*range(30)))

    assert [f" = {number}" in told for number in (18, 29)] == [True, False]
    assert "more)" in told


def test_of_a_long_value_only_the_start_is_shown(policy: str) -> None:
    shown: list[int] = []

    class Item:
        def __repr__(self) -> str:
            shown.append(1)
            return "item"

    if policy == "isolated":
        pytest.skip("live objects don't cross")
    told = feedback(lambda: proposed("def f(x, y): return 1 / 0")([Item()] * 100_000))

    assert "… (100000 items)" in told
    assert len(shown) <= 200


def test_what_would_write_to_a_terminal_is_left_out() -> None:
    text = "def f(x, y):\n    print('\\x1b[2Jred')\n    raise KeyError"
    told = feedback(lambda: proposed(text)("\x1b]0;title\x07", 3))

    assert "\nred\n" in told
    assert "\x1b" not in told


def test_what_has_no_repr_is_named_by_its_type() -> None:
    told = feedback(lambda: proposed("def f(x, y): return 1 / 0")(10**5000))

    assert "  x = <int>" in told


# ---- in this process -----------------------------------------------------------------------------


class Loud:
    """Raises when it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_a_live_object_that_cannot_be_shown(policy: str) -> None:
    if policy == "isolated":
        pytest.skip("live objects don't cross")

    assert "  x = <Loud>" in feedback(lambda: proposed("def f(x, y): return 1 / 0")(Loud()))


def test_what_is_printed_is_printed(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    if policy == "isolated":
        pytest.skip("nothing of another process is shown")
    text = "def f(x, y):\n    print(x, y, sep='-', end='!')\n    print()\n    return print"
    proposed(text)(1)
    proposed("def f(x, y):\n    import sys\n    print(x, file=sys.stderr)")("to stderr")

    assert capsys.readouterr() == ("1-3!\n", "to stderr\n")


def test_output_is_of_the_call_that_failed() -> None:
    function = proposed("def f(x, y):\n    print('x is', x)\n    return 1 / x")
    function(5)
    told = feedback(lambda: function(0))

    assert "Printed:\nx is 0\n" in told
    assert "x is 5" not in told


def test_the_authors_own_code_is_left_as_it_is() -> None:
    @bundle(trainable=True)
    def own(x: int) -> Any:
        print("said")  # noqa: T201
        return 1 / x

    told = feedback(lambda: own(0))
    failed = "(ZeroDivisionError) division by zero."
    assert told.endswith(f"return 1 / x <--- {failed}\n\n{failed}")


def test_values_are_those_that_were_given_not_what_became_of_them() -> None:
    text = "def f(x, y):\n    x.append(4)\n    return 1 / 0"

    assert "  x = [1]\n" in feedback(lambda: proposed(text)([1]))


def test_kinds_of_functions_that_print_stay_what_they_are() -> None:
    async def later(x: int) -> Any:
        return x

    assert (
        asyncio.run(proposed("async def later(x):\n    print(x)\n    return x", later)(7)).data == 7
    )
