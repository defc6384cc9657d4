from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given

from opto.trace import new_scope
from tests.strategies import Shape, build, shapes
from tests.trace.helpers import node


@given(shapes())
def test_graphs_survive_together(shape: Shape) -> None:
    nodes, below = build(shape)
    nodes[-1].backward("say", retain_graph=True)

    with new_scope():
        twins: list[Any] = pickle.loads(pickle.dumps(nodes))

    place = {id(twin): index for index, twin in enumerate(twins)}
    original = {id(made): index for index, made in enumerate(nodes)}
    assert len(place) == len(nodes)
    for made, twin in zip(nodes, twins, strict=True):
        assert (twin.name, twin.data, type(twin)) == (made.name, made.data, type(made))
        assert [place[id(p)] for p in twin.parents] == [original[id(p)] for p in made.parents]
        assert twin.feedback == {}
    twins[-1].backward("again")
    reached = {index for index, twin in enumerate(twins) if twin.feedback}
    assert reached == below[-1]


def test_words_survive() -> None:
    p = node(1, name="p", trainable=True, description="What.", constraint="Small.")
    twin = pickle.loads(pickle.dumps(p))

    assert (twin.description, twin._constraint) == ("[ParameterNode] What.", "Small.")
    assert twin.trainable
    detached = copy.deepcopy(p)
    assert (detached.description, detached._constraint) == ("[ParameterNode] What.", "Small.")


def test_operations_are_stored_as_data() -> None:
    made = pickle.loads(pickle.dumps(node(1) + 2))

    assert made.data == 3
    assert made.op_name == "add"
    assert made.info["source"] is None
    assert (made + 1).data == 4


def test_values_that_cannot_be_pickled_say_so() -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(node(lambda: 1))


def test_what_was_changed_in_place_survives() -> None:
    p = node(2, trainable=True)
    x = node([1])
    x.append(p)

    twin = pickle.loads(pickle.dumps(x))

    assert twin.data == [1, 2]
    assert {found.data for found in twin.parameter_dependencies} == {2}
