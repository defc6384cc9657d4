from __future__ import annotations

import pickle
import sys
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import ExecutionError, InvalidArgument
from opto.trace import bundle
from opto.trace.failures import error_class, failure_of
from opto.trace.nodes import ExceptionNode
from tests.trace.helpers import node


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Own(KeyError):
    """An error of the user's own."""


class Picky(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)


class Slotted(Exception):
    __slots__ = ("a",)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - given back
        return caught


def exception_node(call: Any) -> ExceptionNode:
    with pytest.raises(ExecutionError) as caught:
        call()
    found: Any = caught.value
    return found.exception_node  # type: ignore[no-any-return]  # an ExceptionNode


@pytest.mark.parametrize(
    ("error", "text", "summary"),
    [
        (ValueError("x"), "(ValueError) x", "(ValueError) x."),
        (ValueError(), "(ValueError) ", "(ValueError)."),
        (KeyError("k"), "(KeyError) 'k'", "(KeyError) k."),
        (Own("k"), f"({Own.__module__}.Own) 'k'", "(Own) k."),
        (Picky(1, 2), f"({Picky.__module__}.Picky) (1, 2)", "(Picky) 1."),
    ],
)
def test_what_is_said_of_an_exception(error: Exception, text: str, summary: str) -> None:
    failure = failure_of(raised(error))

    assert failure.text == text
    assert failure.summary == summary
    assert failure.comment().endswith(summary)
    assert failure.report().splitlines()[-1].startswith(failure.qualified)


def test_an_exception_that_cannot_be_printed() -> None:
    text = "<unprintable Unprintable: RuntimeError in __str__>"

    assert failure_of(raised(Unprintable())).message == text


def test_long_messages_are_bounded() -> None:
    assert len(failure_of(raised(ValueError("x" * 10**6))).text) < 200_000


def test_the_report_is_python_s_without_ours() -> None:
    @bundle()
    def divide(x: int, y: int) -> float:
        return x / y

    made = exception_node(lambda: divide(1, 0))
    report = made.info["traceback"]

    assert report.startswith("Traceback (most recent call last):\n")
    assert report.endswith("ZeroDivisionError: division by zero")
    assert "return x / y" in report
    assert "opto/trace" not in report
    assert made.exception_report == report


def test_the_comment_marks_each_call() -> None:
    def inner(x: int) -> int:
        items = [x]
        return items[5]

    @bundle()
    def outer(x: int) -> int:
        y = inner(x)
        return y + 1

    comment = exception_node(lambda: outer(1)).create_feedback("full")

    assert "y = inner(x) <--- Error raised in function call. See below." in comment
    assert "return items[5] <--- (IndexError) list index out of range." in comment
    assert comment.splitlines()[-1] == "(IndexError) list index out of range."


def test_code_without_a_source_ends_the_comment() -> None:
    space: dict[str, Any] = {}
    exec("def hidden(x):\n    return x[9]", space)

    @bundle()
    def outer(x: Any) -> Any:
        return space["hidden"](x)

    comment = exception_node(lambda: outer([])).create_feedback("full")

    assert 'return space["hidden"](x) <--- (IndexError) list index out of range.' in comment


def test_code_at_the_top_of_a_text() -> None:
    learn = bundle(trainable=True)(at_top)
    parameter: Any = learn.parameter
    parameter._set("import math\nz = math.no_such\ndef at_top(x):\n    return x")

    made = exception_node(lambda: learn(1))

    assert "z = math.no_such <--- (AttributeError)" in made.create_feedback("full")
    assert "z = math.no_such" in made.info["traceback"]


def at_top(x: Any) -> Any:
    return x


def test_feedback_of_a_failure() -> None:
    made = exception_node(lambda: node(1) / 0)

    assert made.create_feedback() == made.data == "(ZeroDivisionError) division by zero"
    with pytest.raises(InvalidArgument, match="style must be 'simple' or 'full', not 'long'"):
        made.create_feedback("long")  # type: ignore[arg-type]  # the point
    by_hand = ExceptionNode("(E) text", inputs=[], description="[exception] x")
    assert by_hand.create_feedback("full") == by_hand.exception_report == "(E) text"
    assert type(by_hand.as_error()).__mro__[1] in {ExecutionError, ExecutionError.__mro__[1]}


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, UnicodeDecodeError, Own, Picky])
def test_the_error_is_of_the_original_type_too(kind: Any) -> None:
    made = error_class(kind)

    assert issubclass(made, ExecutionError)
    assert issubclass(made, kind)
    assert made.__name__ == "ExecutionError"
    assert made is error_class(kind)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, KeyboardInterrupt, SystemExit])
def test_what_ends_iterations_or_programs_is_not_imitated(kind: Any) -> None:
    assert error_class(kind) is ExecutionError


def test_types_that_cannot_be_combined() -> None:
    assert error_class(Slotted) is ExecutionError or issubclass(error_class(Slotted), Slotted)


def test_keyboard_interrupts_go_through() -> None:
    @bundle()
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()


@given(st.integers(0, 4))
def test_nested_failures_tell_of_the_innermost(depth: int) -> None:
    def innermost(x: Any) -> Any:
        return x.nothing

    function: Any = innermost
    for _ in range(depth + 1):
        inner = function
        function = bundle()(lambda x, inner=inner: inner(x))

    made = exception_node(lambda: function(1))

    assert made.data == "(AttributeError) 'int' object has no attribute 'nothing'"
    assert "x.nothing" in made.info["traceback"]


def test_the_original_is_the_cause_and_no_frame_is_kept() -> None:
    with pytest.raises(ExecutionError) as caught:
        _ = node(1) / 0
    error: Any = caught.value

    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "frame" not in repr(error.exception_node._failure)
    assert traceback.format_exception(*sys.exc_info()) == ["NoneType: None\n"]


def test_failures_survive_pickling() -> None:
    made = exception_node(lambda: node(1) / 0)

    twin = pickle.loads(pickle.dumps(made))

    assert twin.data == made.data
    assert twin.create_feedback("full") == "(ZeroDivisionError) division by zero."
