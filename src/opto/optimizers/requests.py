"""A question for the model: two messages, and how the answer shall look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opto.optimizers.names import Wanted


@dataclass(frozen=True)
class Request:
    """One call of the model.

    Attributes:
        system: the first message.
        user: the second message.
        wanted: the parameters that the answer may give.
        options: more arguments for the call, as `response_format`.
    """

    system: str
    user: str
    wanted: tuple[Wanted, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def schema_format(schema: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """Return the `response_format` that asks for JSON of a schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "proposal", "strict": strict, "schema": dict(schema)},
    }
