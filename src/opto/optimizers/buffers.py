"""Memory that forgets the oldest."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from opto.errors import InvalidArgument

T = TypeVar("T")


class FIFOBuffer(Generic[T]):
    """Keeps the last `size` items; with size 0 none, with None all.

    Args:
        size: how many.
        items: the first of them.
    """

    def __init__(self, size: int | None, items: Iterable[T] = ()) -> None:
        if size is not None and size < 0:
            message = f"the size of a buffer must not be negative, got {size}"
            raise InvalidArgument(message)
        self.size = size
        self._items: deque[T] = deque(items, maxlen=size)

    def add(self, item: T) -> None:
        """Add an item; the oldest makes room."""
        self._items.append(item)

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._items))

    def __len__(self) -> int:
        return len(self._items)
