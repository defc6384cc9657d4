from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import PropagationError, WrongType
from opto.trace.propagators import AbstractFeedback, AbstractPropagator, Propagator, SumPropagator
from opto.trace.propagators.propagators import merge
from tests.trace.helpers import node


class Words(AbstractFeedback):
    """Feedback that is joined by a stroke."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __add__(self, other: Any) -> Words:
        return Words(f"{self.text}|{other.text}")


def test_feedback_of_one_s_own_is_summed() -> None:
    total: Any = sum([Words("a"), Words("b")])

    assert total.text == "a|b"
    assert merge([Words("a"), Words("b"), Words("c")]).text == "a|b|c"
    with pytest.raises(NotImplementedError):
        _ = AbstractFeedback() + AbstractFeedback()
    with pytest.raises(NotImplementedError):
        _ = 1 + AbstractFeedback()


@given(st.lists(st.integers(), min_size=1))
def test_numbers_are_summed(received: list[int]) -> None:
    assert merge(received) == sum(received)


@given(st.lists(st.text(), min_size=1))
def test_texts_are_joined(received: list[str]) -> None:
    assert merge(received) == "".join(received)


def test_nothing_and_what_does_not_go_together() -> None:
    assert merge([None, None]) is None
    assert merge([None, 3, None, 4]) == 7
    assert merge([[1], [2]]) == [1, 2]
    with pytest.raises(PropagationError, match="can't be summed: int, str"):
        merge([1, "a"])


def test_rules_are_to_be_written() -> None:
    bare: Any = AbstractPropagator()
    with pytest.raises(NotImplementedError):
        bare.init_feedback(node(1), "x")
    with pytest.raises(NotImplementedError):
        bare(node(1) + 1)


def test_rules_are_held_to_their_contract() -> None:
    p = node(1, trainable=True, name="p")
    propagator: Any = Propagator()
    with pytest.raises(WrongType, match="through results of operations, not through"):
        propagator(p)
    with pytest.raises(WrongType, match="rule for 'add' must be callable, not 3"):
        propagator.register("add", 3)
    propagator.register("add", lambda _: None)
    with pytest.raises(PropagationError, match="rule for add:0 returned NoneType, not a dict"):
        propagator(p + 1)
    propagator.register("add", lambda _: {})
    with pytest.raises(PropagationError, match="gives no feedback for p:0"):
        propagator(p + 1)


def test_rules_may_answer_for_more_than_they_were_asked() -> None:
    p, stranger = node(1, trainable=True), node(2, trainable=True)
    propagator = SumPropagator()
    propagator.register("add", lambda child: {**dict.fromkeys(child.parents, "x"), stranger: "y"})

    (p + 1).backward("say", propagator=propagator)

    assert list(p.feedback.values()) == [["x"]]
    assert stranger.feedback == {}


def test_the_rule_sees_what_was_received_and_nobody_else() -> None:
    p = node(1, trainable=True)
    seen: list[Any] = []
    propagator = SumPropagator()

    def rule(child: Any) -> Any:
        seen.append(list(child.feedback.values()))
        return dict.fromkeys(child.parents, "next")

    propagator.register("add", rule)
    out = p + 1
    out.backward("say", propagator=propagator)

    assert seen == [[["say"]]]
    assert out.feedback == {}


def test_a_branch_without_trainable_ancestors_is_not_visited() -> None:
    p = node(1, trainable=True)
    asked: list[str] = []
    propagator = SumPropagator()

    def rule(child: Any) -> Any:
        asked.append(child.name)
        return dict.fromkeys(child.parents, 1)

    propagator.register("multiply", rule)
    ((p + 1) - (node(2) * 3)).backward(1, propagator=propagator)

    assert asked == []
    assert len(p.feedback) == 1
