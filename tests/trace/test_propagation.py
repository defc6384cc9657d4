from __future__ import annotations

from typing import Any

import pytest

from opto.errors import AlreadyPropagated
from opto.trace.propagation import propagate
from opto.trace.propagators import GraphPropagator, SumPropagator
from tests.trace.helpers import node


class Refusing(SumPropagator):
    def deliver(self, output: Any, feedback: Any) -> Any:
        super().deliver(output, feedback)
        raise IndexError


def test_all_or_nothing() -> None:
    p = node(1, trainable=True)
    out = (p + 1) * 2

    with pytest.raises(IndexError):
        propagate(out, "say", Refusing(), retain_graph=False)

    assert p.feedback == {}
    assert not out._backwarded
    propagate(out, "say", GraphPropagator(), retain_graph=False)
    assert len(p.feedback) == 1


def test_what_was_passed_is_consumed_and_no_more() -> None:
    p = node(1, trainable=True)
    shared = p + 1
    one, two, aside = shared * 2, shared * 3, node(1) + 2
    joined = one + aside

    propagate(joined, "say", GraphPropagator(), retain_graph=False)

    assert [n._backwarded for n in (joined, one, shared, two, aside, p)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert [id(child) for child in shared.children] == [id(two)]
    with pytest.raises(AlreadyPropagated, match=r"MessageNode: \(add:0.* has been backwarded"):
        propagate(two, "say", GraphPropagator(), retain_graph=False)


def test_roots_take_feedback_from_an_oracle_without_a_name() -> None:
    root = node(1)

    propagate(root, "say", SumPropagator(), retain_graph=False)

    ((oracle, said),) = root.feedback.items()
    assert (oracle.data, said) == ("FEEDBACK_ORACLE", ["say"])
    assert node("x").name == "str:0"
