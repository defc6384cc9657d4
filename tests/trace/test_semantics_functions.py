"""SEMANTICS §4: the operators as functions."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from opto.trace import operators as ops
from opto.trace.utils import contain
from tests.trace.helpers import node, same_nodes

# ---- operators as functions ----------------------------------------------------------------------


@pytest.mark.covers("S4.1", "S4.2")
@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("clone", ([1],), [1]), ("pos", (1,), 1), ("neg", (1,), -1), ("abs", (-1,), 1),
        ("invert", (1,), -2), ("round", (1.26, 1), 1.3), ("floor", (1.5,), 1),
        ("ceil", (1.5,), 2), ("trunc", (1.5,), 1), ("add", (1, 2), 3), ("subtract", (1, 2), -1),
        ("multiply", (2, 3), 6), ("floor_divide", (7, 2), 3), ("divide", (3, 2), 1.5),
        ("mod", (7, 2), 1), ("node_divmod", (7, 2), (3, 1)), ("power", (2, 3), 8),
        ("lshift", (1, 2), 4), ("rshift", (4, 1), 2), ("and_", (3, 2), 2), ("or_", (1, 2), 3),
        ("xor", (3, 1), 2), ("lt", (1, 2), True), ("le", (1, 2), True), ("eq", (1, 2), False),
        ("neq", (1, 2), True), ("ne", (1, 2), True), ("ge", (1, 2), False), ("gt", (1, 2), False),
        ("cond", (False, 1, 2), 2), ("cond", (True, 1, 2), 1), ("not_", (1,), False),
        ("is_", (None, None), True), ("is_not", (None, None), False), ("in_", (1, [1]), True),
        ("not_in", (1, [1]), False), ("getitem", ([5], 0), 5), ("pop", ([5, 6], 0), 5),
        ("len_", ([1],), 1), ("ord_", ("a",), 97), ("chr_", (97,), "a"),
        ("concat", ("a", "b"), "ab"),
        ("lower", ("A",), "a"), ("upper", ("a",), "A"), ("title", ("a b",), "A B"),
        ("swapcase", ("aB",), "Ab"), ("capitalize", ("ab",), "Ab"),
        ("split", ("a b c", " ", 1), ["a", "b c"]),
        ("strip", (" a ",), "a"), ("strip", ("xax", "x"), "a"),
        ("replace", ("aa", "a", "b", 1), "ba"),
        ("format", ("{}", 1), "1"), ("join", (",", "a", "b"), "a,b"),
        ("node_getattr", (1j, "imag"), 1.0),
        ("call", (max, 1, 2), 2), ("to_list", ((1, 2),), [1, 2]), ("make_list", (1, 2), [1, 2]),
        ("to_dict", ([("a", 1)],), {"a": 1}), ("to_set", ([1],), {1}), ("make_set", (1, 1), {1}),
        ("to_tuple", ([1],), (1,)), ("make_tuple", (1, 2), (1, 2)), ("keys", ({"a": 1},), ["a"]),
        ("values", ({"a": 1},), [1]), ("get", ({"a": 1}, "a"), 1), ("get", ({}, "a", 3), 3),
    ],
)  # fmt: skip
def test_operators_work_on_plain_values_and_nodes(
    name: str, args: tuple[Any, ...], expected: Any
) -> None:
    operator = getattr(ops, name)

    plain, traced = operator(*args), operator(*[node(arg) for arg in args])

    assert plain.data == traced.data == expected
    assert plain.op_name == name
    assert plain.description.startswith(f"[{name}] ")
    assert len(traced.inputs) == len(args)


@pytest.mark.covers("S4.3", "S4.6", "S3.32")
@pytest.mark.parametrize(
    ("name", "start", "args", "expected"),
    [
        ("dict_update", {"a": 1}, ({"b": 2},), {"a": 1, "b": 2}),
        ("dict_pop", {"a": 1}, ("a",), {}),
        ("dict_popitem", {"a": 1}, (), {}), ("list_append", [1], (2,), [1, 2]),
        ("list_clear", [1], (), []), ("list_extend", [1], ([2, 3],), [1, 2, 3]),
        ("list_insert", [1], (0, 0), [0, 1]), ("list_pop", [1, 2], (0,), [2]),
        ("list_pop", [1, 2], (), [1]), ("list_remove", [1, 2], (1,), [2]),
        ("list_reverse", [1, 2], (), [2, 1]), ("list_sort", [2, 1], (), [1, 2]),
        ("set_add", {1}, (2,), {1, 2}), ("set_clear", {1}, (), set()),
        ("set_discard", {1}, (1,), set()),
        ("set_intersection_update", {1, 2}, ({1},), {1}), ("set_pop", {1}, (), set()),
        ("set_remove", {1}, (1,), set()), ("set_symmetric_difference_update", {1}, ({2},), {1, 2}),
        ("set_update", {1}, ({2},), {1, 2}),
    ],
)  # fmt: skip
def test_operators_on_containers_leave_them_alone(
    name: str, start: Any, args: tuple[Any, ...], expected: Any
) -> None:
    x, before = node(start), copy.copy(start)

    made = getattr(ops, name)(x, *args)

    assert made.data == expected
    assert x.data is start
    assert start == before
    assert contain(made.parents, x)


@pytest.mark.covers("S4.2")
def test_sorting_and_dicts_by_name() -> None:
    assert ops.list_sort(node([1, 3, 2]), reverse=True).data == [3, 2, 1]
    assert ops.list_sort([-2, 1], key=abs).data == [1, -2]
    assert ops.make_dict(a=1, b=node(2)).data == {"a": 1, "b": 2}
    assert list(ops.make_dict(a=1, b=2).inputs) == ["a", "b"]


@pytest.mark.covers("S4.6", "S24.4")
def test_operators_called_by_name_keep_the_names() -> None:
    x, y = node(1), node(2)

    made = ops.add(x=x, y=y)

    assert made.data == 3
    assert list(made.inputs) == ["x", "y"]
    assert made.inputs["y"] is y


class Reply:
    """What models return."""

    def __init__(self, content: str) -> None:
        message = type("Message", (), {"content": content})
        self.choices = [type("Choice", (), {"message": message})]


@pytest.mark.covers("S4.5", "S24.1")
def test_asking_a_model() -> None:
    asked: list[Any] = []

    def model(*, messages: list[dict[str, str]], **options: Any) -> Reply:
        asked.append((messages, options))
        return Reply("fine")

    prompt = node("hello", trainable=True)
    made = ops.call_llm(model, "be brief", prompt, max_tokens=5)
    alone = ops.call_llm(model, None, prompt)

    assert (made.data, made.op_name, alone.data) == ("fine", "call_llm", "fine")
    assert same_nodes(made.parameter_dependencies, [prompt])
    assert asked[0][0][0] == {"role": "system", "content": "be brief"}
    assert asked[0][0][1]["content"] == "hello"
    assert asked[0][1]["max_tokens"] == 5
    assert [message["role"] for message in asked[1][0]] == ["user"]
