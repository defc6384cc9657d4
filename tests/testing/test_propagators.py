from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import pytest

from opto.errors import AlreadyPropagated
from opto.testing import PROPAGATOR_CHECKS, check_propagator
from opto.testing.propagators import Check
from opto.trace import node
from opto.trace.abstract import sources_of
from opto.trace.propagators import AbstractPropagator, GraphPropagator, Propagator, SumPropagator


def name(check: Check) -> str:
    return check.__name__


class General(GraphPropagator):
    """The default rule, node by node as with a registered rule."""

    def __init__(self) -> None:
        super().__init__()
        self.register("never", lambda _: {})


class Last(AbstractPropagator):
    """A rule without registration: what was heard last goes on."""

    def init_feedback(self, node: Any, feedback: Any) -> Any:
        return feedback

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        received = [item for items in child.feedback.values() for item in items]
        return dict.fromkeys(sources_of(child), received[-1])


@pytest.mark.parametrize("check", PROPAGATOR_CHECKS, ids=name)
@pytest.mark.parametrize("make", [GraphPropagator, General, SumPropagator, Last])
def test_our_propagators_conform(make: Any, check: Check) -> None:
    check(make)


@pytest.mark.parametrize("feedback", [(1, 2.5), (None, None), (float("nan"), "x"), ([1], {2: 3})])
def test_the_default_takes_any_feedback(feedback: tuple[Any, Any]) -> None:
    check_propagator(GraphPropagator, feedback)


def test_sums_take_numbers() -> None:
    check_propagator(SumPropagator, (1, 2))


# ---- and those that do not are found out ------------------------------------------------------


class Silent(Propagator):
    """Loses everything."""

    def init_feedback(self, node: Any, feedback: Any) -> Any:
        return feedback

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        return {}

    def deliver(self, output: Any, feedback: Any) -> Any:
        return [], []


class Loud(SumPropagator):
    """Tells everybody, and remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def deliver(self, output: Any, feedback: Any) -> Any:
        self.seen.append(output)
        everybody = list(sources_of(output))
        delivered = [(one, output, feedback) for one in everybody]
        for one in everybody:
            delivered += [(above, one, feedback) for above in sources_of(one)]
        return delivered, []


class Hasty(SumPropagator):
    """Changes nodes on its way."""

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        for parent in child.parents:
            parent._add_feedback(child, "early")
        return super()._propagate(child)


class Recursive(SumPropagator):
    """Goes down by recursion."""

    def deliver(self, output: Any, feedback: Any) -> Any:
        def go(child: Any) -> None:
            for parent in sources_of(child):
                go(parent)

        go(output)
        return super().deliver(output, feedback)


class Knotted(SumPropagator):
    """Ties what it passes into a cycle."""

    def deliver(self, output: Any, feedback: Any) -> Any:
        knot: list[Any] = [output]
        knot.append(knot)
        return super().deliver(output, feedback)


class Deaf(SumPropagator):
    """Forgets what was registered."""

    def _rule(self, child: Any) -> Any:
        return self._propagate


@pytest.mark.parametrize(
    ("make", "findings"),
    [
        (Silent, "reaches_parameters_alone names_the_way_it_came goes_through_a_graph_once"),
        (Silent, "can_be_repeated passes_failures reaches_hidden_parameters"),
        (Loud, "reaches_parameters_alone goes_through_a_graph_once keeps_no_graph_alive"),
        (Hasty, "changes_all_or_nothing reaches_parameters_alone"),
        (Recursive, "does_not_depend_on_depth"),
        (Knotted, "keeps_no_graph_alive"),
        (Deaf, "changes_all_or_nothing uses_registered_rules"),
    ],
)
def test_what_does_not_conform_is_named(make: Any, findings: str) -> None:
    with pytest.raises(AssertionError, match="the propagator doesn't conform") as caught:
        check_propagator(make)

    text = str(caught.value)
    assert [one for one in findings.split() if one not in text] == []


def test_the_suite_leaves_names_and_collector_alone() -> None:
    assert gc.isenabled()
    check_propagator(GraphPropagator)

    assert gc.isenabled()
    assert node(1, name="parameter").name == "parameter:0"


def test_the_collector_stays_off_where_it_was() -> None:
    gc.disable()
    try:
        check_propagator(SumPropagator)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_error_of_the_rule_is_a_finding() -> None:
    class Refusing(SumPropagator):
        def init_feedback(self, node: Any, feedback: Any) -> Any:
            raise AlreadyPropagated(node.name)

    with pytest.raises(AssertionError, match="does_not_depend_on_depth: AlreadyPropagated: add:"):
        check_propagator(Refusing)
