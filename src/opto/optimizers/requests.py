"""A question for the model: its messages, and how the answer shall look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opto.optimizers.names import Wanted
from opto.optimizers.parsing import ReplyKeys
from opto.optimizers.problem import Entries
from opto.optimizers.schemas import closed, schema_of_object, schemas_of


@dataclass(frozen=True)
class Request:
    """One call of the model.

    Attributes:
        system: the first message.
        user: the last message.
        wanted: the parameters that the answer may give.
        options: more arguments for the call, as `response_format`.
        examples: of such questions with their answers, which go before it.
    """

    system: str
    user: str
    wanted: tuple[Wanted, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    examples: tuple[tuple[str, str], ...] = ()


def schema_format(schema: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """Return the `response_format` that asks for JSON of a schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "proposal", "strict": strict, "schema": dict(schema)},
    }


def reply_format(entries: Entries, keys: ReplyKeys, *, schema: bool) -> dict[str, Any]:
    """Return the option that asks for new values of these as JSON.

    Args:
        entries: the variables.
        keys: the keys of the answer.
        schema: whether the model honours a schema.
    """
    if not schema:
        return {"response_format": {"type": "json_object"}}
    values = schemas_of(entries)
    suggestion = schema_of_object(values, required=list(values) if len(values) == 1 else [])
    texts = {key: {"type": "string"} for key in (keys.reasoning, keys.answer) if key}
    wanted = schema_of_object({**texts, keys.suggestion: suggestion})
    strict = len(values) == 1 and closed(wanted)
    return {"response_format": schema_format(wanted, strict=strict)}
