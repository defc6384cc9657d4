from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from opto.trace import nodes
from opto.trace.nodes import Node, ParameterNode
from opto.trace.scope import READS
from tests.strategies import values
from tests.trace.helpers import node


@given(values)
def test_a_node_for_anything(value: Any) -> None:
    plain, trained = node(value), node(value, trainable=True)

    assert type(plain) is Node
    assert type(trained) is ParameterNode
    assert plain.data is trained.data is value
    assert node(plain) is plain


def test_a_node_is_given_no_other_name() -> None:
    x = node(1, name="x")

    with pytest.warns(UserWarning, match="Name y is ignored because data is already a Node"):
        assert node(x, name="y") is x
    assert node(x, name="y", trainable=True).name == "y:0"


@pytest.mark.parametrize("value", [len, int, object(), [], None, ..., lambda: 1], ids=repr)
def test_any_object(value: Any) -> None:
    assert node(value).data is value


def test_names_of_the_original() -> None:
    assert nodes.USED_NODES is READS
    assert nodes.IDENTITY_OPERATORS == ("identity", "clone")
    assert nodes.GRAPH is not None
