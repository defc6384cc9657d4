"""The weak half of the graph: which results were made from a node, without keeping them alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from opto.trace.abstract import AbstractNode

_FIRST_LIMIT = 16


class Children(dict[int, "ref[Any]"]):
    """Weak references by ``id``, in the order of creation; dead ones are swept now and then.

    The sweep comes when the size has doubled since the last one, so adding is constant on average
    and what is kept is proportional to what is alive. Single dict operations only, so threads may
    add at the same time.
    """

    __slots__ = ("limit",)

    def __init__(self) -> None:
        super().__init__()
        self.limit = _FIRST_LIMIT

    def add(self, child: ref[Any], key: int) -> None:
        """Add the node that `child` refers to; `key` is its ``id``."""
        if self.setdefault(key, child) is not child:  # the id of a dead child, used again
            self.pop(key, None)
            self[key] = child
        if len(self) > self.limit:
            self.sweep()

    def sweep(self) -> None:
        """Forget the dead."""
        for key, child in list(self.items()):
            if child() is None and self.get(key) is child:
                self.pop(key, None)
        self.limit = max(_FIRST_LIMIT, 2 * len(self))


def adopt(parent: AbstractNode[Any], child: ref[Any], key: int) -> None:
    """Note that `child` was made from `parent`.

    Most nodes have one child, so a lone reference is kept without a container.
    """
    known = parent._children
    if known is None:
        parent._children = child
    elif known.__class__ is Children:
        known.add(child, key)
    elif known is not child:
        several = Children()
        first = known()
        if first is not None:
            several.add(known, id(first))
        several.add(child, key)
        parent._children = several


def disown(parent: AbstractNode[Any], child: AbstractNode[Any]) -> None:
    """Undo `adopt`."""
    known = parent._children
    if known.__class__ is Children:
        known.pop(id(child), None)
    elif known is not None and known() is child:
        parent._children = None


def living(parent: AbstractNode[Any]) -> list[Any]:
    """Return the children that are still alive, oldest first."""
    known = parent._children
    if known is None:
        return []
    references = list(known.values()) if known.__class__ is Children else [known]
    return [child for reference in references if (child := reference()) is not None]
