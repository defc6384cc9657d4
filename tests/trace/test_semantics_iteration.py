"""SEMANTICS §3: iteration, and the methods of values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opto import trace
from opto.trace import bundle
from opto.trace import operators as ops
from opto.trace.nodes import IDENTITY_OPERATORS
from opto.trace.utils import contain
from tests.trace.helpers import node, same_nodes

TEXT: list[tuple[str, tuple[Any, ...]]] = [
    ("capitalize", ()),
    ("lower", ()),
    ("upper", ()),
    ("swapcase", ()),
    ("title", ()),
    ("split", ()),
    ("split", (" ", 1)),
    ("strip", ()),
    ("strip", ("a ",)),
    ("replace", ("b", "c")),
    ("replace", ("b", "c", 1)),
    ("format", ()),
]


# ---- iteration -----------------------------------------------------------------------------------


@pytest.mark.covers("S3.28")
@pytest.mark.parametrize("values", [[1, 2], (1, 2), "ab", np.array([1, 2])])
def test_iteration_by_index(values: Any) -> None:
    x = node(values)

    made = list(x)

    assert [item.data for item in made] == list(values)
    assert all(item.op_name == "getitem" and contain(item.parents, x) for item in made)


@pytest.mark.covers("S3.28")
def test_iteration_over_sets_and_dicts() -> None:
    few, table = node({1, 2}), node({"a": 1, "b": 2})

    items, keys = list(few), list(table)

    assert sorted(item.data for item in items) == [1, 2]
    assert {item.parents[0].op_name for item in items} == {"to_list"}
    assert contain(items[0].parents[0].parents, few)
    assert [key.data for key in keys] == ["a", "b"]
    assert contain(keys[0].parents[0].parents, table)


@pytest.mark.covers("S3.28", "S5.4.1")
def test_unpacking() -> None:
    @bundle()
    def nothing(x: int) -> Any:
        return None if x else (1, 2)

    a, b = nothing(0)
    assert (a.data, b.data) == (1, 2)
    failed = nothing(1)
    with pytest.raises(TypeError, match="Cannot unpack non-iterable <class 'NoneType'>") as caught:
        a, b = failed
    error: Any = caught.value
    assert isinstance(error, trace.ExecutionError)
    assert same_nodes(error.exception_node.parents, [failed])


@pytest.mark.covers("S3.29", "S4.4", "S22.1")
def test_items_keys_and_values() -> None:
    x = node({"a": 1})

    ((key, value),) = x.items()

    assert (key.data, value.data) == ("a", 1)
    assert contain(key.parents[0].parents, x)
    assert contain(value.parents, x)
    assert (x.keys().data, x.values().data) == (["a"], [1])
    with pytest.raises(AttributeError):
        node([1]).items()
    for method in ("keys", "values"):
        with pytest.raises(trace.ExecutionError, match=f"object has no attribute '{method}'"):
            getattr(node([1]), method)()


@pytest.mark.covers("S3.30")
def test_iteration_starts_again() -> None:
    x = node([1, 2])
    plain: dict[str, Any] = {}
    plain.update(node({"a": 1}))

    assert [item.data for item in x] == [item.data for item in x] == [1, 2]
    assert {str(node(k).data): node(v).data for k, v in plain.items()} == {"a": 1}


# ---- methods -------------------------------------------------------------------------------------


@pytest.mark.covers("S3.31")
@pytest.mark.parametrize(("method", "args"), TEXT)
@pytest.mark.parametrize("wrap", [False, True])
def test_methods_of_text(method: str, args: tuple[Any, ...], wrap: bool) -> None:
    text = " abB ab "
    x = node(text, trainable=True)

    made = getattr(x, method)(*[node(arg) if wrap else arg for arg in args])

    assert made.data == getattr(text, method)(*args)
    assert made.op_name == method
    assert same_nodes(made.parameter_dependencies, [x])
    with pytest.raises(AttributeError, match=f"<class 'int'> object has no attribute '{method}'"):
        getattr(node(1), method)(*args)


@pytest.mark.covers("S3.31", "S22.1")
def test_format_and_join() -> None:
    part = node("p", trainable=True)

    formatted = node("{}-{k}").format(part, k=2)
    joined = node(", ").join([part, "q", part])

    assert (formatted.data, joined.data) == ("p-2", "p, q, p")
    assert same_nodes(formatted.parameter_dependencies, [part])
    assert list(joined.inputs)[1:] == ["args_0", "args_1", "args_2"]
    assert joined.inputs["args_0"] is part
    with pytest.raises(TypeError, match="Can only join an iterable"):
        node(",").join(3)


@pytest.mark.covers("S3.32")
def test_get() -> None:
    x = node({"a": 1})

    assert (x.get("a").data, x.get("b").data, x.get("b", 2).data) == (1, None, 2)
    assert contain(x.get("a").parents, x)


@pytest.mark.covers("S3.33")
def test_clone() -> None:
    x = node([[1]], trainable=True)

    made, same = x.clone(), ops.identity(x)

    assert made.data == same.data == [[1]]
    assert made.data[0] is not x.data[0]
    assert (made.name, same_nodes(made.parents, [x])) == ("clone:0", True)
    assert IDENTITY_OPERATORS == ("identity", "clone")


@pytest.mark.covers("S3.34", "S23.4")
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: x.detach()])
def test_copies(copied: Callable[[Any], Any]) -> None:
    x = node([1], name="x", trainable=True)
    (x + x).backward("f")

    one = copied(x)
    two = copied(one)

    assert (one.name, two.name) == ("x0_copy:0", "x0_copy0_copy:0")
    assert type(one) is type(x)
    assert one.data == [1]
    assert one.data is not x.data
    assert (one.parents, one.children, one.feedback) == ([], [], {})
