"""Functions that change their arguments: what they received stays on record.

The change itself is visible to the caller, as in plain Python.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from opto.trace.recording import record
from opto.trace.scope import SCOPE
from opto.trace.table import BY_NAME

_CLONE = BY_NAME["clone"].op
WATCHED = frozenset({list, dict, set})
_LARGEST = 10_000

Snapshots = Sequence[tuple[int, Any]]


def snapshots(values: Sequence[Any]) -> Snapshots:
    """Return position and shallow copy of each list, dict and set of up to 10,000 items."""
    for value in values:
        if value.__class__ in WATCHED:
            break
    else:
        return ()
    return [
        (index, value.copy())
        for index, value in enumerate(values)
        if type(value) in WATCHED and len(value) <= _LARGEST
    ]


def as_received(
    kind: type[Any], inputs: tuple[Any, ...], values: Sequence[Any], before: Snapshots
) -> tuple[Any, ...]:
    """Return `inputs` with a copy, of class `kind`, in place of each whose value was changed."""
    if not SCOPE.get().recording:
        return inputs
    kept = list(inputs)
    for index, old in before:
        if _changed(old, values[index]):
            kept[index] = record(kind, _CLONE, (inputs[index],), old)
    return tuple(kept)


def _changed(old: Any, new: Any) -> bool:
    if len(old) != len(new):
        return True
    if isinstance(old, set):
        return bool(old - new)
    if isinstance(old, dict):
        missing = object()
        return any(new.get(key, missing) is not value for key, value in old.items())
    return any(map(operator.is_not, old, new))
