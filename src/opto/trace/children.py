"""The weak half of the graph: which results were made from a node, without keeping them alive."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from opto.trace.abstract import AbstractNode

_FIRST_LIMIT = 64
_sweeping = Lock()


class Children(list["ref[Any]"]):
    """Weak references, oldest first; the dead are swept out now and then.

    The sweep comes when the size has doubled since the last one, so adding is constant on average
    and what is kept is proportional to what is alive. Whoever appends must call `sweep` when the
    size passes `limit`. Threads may append at any time; one sweeps at a time.
    """

    __slots__ = ("limit",)

    def __init__(self, *references: ref[Any]) -> None:
        super().__init__(references)
        self.limit = _FIRST_LIMIT

    def sweep(self) -> None:
        """Forget the dead; what is appended meanwhile stays."""
        with _sweeping:
            size = len(self)
            self[:size] = [child for child in self[:size] if child() is not None]
            self.limit = max(_FIRST_LIMIT, 2 * len(self))


def adopt(parent: AbstractNode[Any], child: ref[Any]) -> None:
    """Note that `child` was made from `parent`.

    Most nodes have one child, so a lone reference is kept without a container.
    """
    known = parent._children
    if known is None:
        parent._children = child
    elif isinstance(known, Children):
        known.append(child)
        if len(known) > known.limit:
            known.sweep()
    elif known is not child:
        parent._children = Children(known, child)


def disown(parent: AbstractNode[Any], child: AbstractNode[Any]) -> None:
    """Undo `adopt`; linear in the number of children."""
    known = parent._children
    if isinstance(known, Children):
        parent._children = Children(*(one for one in known if one() is not child))
    elif known is not None and known() is child:
        parent._children = None


def living(parent: AbstractNode[Any]) -> list[Any]:
    """Return the children that are still alive, each once, oldest first."""
    known = parent._children
    if known is None:
        return []
    references = list(known) if isinstance(known, Children) else [known]
    found = [child for reference in references if (child := reference()) is not None]
    return list({id(child): child for child in found}.values())
