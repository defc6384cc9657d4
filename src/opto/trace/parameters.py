"""Parameters: what an optimizer may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opto.errors import SourceNotFound, WrongType
from opto.trace.abstract import LEARNS, AbstractNode, T_co
from opto.trace.core import Node
from opto.trace.source import About

if TYPE_CHECKING:
    from opto.trace.projections import Projection


class ParameterNode(Node[T_co]):
    """A value that an optimizer may change: a root that feedback is carried to.

    Args:
        value: the initial value.
        name: base of the name; the type of the value if None.
        trainable: whether optimizers may change it at present.
        description: what it is, for a model.
        constraint: what a new value must satisfy, for a model.
        projections: applied in order to each new value before it is set.
        info: anything to keep with it.
        is_code: whether the value is the source of a function.
    """

    __slots__ = ("_flags", "is_code", "projections", "trainable")

    _default_description = "This is a ParameterNode in a computational graph."
    _own_state = ("_flags", "is_code", "projections", "trainable")

    def __init__(  # noqa: PLR0913 - the original's signature and `is_code`
        self,
        value: T_co | AbstractNode[T_co],
        *,
        name: str | None = None,
        trainable: bool = True,
        description: str | None = None,
        constraint: str | None = None,
        projections: list[Projection] | None = None,
        info: object = None,
        is_code: bool = False,
    ) -> None:
        Node.__init__(
            self, value, name=name, description=description, constraint=constraint, info=info
        )
        self.trainable = trainable
        self.projections = _checked_projections(projections)
        self.is_code = is_code
        self._flags = LEARNS

    def _copied(self, data: Any) -> Any:
        twin = super()._copied(data)
        twin._flags = LEARNS
        twin.trainable, twin.projections = self.trainable, list(self.projections)
        twin.is_code = self.is_code
        return twin


def _checked_projections(given: object) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(callable(p) for p in given):
        message = f"projections must be None or a list of projections, not {given!r}"
        raise WrongType(message)
    return list(given)


def code_parameter(about: About, projections: list[Any] | None) -> ParameterNode[str]:
    """Return a parameter that holds the source of a function.

    Raises:
        SourceNotFound: if there is no source, or it isn't that of a function defined by ``def``.
    """
    found = about.found
    if found is None or found.head is None:
        message = (
            f"{about.name} can't be trainable: its source isn't the text of a function defined by "
            "def. Define it so in a file or a notebook cell"
        )
        raise SourceNotFound(message)
    constraint = f"The code should start with:\n{found.head}"
    return ParameterNode(
        found.text, name="__code", constraint=constraint, projections=projections, is_code=True
    )


def another(parameter: ParameterNode[str]) -> ParameterNode[str]:
    """Return a code parameter of its own with the same text, for another instance."""
    return ParameterNode(
        str(parameter._data),
        name="__code",
        trainable=parameter.trainable,
        constraint=parameter._constraint,
        projections=parameter.projections,
        is_code=True,
    )
