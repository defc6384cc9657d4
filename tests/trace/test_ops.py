from __future__ import annotations

import copy
import operator
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument, WrongType
from opto.trace.nodes import get_op_name
from opto.trace.ops import Op, argument_names

ADD = Op("add", "[add] x + y", ("x", "y"), operator.add)


@given(st.text("ab._<>", min_size=1), st.text())
def test_the_name_is_in_brackets(name: str, rest: str) -> None:
    assert get_op_name(f"  [{name}]{rest}") == name


@pytest.mark.parametrize("text", ["", "x", "[]", "[a", "x [a]", "[[a]]"])
def test_a_description_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="doesn't start with the operator's name"):
        get_op_name(text)


def test_a_description_must_be_text() -> None:
    with pytest.raises(WrongType, match="must be a str, not int"):
        get_op_name(1)  # type: ignore[arg-type]  # the point


def test_calls_of_one_shape_share_one_object() -> None:
    assert ADD.with_arguments(("x", "y")) is ADD
    variant = ADD.with_arguments(("a", "b"))
    assert variant is ADD.with_arguments(("a", "b"))
    assert (variant.name, variant.arguments, variant.function) == ("add", ("a", "b"), operator.add)


def test_shapes_without_bound_are_not_all_kept() -> None:
    op = Op("f", "[f]", (), len)

    for index in range(1_000):
        assert op.with_arguments((f"x{index}",)).arguments == (f"x{index}",)

    assert len(op.variants) < 200


def test_argument_names() -> None:
    assert argument_names(("x", "y"), 1) == ("x",)
    assert argument_names(("x", "y"), 2) == ("x", "y")
    assert argument_names(("x",), 3) == ("x", "args_0", "args_1")


def test_a_copy_is_the_same_and_a_pickle_holds_no_code() -> None:
    op = Op("f", "[f] text", ("x",), operator.neg, "g")

    twin = pickle.loads(pickle.dumps(op))

    assert copy.deepcopy(op) is op
    assert repr(twin) == repr(op) == "Op('f', x)"
    assert (twin.description, twin.fun_name) == ("[f] text", "g")
    with pytest.raises(InvalidArgument, match="read from a file has no function"):
        twin.function(1)
