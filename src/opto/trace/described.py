"""The part of a node that speaks to a model: description, constraint, feedback."""

from __future__ import annotations

from typing import Any

from opto.errors import WrongType
from opto.trace import graph
from opto.trace.abstract import HIDDEN, LEARNS, AbstractNode, T_co, sources_of
from opto.trace.ops import get_op_name


class DescribedNode(AbstractNode[T_co]):
    """A node with words for a model and a place for feedback."""

    __slots__ = ()

    _default_description = "This is a node in a computational graph."

    def _describe(self, description: str | None, constraint: str | None, info: object) -> None:
        extra: dict[str, Any] = {}
        if description is not None:
            if not isinstance(description, str):
                message = f"description must be a str or None, not {type(description).__name__}"
                raise WrongType(message)
            tagged = description.lstrip().startswith("[")
            extra["description"] = description if tagged else f"[{self._tag}] {description}"
        if constraint is not None:
            extra["constraint"] = constraint
        if info is not None:
            extra["info"] = info
        self._extra = {**(self._extra or {}), **extra} or None

    # ---- description ----

    @property
    def _tag(self) -> str:
        return type(self).__name__

    @property
    def _description(self) -> str:
        given = (self._extra or {}).get("description")
        return given or f"[{self._tag}] {self._default_description}"

    @property
    def description(self) -> str:
        """What this is, for a model, with its tag: ``[Node] text``."""
        return self._description

    @property
    def description_text(self) -> str | None:
        """The description without its tag; None if none was given."""
        if self._op is None and "description" not in (self._extra or {}):
            return None
        text = self._description
        return text[text.index("]") + 1 :].strip() or None

    @property
    def op_name(self) -> str:
        """The tag of the description."""
        return get_op_name(self._description)

    @property
    def _constraint(self) -> str | None:
        return (self._extra or {}).get("constraint")

    @property
    def info(self) -> Any:
        """What was kept with the node; facts of the call for a result."""
        return (self._extra or {}).get("info")

    # ---- dependencies ----

    @property
    def parameter_dependencies(self) -> set[Any]:
        """The parameters among the ancestors, this included."""
        found = graph.ancestors([self], sources_of)
        return {node for node in found if node._flags & LEARNS and not node._inputs}

    @property
    def expandable_dependencies(self) -> set[Any]:
        """The ancestors whose inner graph used parameters that can't be seen from outside."""
        found = graph.ancestors([self], sources_of)
        return {node for node in found if node._flags & HIDDEN}

    # ---- feedback ----

    @property
    def feedback(self) -> dict[Any, list[Any]]:
        """Feedback received, by the child that it came through."""
        return {} if self._extra is None else self._extra.get("feedback", {})

    _feedback = feedback

    def zero_feedback(self) -> None:
        """Forget all feedback."""
        if self._extra is not None:
            self._extra.pop("feedback", None)

    def _add_feedback(self, child: Any, feedback: Any) -> None:
        if self._extra is None:
            self._extra = {}
        self._extra.setdefault("feedback", {}).setdefault(child, []).append(feedback)
