from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace import bundle
from opto.trace.bundle import FunModule
from opto.trace.propagators import SumPropagator, TraceGraph
from opto.trace.utils import (
    builtins_list,
    contain,
    dedent,
    escape_json_nested_quotes,
    for_all_methods,
    global_functions_list,
    parse_eqs_to_dict,
    remove_non_ascii,
    sum_feedback,
)
from tests.trace.helpers import node


def test_all_feedback_of_nodes_is_merged() -> None:
    p, q = node(1, trainable=True), node(2, trainable=True)
    out = p + q
    out.backward("say", retain_graph=True)

    total = sum_feedback([p, q])

    assert isinstance(total, TraceGraph)
    assert total.user_feedback == "say"
    assert len(total.graph) == 3
    assert len(total.notes) == 1


def test_numbers_are_summed() -> None:
    p = node(1, trainable=True)
    (p + 1).backward(2, propagator=SumPropagator())
    (p + 1).backward(3, propagator=SumPropagator())

    assert sum_feedback([p]) == 5
    assert sum_feedback([node(1)]) == 0
    assert sum_feedback([]) == 0


def test_membership_by_identity() -> None:
    x, y = node(1), node(1)

    assert x == y
    assert contain([x], x)
    assert not contain([y], x)


def test_all_methods_of_a_class() -> None:
    @for_all_methods(bundle())
    class Maths:
        limit = 3

        def __init__(self, base: int) -> None:
            self.base = base

        def add(self, x: int) -> int:
            return self.base + x

        def double(self, x: int) -> int:
            return 2 * x

    maths: Any = Maths(1)
    assert isinstance(Maths.add, FunModule)
    assert maths.add(2).data == 3
    assert maths.double(2).data == 4
    assert Maths.limit == 3


def test_all_methods_by_another_decorator() -> None:
    @for_all_methods(staticmethod)
    class Odd:
        def method(x: int) -> int:  # type: ignore[misc]  # noqa: N805 - a static one
            return x

    odd: Any = Odd
    assert odd.method(3) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1\ny = `a=b`", {"x": "1", "y": " a=b"}),
        ("lost\nx=1\nmore `text`\n\nend", {"x": "1\nmore text\nend"}),
        ("", {}),
    ],
)
def test_equations(text: str, expected: dict[str, str]) -> None:
    assert parse_eqs_to_dict(text) == expected


def test_texts() -> None:
    assert dedent("  a\n\t b  \n") == "a\nb\n"
    assert remove_non_ascii("añb…") == "ab"
    assert "print" in builtins_list
    assert "print" in global_functions_list
    assert "__name__" not in global_functions_list


words = st.text("abc ,", min_size=1, max_size=5).filter(lambda text: text.strip(" ,") != "")


@given(st.dictionaries(words, words, max_size=3))
def test_right_json_is_left_alone(table: dict[str, str]) -> None:
    text = json.dumps(table)

    assert escape_json_nested_quotes(text) == text


def test_quotes_inside_are_escaped() -> None:
    text = '{"a": "say "yes" now", "b": "\\"right\\""}'

    assert json.loads(escape_json_nested_quotes(text)) == {"a": 'say "yes" now', "b": '"right"'}
