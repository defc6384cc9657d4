"""Conformance suite for propagators: what every rule by which feedback travels must keep to.

    from opto.testing import PROPAGATOR_CHECKS

    @pytest.mark.parametrize("check", PROPAGATOR_CHECKS, ids=lambda check: check.__name__)
    def test_my_propagator(check):
        check(MyPropagator)

or, all at once: ``check_propagator(MyPropagator)``. Each check makes its propagators by calling
what it is given, and raises `AssertionError` in words when something isn't as it must be. A rule
for some kind of feedback (numbers, say) gets examples of it: ``check(make, feedback=(1, 2))``.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from opto.errors import AlreadyPropagated, ExecutionError
from opto.trace import bundle, new_scope, node
from opto.trace.nodes import Node, ParameterNode
from opto.trace.propagators import AbstractPropagator, Propagator

Make = Callable[[], AbstractPropagator]
FEEDBACK: tuple[Any, ...] = ("a word", "another")
_DEEP = 3_000


class Check(Protocol):
    """One check of the suite."""

    __name__: str

    def __call__(self, make: Make, feedback: Sequence[Any] = ...) -> None:
        """Raise `AssertionError` if what `make` makes doesn't conform."""


def _expect(truth: object, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _parameter(value: Any = 1) -> ParameterNode[Any]:
    return ParameterNode(value, name="parameter")


def _heard(*nodes: Node[Any]) -> list[bool]:
    return [bool(one.feedback) for one in nodes]


@bundle()
def _mix(*parts: Any) -> int:
    """Use the inputs."""
    return len(parts)


@bundle()
def _fail(x: Any) -> Any:
    """Raise."""
    message = f"no use for {x}"
    raise ValueError(message)


def reaches_parameters_alone(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Feedback comes to the trainable ancestors, all of them, and to nothing else."""
    used, unused, constant = _parameter(), _parameter(), node(3)
    middle = _mix(used, constant)
    aside = _mix(unused)
    output = _mix(middle, constant)

    output.backward(feedback[0], propagator=make())

    _expect(_heard(used) == [True], "a parameter that the output was made from got no feedback")
    others = _heard(unused, constant, middle, aside, output)
    _expect(not any(others), "something that isn't a trainable ancestor got feedback")


def names_the_way_it_came(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """The keys of a parameter's feedback are the results that were made from it, each once."""
    parameter = _parameter()
    left, right = _mix(parameter), _mix(parameter, parameter)

    _mix(left, right).backward(feedback[0], propagator=make())

    came = {id(child) for child in parameter.feedback}
    _expect(came == {id(left), id(right)}, "the feedback doesn't name the results that it came by")
    counts = [len(items) for items in parameter.feedback.values()]
    _expect(counts == [1, 1], f"each way brings one piece of feedback, here {counts}")


def goes_through_a_graph_once(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """A second `backward` is refused and changes nothing."""
    parameter = _parameter()
    output = _mix(_mix(parameter))
    output.backward(feedback[0], propagator=make())
    before = {id(child): len(items) for child, items in parameter.feedback.items()}

    try:
        output.backward(feedback[1], propagator=make())
    except AlreadyPropagated:
        after = {id(child): len(items) for child, items in parameter.feedback.items()}
        _expect(after == before, "a refused backward left feedback behind")
        return
    _expect(truth=False, message="a consumed graph was used again without retain_graph")


def can_be_repeated(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """With ``retain_graph=True`` several outputs, and one output again, may send feedback."""
    parameter = _parameter()
    shared = _mix(parameter)
    one, two = _mix(shared), _mix(shared, parameter)
    propagator = make()

    one.backward(feedback[0], propagator=propagator, retain_graph=True)
    two.backward(feedback[1], propagator=propagator, retain_graph=True)
    one.backward(feedback[1], propagator=propagator)

    count = sum(len(items) for items in parameter.feedback.values())
    _expect(count >= 3, f"three calls of backward brought {count} pieces of feedback")


def takes_feedback_on_a_parameter(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Feedback may be given on a parameter itself, again and again."""
    parameter = _parameter()

    for item in feedback:
        parameter.backward(item, propagator=make())

    count = sum(len(items) for items in parameter.feedback.values())
    _expect(count == len(feedback), "feedback given on the parameter itself isn't there")


def passes_failures(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Feedback goes through the node of an operation that raised."""
    parameter = _parameter()
    try:
        _fail(_mix(parameter))
    except ExecutionError as error:
        error.exception_node.backward(feedback[0], propagator=make())

    _expect(_heard(parameter) == [True], "no feedback came through the failed operation")


def reaches_hidden_parameters(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Parameters that a function used without having them as inputs get feedback too."""
    hidden, given = _parameter(), _parameter()

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def inside(x: Any) -> Any:
        return x + hidden

    inside(given).backward(feedback[0], propagator=make())

    _expect(_heard(hidden, given) == [True, True], "a parameter used inside got no feedback")


def changes_all_or_nothing(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """When a rule raises, the error surfaces as it is and no node has changed."""
    near, far = _parameter(), _parameter()
    output = _mix(near, far + 1)
    propagator = make()
    if not isinstance(propagator, Propagator):
        return

    def rule(child: Any) -> Any:
        raise IndexError(child.name)

    propagator.register("add", rule)
    try:
        output.backward(feedback[0], propagator=propagator)
    except IndexError:
        _expect(_heard(near, far) == [False, False], "a failed backward left feedback behind")
        output.backward(feedback[0], propagator=make())
        return
    _expect(truth=False, message="the error of a rule was swallowed, or the rule was not used")


def uses_registered_rules(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """A rule registered for an operator is used for its results, and for no others."""
    propagator = make()
    if not isinstance(propagator, Propagator):
        return
    left, right = _parameter(), _parameter()
    asked: list[str] = []

    def rule(child: Any) -> Any:
        asked.append(child.op_name)
        received = [item for items in child.feedback.values() for item in items]
        return dict.fromkeys(child.parents, received[0])

    propagator.register("add", rule)
    _mix(left + 1, right * 2).backward(feedback[0], propagator=propagator)

    _expect(asked == ["add"], f"the rule for add was asked about {asked or 'nothing'}")
    _expect(_heard(left, right) == [True, True], "feedback was lost beside the registered rule")


def does_not_depend_on_depth(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Chains of thousands of operations are no matter."""
    parameter = _parameter(0)
    output: Any = parameter
    for _ in range(_DEEP):
        output = output + 1

    output.backward(feedback[0], propagator=make())

    _expect(_heard(parameter) == [True], "no feedback came through a deep graph")


def keeps_no_graph_alive(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Once feedback is zeroed, the graph is freed, though the propagator lives on."""
    parameter, propagator = _parameter(), make()
    output = _mix(_mix(parameter))
    watched = weakref.ref(output)
    with _no_collector():
        output.backward(feedback[0], propagator=propagator)
        parameter.zero_feedback()
        del output
        freed = watched() is None

    _expect(freed, "the propagator, or a cycle that it made, keeps the graph alive")


@contextmanager
def _no_collector() -> Iterator[None]:
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


PROPAGATOR_CHECKS: tuple[Check, ...] = (
    reaches_parameters_alone,
    names_the_way_it_came,
    goes_through_a_graph_once,
    can_be_repeated,
    takes_feedback_on_a_parameter,
    passes_failures,
    reaches_hidden_parameters,
    changes_all_or_nothing,
    uses_registered_rules,
    does_not_depend_on_depth,
    keeps_no_graph_alive,
)


def check_propagator(make: Make, feedback: Sequence[Any] = FEEDBACK) -> None:
    """Run the whole suite on what `make` makes.

    Args:
        make: returns a new propagator each time; its class will do.
        feedback: two examples of what it takes as feedback.

    Raises:
        AssertionError: that lists everything that isn't as it must be.
    """
    found: list[str] = []
    for check in PROPAGATOR_CHECKS:
        try:
            with new_scope():
                check(make, feedback)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding
            found.append(f"{check.__name__}: {type(error).__name__}: {error}")
    _expect(not found, "the propagator doesn't conform:\n" + "\n".join(found))
