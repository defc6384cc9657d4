"""Parameters: what an optimizer may change."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import TYPE_CHECKING, Any, NamedTuple

from opto.errors import SourceNotFound, WrongType
from opto.trace.abstract import LEARNS, AbstractNode, T_co
from opto.trace.core import Node
from opto.trace.origin import AUTHOR, UNKNOWN, Origin
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

    __slots__ = ("_authors", "_flags", "_written", "is_code", "projections", "trainable")

    _default_description = "This is a ParameterNode in a computational graph."
    _own_state = ("_flags", "_authors", "_told", "is_code", "projections", "trainable")

    _authors: str | None
    _written: _Written

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
        self._authors = str(self._data) if is_code else None
        self.origin = _origin_of_given(value)

    # ---- where the value is from ----

    @property
    def origin(self) -> Origin:
        """Where the value is from; `Unknown` if who set it didn't say.

        Assigning says where the value as it is now is from. Code is the author's if it is the text
        that the parameter was made with, and only then.
        """
        return self._told[0]

    @origin.setter
    def origin(self, origin: Origin) -> None:
        self._written = _Written(self._data, origin, None)

    @property
    def ran(self) -> str | None:
        """By which policy the code as it is now was last loaded; None if it wasn't, or is no code.

        "author" for the author's function itself.
        """
        return self._told[1]

    @ran.setter
    def ran(self, policy: str) -> None:
        self._told = (self._told[0], policy)

    @property
    def _told(self) -> tuple[Origin, str | None]:
        """What is known of the value; it is forgotten when another object takes its place."""
        value, origin, ran = self._written
        known = value is self._data
        ran = ran if known else None
        if self._authors is None:
            return origin if known else UNKNOWN, ran
        if type(self._data) is str and self._data == self._authors:
            return AUTHOR, ran
        return origin if known and origin != AUTHOR else UNKNOWN, ran

    @_told.setter
    def _told(self, told: tuple[Origin, str | None]) -> None:
        self._written = _Written(self._data, *told)

    def __repr__(self) -> str:
        return f"<ParameterNode {self.name} = {_SHORT.repr(self._data)}, from {self.origin}>"

    # ---- copies ----

    def _copied(self, data: Any) -> Any:
        twin = super()._copied(data)
        twin._flags = LEARNS
        twin.trainable, twin.projections = self.trainable, list(self.projections)
        twin.is_code, twin._authors, twin._told = self.is_code, self._authors, self._told
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)
        twin._told = self._told
        return twin


class _Written(NamedTuple):
    """What is known of a value.

    Attributes:
        value: the value; what is known holds only while the parameter has this very object.
        origin: where it is from.
        ran: by which policy it was loaded, if it is code.
    """

    value: object
    origin: Origin
    ran: str | None


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def _origin_of_given(value: object) -> Origin:
    """Return the origin of a value that a program makes a parameter of."""
    if isinstance(value, ParameterNode):
        return value.origin
    return UNKNOWN if isinstance(value, AbstractNode) and value._inputs else AUTHOR


def set_all(
    values: Mapping[ParameterNode[Any], Any], origins: Mapping[ParameterNode[Any], Origin]
) -> None:
    """Set values, all or none.

    Args:
        values: what to set.
        origins: where they are from, as far as that is known.
    """
    before = [(parameter, parameter._data, parameter._told) for parameter in values]
    try:
        for parameter, value in values.items():
            parameter._set(value)
            if parameter in origins:
                parameter.origin = origins[parameter]
    except BaseException:
        for parameter, value, told in before:
            parameter._data, parameter._told = value, told
        raise


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
    twin = ParameterNode(
        str(parameter._data),
        name="__code",
        trainable=parameter.trainable,
        constraint=parameter._constraint,
        projections=parameter.projections,
        is_code=True,
    )
    twin._authors, twin._told = parameter._authors, parameter._told
    return twin
