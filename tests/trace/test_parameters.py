from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from opto.errors import WrongType
from opto.trace.nodes import ParameterNode
from opto.trace.projections import DocstringProjection
from tests.trace.helpers import node


def test_what_a_parameter_is() -> None:
    p = ParameterNode(1, name="p", constraint="Small.", info={"k": 1})

    assert (p.name, p.data, p.trainable, p.is_code) == ("p:0", 1, True, False)
    assert p.projections == []
    assert p.info == {"k": 1}
    assert str(p).startswith("ParameterNode: (p:0")


def test_projections() -> None:
    projection = DocstringProjection("Kept.")
    wrong: list[Any] = [projection, [3]]

    assert ParameterNode("x", projections=[projection]).projections == [projection]
    for given in wrong:
        with pytest.raises(WrongType, match="projections must be None or a list"):
            ParameterNode("x", projections=given)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies_are_parameters_of_their_own(again: Any) -> None:
    p: Any = ParameterNode(
        [1], trainable=False, projections=[DocstringProjection("x")], is_code=True
    )

    twin = again(p)
    twin.projections.clear()
    twin.trainable = True

    assert isinstance(twin, ParameterNode)
    assert twin.is_code
    assert twin.parameter_dependencies == {twin}
    assert len(p.projections) == 1
    assert not p.trainable
    assert (twin + [2]).parameter_dependencies == {twin}  # noqa: RUF005 - the operator is the point


def test_a_parameter_of_a_node() -> None:
    x = node([1], name="x")
    p = node(x, trainable=True)

    assert p.data is x.data
    assert p.name == "x:1"
    assert p.is_root
