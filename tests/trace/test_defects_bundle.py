"""Faults of the original's `bundle`: none may be ours."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opto import trace
from opto.errors import SourceNotFound
from opto.trace import bundle
from opto.trace.nodes import MessageNode
from opto.trace.utils import sum_feedback
from tests.trace.helpers import node, same_nodes


def fib(n: int) -> str:
    """A function of the module with the name of a bundle in a function."""
    return f"the module's own {n}"


def in_a_thread(work: Callable[[], Any]) -> Any:
    """Run with a fresh stack."""
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(work()))
    thread.start()
    thread.join()
    return got[0]


# ---- what can be bundled -------------------------------------------------------------------------


@pytest.mark.covers("A40")
def test_positional_only_defaults() -> None:
    @bundle()
    def add(a: int, b: int = 2, /) -> int:
        return a + b

    assert add(1).data == 3
    assert add(1, 5).data == 6
    assert list(add(1).inputs) == ["a", "b"]


@pytest.mark.covers("A42", "S5.3.1")
def test_bundles_as_arguments() -> None:
    @bundle()
    def more(x: Any) -> Any:
        return x + 1

    @bundle()
    def apply(g: Any, x: Any) -> Any:
        return g(x)

    made = apply(more, 1)

    assert made.data == 2
    assert list(made.inputs) == ["g", "x"]


@pytest.mark.covers("A42", "S5.3.1")
def test_trainable_bundles_as_arguments_stand_for_their_code() -> None:
    @bundle(trainable=True)
    def more(x: Any) -> Any:
        return x + 1

    @bundle()
    def apply(g: Any, x: Any) -> Any:
        return g(x)

    made = apply(more, 1)

    assert made.data == 2
    assert made.inputs["g"] is more.parameter
    assert same_nodes(made.parameter_dependencies, [more.parameter])


@pytest.mark.covers("A50", "S5.11.1")
def test_a_decorator_under_another_name() -> None:
    learning = bundle(trainable=True)

    @learning
    def more(x: int) -> int:
        return x + 1

    assert more.parameter is not None
    assert more(1).data == 2
    assert more.parameter.data.startswith("def more(x: int)")
    more.parameter._set(more.parameter.data.replace("+ 1", "+ 10"))
    assert more(1).data == 11


@pytest.mark.covers("A51", "S5.1")
def test_functions_without_source() -> None:
    made_by_exec: dict[str, Any] = {}
    exec("def first(x): return x[0]", made_by_exec)

    assert bundle()(lambda x: [*x, 1])([2]).data == [2, 1]
    assert bundle()(len)([1, 2]).data == 2
    made: list[Any] = [bundle()(made_by_exec["first"])([7]), bundle()(int)("11")]
    made.append(bundle()(max)(1, 2))
    assert [result.data for result in made] == [7, 11, 2]


@pytest.mark.covers("A51", "S5.1")
def test_code_without_source_cannot_be_trained_and_says_so() -> None:
    made_by_exec: dict[str, Any] = {}
    exec("def first(x): return x[0]", made_by_exec)

    for function in (made_by_exec["first"], len, lambda x: x):
        with pytest.raises(SourceNotFound, match=r"source.*(file|notebook)"):
            bundle(trainable=True)(function)


@pytest.mark.covers("A52")
def test_the_decorator_without_parentheses() -> None:
    @bundle
    def more(x: int) -> int:
        """Add one."""
        return x + 1

    assert more(1).data == 2
    assert more.name.endswith("more")
    assert more.description.endswith("Add one.")


@pytest.mark.covers("A54")
def test_generators_are_traced_as_they_run() -> None:
    @bundle()
    def parts(n: int) -> Iterator[float]:
        for i in range(n):
            yield 10 / (2 - i)

    n = node(5, trainable=True)
    made = iter(parts(n))
    first, second = next(made), next(made)

    assert (first.data, second.data) == (5, 10)
    assert same_nodes(first.parameter_dependencies, [n])
    with pytest.raises(trace.ExecutionError) as caught:
        next(made)
    assert isinstance(caught.value, ZeroDivisionError)
    assert same_nodes(caught.value.exception_node.parameter_dependencies, [n])


@pytest.mark.covers("A67")
def test_a_bundle_shows_what_its_function_shows() -> None:
    @bundle()
    async def ask(x: int) -> int:
        """Documented."""
        return x

    shown: Any = ask
    assert shown.__name__ == "ask"
    assert shown.__doc__ == "Documented."
    assert shown.__module__ == __name__
    assert list(inspect.signature(shown).parameters) == ["x"]
    assert asyncio.iscoroutinefunction(shown) or inspect.iscoroutinefunction(shown)


# ---- recursion -----------------------------------------------------------------------------------


@pytest.mark.covers("A53", "S5.8.1")
def test_recursion_patches_nothing() -> None:
    def local() -> Any:
        @bundle(overwrite_python_recursion=True)
        def fib(n: int) -> Any:
            return 1 if n < 2 else fib(n - 1) + fib(n - 2)

        return fib(node(4, trainable=True))

    before = fib
    made = local()

    assert made.data == 5
    assert isinstance(made, MessageNode)
    assert fib is before
    assert fib(1) == "the module's own 1"


@pytest.mark.covers("A53")
def test_recursion_that_fails_leaves_no_tracer() -> None:
    @bundle(overwrite_python_recursion=True, catch_execution_error=False)
    def fact(n: int) -> int:
        return 1 // 0 if n == 0 else n * fact(n - 1)  # type: ignore[return-value]  # plain inside

    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        fact(3)

    assert sys.gettrace() is before


@pytest.mark.covers("A98")
def test_recursion_through_a_bundle_goes_deep() -> None:
    @bundle()
    def down(n: Any) -> Any:
        return 0 if n == 0 else down(n - 1) + 1

    assert in_a_thread(lambda: down(200).data) == 200


@pytest.mark.covers("A98", "A102")
def test_endless_recursion_is_reported_as_such() -> None:
    @bundle()
    def down(n: Any) -> Any:
        return down(n)

    def error() -> Any:
        with pytest.raises(RecursionError) as caught:
            down(1)
        return caught.value

    assert isinstance(in_a_thread(error), trace.ExecutionError)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.covers("A43", "S5.5.3")
def test_exceptions_without_arguments_are_shown() -> None:
    @bundle()
    def check(x: int) -> int:
        assert x > 5
        return x

    @bundle()
    def fail(x: int) -> int:
        raise ValueError

    with pytest.raises(AssertionError) as caught:
        check(1)
    with pytest.raises(ValueError, match=r"ValueError$") as other:
        fail(1)

    failures: list[Any] = [caught.value, other.value]
    for error, name in zip(failures, ("AssertionError", "ValueError"), strict=True):
        assert isinstance(error, trace.ExecutionError)
        assert error.exception_node.data.startswith(f"({name})")
        assert f"<--- ({name})" in error.exception_node.info["error_comment"]


@pytest.mark.covers("A94", "S5.5.3")
def test_comments_on_trainable_code_point_at_the_right_line() -> None:
    @bundle(trainable=True)
    def part(x: int) -> float:
        y = x + 1
        return y / 0

    with pytest.raises(trace.ExecutionError) as caught:
        part(1)

    comment = caught.value.exception_node.info["error_comment"]
    marked = [line for line in comment.splitlines() if "<---" in line]
    assert marked == ["    return y / 0 <--- (ZeroDivisionError) division by zero."]
    assert comment.splitlines()[-1] == "(ZeroDivisionError) division by zero."


@pytest.mark.covers("A102", "S5.5.6")
def test_an_error_inside_a_bundle_inside_a_bundle_is_that_error() -> None:
    @bundle()
    def parse(s: str) -> int:
        return int(s)

    @bundle()
    def agent(q: str) -> Any:
        return parse(q) + 1

    q = node("seven", trainable=True)
    with pytest.raises(ValueError, match="invalid literal") as caught:
        agent(q)

    error: Any = caught.value
    assert isinstance(error, trace.ExecutionError)
    assert error.exception_node.data.startswith("(ValueError) invalid literal")
    error.exception_node.backward("fix it")
    assert sum_feedback([q]).user_feedback == "fix it"


@pytest.mark.covers("A83", "S5.6.1")
@pytest.mark.parametrize(
    "ask", [bool, len, lambda n: n == [1, 2], lambda n: n != [1], lambda n: 1 in n]
)
def test_tests_of_unlisted_nodes_are_noted(ask: Callable[[Any], Any]) -> None:
    unlisted = node([1, 2], trainable=True)

    @bundle()
    def choose(x: int) -> int:
        return x if ask(unlisted) else -x

    made = choose(1)
    made.backward("why")

    assert made.data == 1
    assert same_nodes(made.info["external_dependencies"], [unlisted])
    assert sum_feedback([unlisted]).user_feedback == "why"
    assert list(made.inputs) == ["x"]
