"""Bundled functions as methods: one copy for each instance, with a code parameter of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opto.trace.containers import RESERVED
from opto.trace.core import Node

SELF_NODE = f"{RESERVED}self_node"


def bound_to(method: Any, instance: Any) -> Any:
    """Return `method` for `instance`: the same object each time, where it can be kept.

    It is kept in the instance's ``__dict__`` (frozen classes too), or, for a class, in its
    namespace. Where there is neither, it is made anew each time, and a code parameter is shared
    by all instances, since there is no place for another.
    """
    place = _Place(instance)
    key = _key(method, place)
    kept = place.get(key)
    if kept is not None and kept._instance is instance:
        return kept
    self_node = place.get(SELF_NODE)
    if self_node is None or self_node._data is not instance:
        name = "cls" if isinstance(instance, type) else "self"
        self_node = Node(instance, name=name)
        place.set(SELF_NODE, self_node)
    # A shallow copy of an instance brings its methods along: same code, another self.
    parameter = kept.parameter if kept is not None else None
    if not place.lasting:
        parameter = method.parameter
    made = method._bind_to(instance, self_node, parameter)
    place.set(key, made)
    return made


def _key(method: Any, place: _Place) -> str:
    """Return the attribute under which the method of an instance is kept.

    It is named after the operation; if another method has the same operation name, after the
    method too.
    """
    kept = place.get(method._key)
    if kept is None or kept._fun is method._fun:
        return str(method._key)
    return f"{method._key}_{method._attribute}"


class _Place:
    """Where things that belong to an instance are kept."""

    def __init__(self, instance: Any) -> None:
        self.instance = instance
        self.is_class = isinstance(instance, type)
        self.lasting = self.is_class or hasattr(instance, "__dict__")

    def get(self, key: str) -> Any:
        """Return what is kept, None if there is nothing."""
        attributes: Mapping[str, Any] = vars(self.instance) if self.lasting else {}
        return attributes.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep `value`, if there is a place for it."""
        if self.is_class:
            type.__setattr__(self.instance, key, value)
        elif self.lasting:
            vars(self.instance)[key] = value
