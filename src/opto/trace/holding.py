"""Containers that hold nodes: finding the nodes, and the same container with plain values."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable
from typing import Any


class NodeContainer:
    """Marks classes whose instances are passed around as they are, with the nodes in them."""


SCALARS = frozenset({int, float, str, bool, bytes, complex, type(None)})
_RELATIVES = (list, tuple, dict, set, frozenset, deque)
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, slice})


def may_hold_nodes(value: object) -> bool:
    """Whether to look for nodes inside: a builtin container, slice or dataclass, not empty."""
    kind = value.__class__
    if kind in SCALARS:
        return False
    if kind in _CONTAINERS:
        return kind is slice or bool(value)
    return _is_record(value)


def _is_record(value: object) -> bool:
    kind = value.__class__
    if isinstance(value, NodeContainer):
        return False
    return hasattr(kind, "__dataclass_fields__") or isinstance(value, _RELATIVES)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [item for pair in value.items() for item in pair]
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    if hasattr(value.__class__, "__dataclass_fields__"):
        return [
            getattr(value, name)
            for name in value.__class__.__dataclass_fields__
            if hasattr(value, name)
        ]
    return value  # type: ignore[no-any-return]  # a list, tuple or set


def nodes_within(value: Any, kind: type[Any]) -> list[Any]:
    """Return the instances of `kind` in a container, at any depth, each once and in order."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, kind):
            found[id(item)] = item
        elif may_hold_nodes(item) and id(item) not in seen:
            seen.add(id(item))
            items = _items(item)
            if not SCALARS.issuperset(map(type, items)):
                stack.extend(reversed(list(items)))
    return list(found.values())


def plain(value: Any, kind: type[Any], memo: dict[int, Any] | None = None) -> Any:
    """Return the container with the values of its nodes in their places; it is built anew."""
    memo = {} if memo is None else memo
    if isinstance(value, kind):
        return value._data
    if not may_hold_nodes(value):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, (list, dict, deque)):
        twin: Any = copy.copy(value)  # keeps what a relative has beside its items
        memo[id(value)] = twin
        twin.clear()
        if isinstance(value, dict):
            twin.update((plain(k, kind, memo), plain(v, kind, memo)) for k, v in value.items())
        else:
            twin.extend(plain(item, kind, memo) for item in value)
        return twin
    return _plain_record(value, kind, memo)


def _plain_record(value: Any, kind: type[Any], memo: dict[int, Any]) -> Any:
    if hasattr(value.__class__, "__dataclass_fields__"):
        twin = copy.copy(value)
        memo[id(value)] = twin
        for name in value.__class__.__dataclass_fields__:
            if hasattr(value, name):
                object.__setattr__(twin, name, plain(getattr(value, name), kind, memo))
        return twin
    items = [plain(item, kind, memo) for item in _items(value)]
    if isinstance(value, slice):
        return slice(*items)
    return value._make(items) if hasattr(value, "_make") else value.__class__(items)
