"""Rules by which feedback passes an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opto.errors import PropagationError, WrongType
from opto.trace.abstract import LEARNS, AbstractNode, sources_of
from opto.trace.reach import reached_in_order

Rule = Callable[[Any], Mapping[Any, Any]]
Delivery = tuple[Any, Any, Any]
"""A trainable root, the result through which feedback came to it, and the feedback."""


class AbstractFeedback:
    """What travels may define ``+`` and ``0 +``, so that `sum` merges it."""

    def __add__(self, other: Any) -> Any:
        """Return this feedback merged with `other`."""
        raise NotImplementedError

    def __radd__(self, other: Any) -> Any:
        """Return `other` merged with this; 0 is neutral, for `sum`."""
        return self if other == 0 else self.__add__(other)


class AbstractPropagator:
    """A rule: called with a result that has feedback, it says what each input gets.

    Write `init_feedback` and `_propagate`; `register` sets another rule for one operator.
    """

    def __call__(self, child: Any) -> Mapping[Any, Any]:
        """Return the feedback for each parent of `child`.

        Raises:
            WrongType: if `child` isn't the result of an operation.
            PropagationError: if a rule returned no dict, or left a parent out.
        """
        if not isinstance(child, AbstractNode) or child._op is None:
            message = f"feedback is propagated through results of operations, not through {child!r}"
            raise WrongType(message)
        result = self._rule(child)(child)
        if not isinstance(result, Mapping):
            message = f"the rule for {child.name} returned {type(result).__name__}, not a dict"
            raise PropagationError(message)
        missing = [p.name for p in child.parents if p._flags & LEARNS and p not in result]
        if missing:
            message = f"the rule for {child.name} gives no feedback for {', '.join(missing)}"
            raise PropagationError(message)
        return result

    def _rule(self, child: Any) -> Rule:  # noqa: ARG002 - for those who choose by the child
        return self._propagate

    def init_feedback(self, node: Any, feedback: Any) -> Any:
        """Return what travels when the user gives `feedback` on `node`."""
        raise NotImplementedError

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        """Return the feedback for each parent of `child`; read it from ``child.feedback``."""
        raise NotImplementedError

    def deliver(self, output: Any, feedback: Any) -> tuple[list[Delivery], list[Any]]:
        """Return what reaches the trainable roots, and the results that it passed.

        Nothing is changed. Whoever propagates in another way than node by node overrides this.

        Args:
            output: the node that the feedback is on.
            feedback: as the user gave it.

        Raises:
            AlreadyPropagated: if a result on the way was consumed.
        """
        order = reached_in_order(output)
        inbox: dict[int, dict[Any, list[Any]]] = {}
        inbox[id(output)] = {output: [self.init_feedback(output, feedback)]}
        delivered: list[Delivery] = []
        for child in order:
            received = inbox.pop(id(child), None)
            if received is None:  # a rule kept it from this branch
                continue
            for parent, passed in self._passed(child, received).items():
                if parent._inputs:
                    inbox.setdefault(id(parent), {}).setdefault(child, []).append(passed)
                else:
                    delivered.append((parent, child, passed))
        return delivered, order

    def _passed(self, child: Any, received: dict[Any, list[Any]]) -> dict[Any, Any]:
        """Call the rule while `child` shows what it received, and only then."""
        before = child._extra
        child._extra = {**(before or {}), "feedback": received}
        try:
            result = self(child)
        finally:
            child._extra = before
        known = {id(parent) for parent in sources_of(child)}
        return {
            parent: passed
            for parent, passed in result.items()
            if id(parent) in known and parent._flags & LEARNS
        }


class Propagator(AbstractPropagator):
    """A propagator with rules of its own for some operators."""

    def __init__(self) -> None:
        self.override: dict[str, Rule] = {}

    def register(self, op_name: str, propagate_function: Rule) -> None:
        """Use `propagate_function` for results of the operator `op_name`.

        It gets the result, whose ``feedback`` is set, and returns a dict from parent to feedback.
        """
        if not callable(propagate_function):
            message = f"the rule for {op_name!r} must be callable, not {propagate_function!r}"
            raise WrongType(message)
        self.override[op_name] = propagate_function

    def _rule(self, child: Any) -> Rule:
        return self.override.get(child.op_name, self._propagate)


class SumPropagator(Propagator):
    """Passes the sum of what was received to every input: texts are joined, numbers added."""

    def init_feedback(self, node: Any, feedback: Any) -> Any:  # noqa: ARG002 - the same anywhere
        """Return `feedback` itself."""
        return feedback

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        received = [item for items in child.feedback.values() for item in items]
        total = merge(received)
        return dict.fromkeys(sources_of(child), total)


def merge(received: Sequence[Any]) -> Any:
    """Return texts joined, anything else summed; one item as it is.

    Raises:
        PropagationError: if they can't be summed.
    """
    if len(received) == 1:
        return received[0]
    if all(isinstance(item, str) for item in received):
        return "".join(received)
    given = [item for item in received if item is not None]
    try:
        return sum(given[1:], start=given[0]) if given else None
    except TypeError as error:
        kinds = ", ".join(sorted({type(item).__name__ for item in given}))
        message = f"feedback of these types can't be summed: {kinds}"
        raise PropagationError(message) from error
