from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto.trace import node
from opto.trace import operators as ops
from opto.trace.table import ARITHMETIC, BY_NAME, FUNCTIONS, METHODS, Row
from tests.strategies import hashables, outcome, scalars, values

ROWS = {row.op.name: row for row in (*METHODS, *FUNCTIONS)}
SLOW = {"power", "lshift", "multiply"}  # small operands only: results grow without bound
OPERANDS: st.SearchStrategy[list[Any]] = st.lists(values, max_size=3)
SMALL: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.text("ab", max_size=3)), max_size=3
)


def test_names_are_unique_in_each_list() -> None:
    for rows in (METHODS, FUNCTIONS):
        names = [row.op.name for row in rows]
        assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_says_what_it_does(row: Row) -> None:
    assert row.op.description.startswith(f"[{row.op.name}] This is an operator: ")
    assert row.op.description.endswith(".")


@pytest.mark.parametrize("name", sorted(row.op.name for row in FUNCTIONS))
@settings(max_examples=12)
@given(data=st.data())
def test_an_operator_agrees_with_its_function(name: str, data: st.DataObject) -> None:
    """On values and exceptions, whether an operand is a node or not."""
    args: list[Any] = data.draw(SMALL if name in SLOW else OPERANDS, label="operands")
    as_node = data.draw(st.lists(st.booleans(), min_size=len(args), max_size=len(args)))
    function = BY_NAME[name].op.function

    plain = outcome(lambda: function(*copy.deepcopy(args)))
    given_args = [
        node(arg) if wrap else arg for arg, wrap in zip(copy.deepcopy(args), as_node, strict=True)
    ]
    traced = outcome(lambda: getattr(ops, name)(*given_args))

    assert plain.agrees(traced)


@pytest.mark.parametrize("row", [r for r in METHODS if r.method and r.kind != "change"], ids=repr)
@settings(max_examples=12)
@given(data=st.data())
def test_a_method_agrees_with_python(row: Row, data: st.DataObject) -> None:
    name = row.op.name
    x = data.draw(
        st.one_of(st.integers(-9, 9), st.text("ab", max_size=3)) if name in SLOW else values
    )
    count = {"unary": 0, "binary": 1}.get(row.kind, data.draw(st.integers(0, 2)))
    operand = st.integers(-9, 9) if name in SLOW else values
    args = [data.draw(operand) for _ in range(count)]

    plain = outcome(lambda: BY_NAME[name].op.function(copy.deepcopy(x), *args))
    traced = outcome(lambda: getattr(node(x), row.method)(*args))

    assert plain.agrees(traced)


@pytest.mark.parametrize("row", [r for r in ARITHMETIC if r.reflected], ids=repr)
@settings(max_examples=15)
@given(data=st.data())
def test_a_reflected_method_keeps_the_order(row: Row, data: st.DataObject) -> None:
    operand = SMALL.filter(bool).map(lambda found: found[0]) if row.op.name in SLOW else scalars
    left, right = data.draw(operand), data.draw(operand)

    plain = outcome(lambda: row.op.function(left, right))
    traced = outcome(lambda: getattr(node(right), row.reflected)(left))

    assert plain.agrees(traced)


@pytest.mark.parametrize(
    ("name", "start", "args"),
    [
        ("list_append", [1], (2,)),
        ("list_extend", [1], ([2],)),
        ("list_insert", [1], (0, 2)),
        ("list_pop", [1, 2], ()),
        ("list_sort", [2, 1], ()),
        ("list_clear", [1], ()),
        ("list_reverse", [1, 2], ()),
        ("list_remove", [1, 2], (1,)),
        ("dict_update", {1: 2}, ({3: 4},)),
        ("dict_pop", {1: 2}, (1,)),
        ("dict_popitem", {1: 2}, ()),
        ("set_add", {1}, (2,)),
        ("set_discard", {1}, (1,)),
    ],
)
def test_the_forms_for_containers_give_a_changed_copy(name: str, start: Any, args: Any) -> None:
    expected = copy.copy(start)
    getattr(expected, name.partition("_")[2])(*args)
    x = node(start)

    made = getattr(ops, name)(x, *args)

    assert made.data == expected
    assert made.data is not start
    assert x.data == start != expected
    assert made.parents[0] is x


def test_sorting_takes_key_and_order() -> None:
    made = ops.list_sort(node(["bb", "a"]), key=len, reverse=True)

    assert made.data == ["bb", "a"]
    assert list(made.inputs) == ["x", "key", "reverse"]


def test_functions_that_have_no_method() -> None:
    x, y = node(3), node([1, 3])

    assert ops.in_(x, y).data is True
    assert ops.not_in(x, y).data is False
    assert ops.cond(node(""), x, y).data == [1, 3]
    assert ops.is_(x, 3).data is True
    assert ops.make_list(x, 4).data == [3, 4]
    assert ops.make_tuple(x, 4).data == (3, 4)
    assert ops.make_set(x, 4).data == {3, 4}
    assert ops.make_dict(a=x, b=4).data == {"a": 3, "b": 4}
    assert ops.pop(y).data == 3
    assert y.data == [1, 3]
    assert ops.power(2, 5, 7).data == 4
    assert ops.round(2.567, 1).data == 2.6
    assert ops.chr_(ops.ord_("a")).data == "a"
    assert ops.call(math.hypot, 3, 4).data == 5.0


@given(hashables)
def test_what_has_no_keys_says_so(value: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'keys'"):
        ops.keys(value)


def test_calling_what_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="int object is not callable"):
        ops.call(1)
