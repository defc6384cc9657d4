"""What an operation is: a name, the sentence a model reads, the names of its inputs, a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from opto.errors import InvalidArgument, WrongType

_TAG = re.compile(r"^\[([^\[\]]+)\]")
_VARIANTS_KEPT = 64


def get_op_name(description: str) -> str:
    """Return the text inside the leading ``[...]`` of a description.

    Raises:
        WrongType: if `description` isn't a str.
        InvalidArgument: if it doesn't start with a tag.
    """
    if not isinstance(description, str):
        message = f"a description must be a str, not {type(description).__name__}"
        raise WrongType(message)
    found = _TAG.match(description.strip())
    if found is None:
        message = (
            f"the description {description!r} doesn't start with the operator's name in brackets; "
            "write it like '[name] what the operator does'"
        )
        raise InvalidArgument(message)
    return found.group(1)


class Op:
    """What all calls of one operator or bundled function share.

    Attributes:
        name: base of the names of its results.
        description: ``[name] sentence``, as a model reads it.
        arguments: names of the inputs, in order.
        fun_name: how the call is written in the code that a model reads.
        function: computes the value from plain values.
        about: facts about a user's function (source, file, ...), or None for an operator.
    """

    __slots__ = (
        "about",
        "arguments",
        "description",
        "fun_name",
        "function",
        "name",
        "raised",
        "variants",
    )

    def __init__(
        self,
        name: str,
        description: str,
        arguments: tuple[str, ...],
        function: Callable[..., Any],
        fun_name: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.description, self.arguments = name, description, arguments
        self.function, self.about = function, about
        self.fun_name = fun_name or name
        self.raised: Op | None = None
        self.variants: dict[tuple[str, ...], Op] = {}

    def with_arguments(self, arguments: tuple[str, ...]) -> Op:
        """Return this operation for a call whose inputs have other names (``*args``, ``**kwargs``).

        The last few are kept, so that calls of one shape share one object.
        """
        if arguments == self.arguments:
            return self
        found = self.variants.get(arguments)
        if found is None:
            function, about = self.function, self.about
            found = Op(self.name, self.description, arguments, function, self.fun_name, about)
            if len(self.variants) < _VARIANTS_KEPT:
                found = self.variants.setdefault(arguments, found)
        return found

    def failing(self, says: str | None = None) -> Op:
        """Return the operation of the nodes for its exceptions; one object unless `says` is given.

        Args:
            says: the sentence that a model reads.
        """
        if says is None and self.raised is not None:
            return self.raised
        sentence = says or f"[exception] The operator {self.fun_name} raises an exception."
        name, function = f"exception_{self.name}", self.function
        made = Op(name, sentence, self.arguments, function, self.fun_name, self.about)
        if says is None:
            self.raised = made
        return made

    def __repr__(self) -> str:
        return f"Op({self.name!r}, {', '.join(self.arguments)})"

    def __deepcopy__(self, memo: object) -> Op:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the function and what is known about it: a stored graph is data, not code.
        return _restored, (self.name, self.description, self.arguments, self.fun_name)


def _restored(name: str, description: str, arguments: tuple[str, ...], fun_name: str) -> Op:
    return Op(name, description, arguments, _gone, fun_name)


def argument_names(known: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return names for the first `count` positional arguments: `known`, then ``args_0``, ..."""
    if count <= len(known):
        return known[:count]
    return (*known, *(f"args_{index}" for index in range(count - len(known))))


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names with a number after each that stood before."""
    seen: set[str] = set()
    result: list[str] = []
    for name in names:
        free, number = name, 0
        while free in seen:
            number += 1
            free = f"{name}_{number}"
        seen.add(free)
        result.append(free)
    return tuple(result)


def by_position(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with those passed by the next names moved to their positions.

    Functions written in C often take no names; the table gives them some.
    """
    moved = list(args)
    rest = dict(kwargs)
    for name in names[len(args) :]:
        if name not in rest:
            break
        moved.append(rest.pop(name))
    return tuple(moved), rest


def _gone(*_args: object, **_kwargs: object) -> object:
    message = "an operation read from a file has no function; it can't be run again"
    raise InvalidArgument(message)
