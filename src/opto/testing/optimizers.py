"""Conformance suite for optimizers: what every way of proposing values must keep to.

    from opto.testing import OPTIMIZER_CHECKS

    @pytest.mark.parametrize("check", OPTIMIZER_CHECKS, ids=lambda check: check.__name__)
    def test_my_optimizer(check):
        check(lambda parameters: MyOptimizer(parameters, llm=my_model))

or, all at once: ``check_optimizer(make)``. Each check makes its optimizers by calling what it is
given with a list of parameters (numbers between 0 and 10, by their constraint), and raises
`AssertionError` in words when something isn't as it must be. The optimizer must propose something
for such parameters: give it a model that does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from opto.errors import ExecutionError, OptoError, ProposalError
from opto.optimizers import Optimizer
from opto.trace import bundle, new_scope, node
from opto.trace.nodes import ParameterNode
from opto.trace.origin import FromModel
from opto.trace.projections import Projection

MakeOptimizer = Callable[[list[ParameterNode[Any]]], Optimizer]


class OptimizerCheck(Protocol):
    """One check of the suite."""

    __name__: str

    def __call__(self, make: MakeOptimizer) -> None:
        """Raise `AssertionError` if what `make` makes doesn't conform."""


def _expect(truth: object, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _number(value: int = 3, name: str = "number") -> ParameterNode[int]:
    return ParameterNode(value, name=name, constraint="a whole number between 0 and 10")


@bundle()
def _total(*parts: Any) -> Any:
    """Add them up."""
    return sum(parts)


@bundle()
def _fail(part: Any) -> Any:
    """Raise."""
    message = f"{part} is no good"
    raise ValueError(message)


def sets_what_it_returns(make: MakeOptimizer) -> None:
    """`step` returns the new values by parameter and has set them, each of the old one's type."""
    one, other = _number(), _number(4)
    optimizer = make([one, other])

    optimizer.backward(_total(one, other), "The total is too low.")
    update = optimizer.step()

    _expect(isinstance(update, dict), f"step returned {type(update).__name__}, not a dict")
    _expect(update, "step proposed nothing; give the suite a model that proposes values")
    for parameter, value in update.items():
        _expect(parameter in (one, other), "a value for something that isn't its parameter")
        _expect(parameter.data == value, "a value was returned and another one set")
        _expect(type(parameter.data) is int, f"an int became {type(parameter.data).__name__}")
        says = parameter.origin
        _expect(isinstance(says, FromModel), f"a value was set as if it were from: {says}")


def tries_without_setting(make: MakeOptimizer) -> None:
    """``step(bypassing=True)`` returns new values and sets none."""
    number = _number()
    optimizer = make([number])

    optimizer.backward(_total(number), "too low")
    update = optimizer.step(bypassing=True)

    _expect(update, "step(bypassing=True) returned nothing")
    _expect(number.data == 3, "step(bypassing=True) set a value")


def leaves_others_alone(make: MakeOptimizer) -> None:
    """What isn't its parameter, or isn't trainable, keeps its value."""
    number, strange, fixed = _number(), _number(), _number()
    optimizer = make([number, fixed])
    fixed.trainable = False

    optimizer.backward(_total(number, strange, fixed, node(1)), "too low")
    update = optimizer.step()

    _expect(strange.data == 3, "a parameter of somebody else was changed")
    _expect(fixed.data == 3, "a parameter that isn't trainable was changed")
    _expect(set(update) <= {number}, "a value was proposed for what can't be changed")


def needs_feedback(make: MakeOptimizer) -> None:
    """`step` without feedback changes nothing; it says so by an error or an empty dict."""
    number = _number()
    optimizer = make([number])
    optimizer.backward(_total(number), "too low")
    optimizer.zero_feedback()

    try:
        update = optimizer.step()
    except OptoError:
        update = {}

    _expect(not update and number.data == 3, "a value was set without any feedback")


def takes_a_batch(make: MakeOptimizer) -> None:
    """Several outputs, each with its own feedback, lead to one step."""
    number = _number()
    optimizer = make([number])

    for at in range(4):
        optimizer.backward(_total(number, at), f"output {at} is too low")
    update = optimizer.step()

    _expect(update, "step proposed nothing for a batch of four outputs")


def takes_feedback_again_and_again(make: MakeOptimizer) -> None:
    """`backward` may be called any number of times before `step`, for one output and several."""
    number = _number()
    optimizer = make([number])
    shared = _total(number, 1)
    one, other = _total(shared, 1), _total(shared, number)

    optimizer.backward(one, "too low", retain_graph=True)
    optimizer.backward(one, "still too low", retain_graph=True)
    optimizer.backward(other, "this one too")
    number.backward("and the number itself is too low")
    update = optimizer.step()

    _expect(update, "step proposed nothing after several calls of backward")


def takes_failures(make: MakeOptimizer) -> None:
    """Feedback may come from an operation that raised."""
    number = _number()
    optimizer = make([number])

    try:
        _fail(_total(number))
    except ExecutionError as error:
        optimizer.backward(error.exception_node, "It must not fail.")
    update = optimizer.step()

    _expect(update, "step proposed nothing after a failure")


def goes_on_for_many_steps(make: MakeOptimizer) -> None:
    """The usual loop works for several rounds."""
    number = _number()
    optimizer = make([number])

    for at in range(3):
        optimizer.zero_feedback()
        optimizer.backward(_total(number, at), f"too low in round {at}")
        optimizer.step()

    _expect(type(number.data) is int, "the value changed its type in the course of steps")


def takes_further_arguments(make: MakeOptimizer) -> None:
    """`step` takes arguments that it doesn't know, as training loops pass them."""
    number = _number()
    optimizer = make([number])

    optimizer.backward(_total(number), "too low")
    optimizer.step(num_threads=1)


def can_be_copied(make: MakeOptimizer) -> None:
    """A deep copy works on the same parameters with a state of its own."""
    number = _number()
    optimizer = make([number])
    twin = copy.deepcopy(optimizer)

    _expect(twin.parameters[0] is number, "the copy has other parameters")
    twin.backward(_total(number), "too low")
    _expect(twin.step(bypassing=True), "the copy proposed nothing")


def keeps_to_constraints(make: MakeOptimizer) -> None:
    """What it sets is within what the constraint says: here from 0 to 10."""
    numbers = [_number(0, "low"), _number(10, "high")]
    optimizer = make(list(numbers))

    for at in range(4):
        optimizer.zero_feedback()
        optimizer.backward(_total(*numbers), f"it is wrong in round {at}")
        optimizer.step()
        for number in numbers:
            _expect(0 <= number.data <= 10, f"{number.data} was set, which isn't from 0 to 10")


class _Refuses(Projection):
    def project(self, x: Any) -> Any:
        message = f"{x} can't be projected"
        raise ValueError(message)


def sets_all_or_none(make: MakeOptimizer) -> None:
    """If a projection fails no parameter is changed; it says so by `ProposalError` or `refused`."""
    free = _number(3, "free")
    bound = ParameterNode(
        3, name="bound", constraint="a whole number between 0 and 10", projections=[_Refuses()]
    )
    optimizer = make([free, bound])

    optimizer.backward(_total(free, bound), "too low")
    try:
        update = optimizer.step()
    except ProposalError:
        update = {}

    _expect(not update, "step returned values although one of them was refused")
    _expect(free.data == 3 and bound.data == 3, "a value was set although another was refused")


def leaves_what_was_recorded(make: MakeOptimizer) -> None:
    """A step changes parameters, and no value that was computed of them."""
    number = _number()
    optimizer = make([number])
    output = _total(number, 1)

    optimizer.backward(output, "too low")
    optimizer.step()

    _expect(output.data == 4, "a result that was computed before the step was changed")


def comes_back_from_a_file(make: MakeOptimizer) -> None:
    """What `save` wrote, `load` takes up: values and state; then it goes on."""
    number = _number()
    optimizer = make([number])
    optimizer.backward(_total(number), "too low")
    optimizer.step()
    saved = number.data

    with TemporaryDirectory() as folder:
        path = Path(folder) / "optimizer.txt"
        optimizer.save(path)
        number._set(3)
        again = make([number])
        again.load(path)

    _expect(number.data == saved, f"{saved} was saved and {number.data} was loaded")
    again.zero_feedback()
    again.backward(_total(number), "too low")
    _expect(again.step(bypassing=True), "it proposed nothing after it was loaded")


OPTIMIZER_CHECKS: tuple[OptimizerCheck, ...] = (
    sets_what_it_returns,
    tries_without_setting,
    leaves_others_alone,
    needs_feedback,
    takes_a_batch,
    takes_feedback_again_and_again,
    takes_failures,
    goes_on_for_many_steps,
    takes_further_arguments,
    can_be_copied,
    keeps_to_constraints,
    sets_all_or_none,
    leaves_what_was_recorded,
    comes_back_from_a_file,
)


@contextmanager
def _named(check: OptimizerCheck, found: list[str]) -> Iterator[None]:
    try:
        with new_scope():
            yield
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding
        found.append(f"{check.__name__}: {type(error).__name__}: {error}")


def check_optimizer(make: MakeOptimizer) -> None:
    """Run the whole suite on what `make` makes.

    Args:
        make: returns a new optimizer for a list of parameters each time.

    Raises:
        AssertionError: that lists everything that isn't as it must be.
    """
    found: list[str] = []
    for check in OPTIMIZER_CHECKS:
        with _named(check, found):
            check(make)
    _expect(not found, "the optimizer doesn't conform:\n" + "\n".join(found))
