from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opto.trace import bundle
from opto.trace.binding import Plan
from tests.trace.helpers import node


def both(a: Any, /, b: Any = 2, *, c: Any, d: Any = 4) -> Any:
    return a, b, c, d


def positional(a: Any, b: Any = 2, /) -> Any:
    return a, b


def variadic(a: Any, *rest: Any, c: Any = 3, **more: Any) -> Any:
    return a, rest, c, more


def shadowed(a: Any, /, **more: Any) -> Any:
    return a, more


def nothing() -> Any:
    return None


FUNCTIONS: list[Callable[..., Any]] = [both, positional, variadic, shadowed, nothing]
arguments = st.lists(st.integers(), max_size=4).map(tuple)
named = st.dictionaries(st.sampled_from("abcdz"), st.integers(), max_size=3)


def outcome_of(call: Callable[[], Any]) -> Any:
    """What it gives, or `TypeError`."""
    try:
        return call()
    except TypeError:
        return TypeError


def bound_call(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    bound = Plan(fun).bind(args, kwargs)
    count = bound.positional
    by_name = dict(zip(bound.names[count:], bound.values[count:], strict=True))
    return fun(*bound.values[:count], **by_name)


@given(st.sampled_from(FUNCTIONS), arguments, named)
def test_arguments_are_bound_as_python_does(
    fun: Callable[..., Any], args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    expected = outcome_of(lambda: fun(*args, **kwargs))

    assert outcome_of(lambda: bound_call(fun, args, kwargs)) == expected


def test_what_is_left_to_python_when_nothing_defaults() -> None:
    def two(x: Any, y: Any) -> Any:
        return x, y

    plan = Plan(two)
    assert (plan.names, plan.count, plan.simple) == (("x", "y"), 2, True)
    assert not Plan(both).simple


def test_builtins_that_do_not_tell_take_anything() -> None:
    bound = Plan(max).bind((1, 2), {"key": None})

    assert bound.names == ("args_0", "args_1", "key")
    assert bound.positional == 2
    assert bundle()(max)(1, node(5)).data == 5


def test_surplus_arguments_are_numbered() -> None:
    bound = Plan(variadic).bind((1, 2, 3), {"z": 4})

    assert bound.names == ("a", "args_0", "args_1", "c", "z")
    assert bound.values == (1, 2, 3, 3, 4)


def test_a_named_argument_that_looks_like_a_surplus_one_is_another_input() -> None:
    made = bundle()(variadic)(1, 2, args_0=3)

    assert made.data == (1, (2,), 3, {"args_0": 3})
    assert len(made.inputs) == 4
