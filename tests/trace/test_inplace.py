# ruff: noqa: RUF005 - on nodes, `+` is the point

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import pytest

from opto.trace.nodes import ParameterNode
from tests.trace.helpers import node


@pytest.mark.parametrize("trainable", [False, True])
def test_what_was_computed_before_goes_on_showing_what_it_was_made_from(trainable: bool) -> None:
    x = node([1, 2], trainable=trainable)
    before = x[0] + x.len()
    seen = before.parents[0].parents[0]

    x.append(3)
    after = x.len()

    assert x.data == [1, 2, 3]
    assert after.data == 3
    assert before.parents[0].parents[0].data == [1, 2]
    assert seen is x or seen.data == [1, 2]
    assert after.parents[0] is x


def test_a_parameter_stays_a_root() -> None:
    p = node([1], trainable=True)
    before = p + [0]

    made = p.append(node(2, trainable=True, name="other"))

    assert isinstance(p, ParameterNode)
    assert p.is_root
    assert before.parameter_dependencies == {p}
    assert {found.data if found is not p else 0 for found in made.parameter_dependencies} == {0, 2}
    before.backward("say")
    assert len(p.feedback) == 1


def test_a_result_takes_in_what_was_put_in() -> None:
    p = node(1, trainable=True)
    x = node([0]) + [5]

    x.append(p)
    x.extend([p, 3])
    x[0] = p
    x.backward("say")

    assert x.data == [1, 5, 1, 1, 3]
    assert len(p.feedback) >= 1


def test_a_change_with_itself_makes_no_cycle() -> None:
    x = node([0]) + [1]
    x.append(x)

    assert x.data == [0, 1, [0, 1]]
    assert all(parent is not x for parent in x.parents)
    assert pickle.loads(pickle.dumps(x)).data == x.data
    watched = weakref.ref(x)
    gc.disable()
    try:
        del x
        assert watched() is None
    finally:
        gc.enable()


def test_feedback_received_before_a_change_stays() -> None:
    p = node([1], trainable=True)
    (p + [2]).backward("early")

    p.append(3)
    (p + [4]).backward("late")

    said = {graph.user_feedback for items in p.feedback.values() for graph in items}
    assert said == {"early", "late"}


def test_changes_that_fail_change_nothing() -> None:
    x = node([1]) + [2]
    level = x.level

    with pytest.raises(ValueError, match="not in list"):
        x.remove(9)

    assert x.data == [1, 2]
    assert x.level == level
    assert x.op_name == "add"


def test_what_a_change_gives() -> None:
    x: Any = node([3, 1])

    popped = x.pop()

    assert popped.data == 1
    assert popped.op_name.startswith("pop")
    assert popped.parents[0].data == [3, 1]
    assert x.append(1).data is None
