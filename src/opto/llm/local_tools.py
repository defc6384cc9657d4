"""Tools for models that were never taught any: offered in words, and asked for by a grammar.

A reply is one JSON object, either a call, ``{"tool": ..., "arguments": ...}``, or an answer,
``{"answer": ...}``; the grammar allows nothing else, so even the smallest model makes well-formed
calls. What went before is told in the same form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from opto.errors import InvalidArgument
from opto.llm.base import ChatMessage
from opto.llm.content import asked_format, chosen_tool, declared_tools, tool_call

TOOL, ARGUMENTS, ANSWER = "tool", "arguments", "answer"
_ANYTHING: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True)
class Offer:
    """A request whose reply may be a call.

    Attributes:
        messages: with the tools told first, and calls and results in words.
        options: with the schema that replies keep to.
    """

    messages: list[ChatMessage]
    options: dict[str, Any]


def offered(messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> Offer | None:
    """The request in the form above; None if it has no tools, now or before.

    Raises:
        InvalidArgument: if `tool_choice` names a tool that there isn't.
    """
    left = dict(options)
    tools = declared_tools(left)
    kind, name = chosen_tool(left)
    left.pop("parallel_tool_calls", None)
    if not tools or kind == "none":
        used = any(_uses_tools(message) for message in messages)
        return Offer(in_words(messages), left) if used or tools else None
    if name and name not in {tool.get("name") for tool in tools}:
        message = f"tool_choice names {name!r}; there are {[tool.get('name') for tool in tools]}"
        raise InvalidArgument(message)
    may_answer = kind in {"", "auto"}
    asked, schema = asked_format(left)
    wanted = [tool for tool in tools if not name or tool.get("name") == name]
    forms = [_call_form(tool) for tool in wanted]
    if may_answer:
        anything = _ANYTHING if asked == "json_object" else {"type": "string"}
        forms.append(_closed({ANSWER: schema or anything}))
    left["response_format"] = {
        "type": "json_schema",
        "json_schema": {
            "name": "reply",
            "schema": {"anyOf": forms} if len(forms) > 1 else forms[0],
        },
    }
    said = {"role": "system", "content": told(wanted, may_answer=may_answer)}
    return Offer([said, *in_words(messages)], left)


def read(text: str, number: int = 0) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """The answer's text and the calls in a reply; a reply that was cut off is text.

    Args:
        text: the reply.
        number: which of several replies it is, so that calls have names of their own.
    """
    try:
        said = json.loads(text)
    except ValueError:
        return text, ()
    if not isinstance(said, dict):
        return text, ()
    fields = cast("dict[str, Any]", said)
    if isinstance(fields.get(TOOL), str):
        call = tool_call(f"call_{number}", fields[TOOL], fields.get(ARGUMENTS) or {})
        return "", (call,)
    answer = fields.get(ANSWER, text)
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False), ()


def told(tools: Sequence[Mapping[str, Any]], *, may_answer: bool) -> str:
    """The tools in words."""
    lines = ["You can use these tools:"]
    for tool in tools:
        properties = cast("Mapping[str, Any]", tool.get("parameters") or {}).get("properties") or {}
        listed = ", ".join(
            f"{name}: {_kind(schema)}"
            for name, schema in cast("dict[str, Any]", properties).items()
        )
        described = " ".join(str(tool.get("description") or "").split())
        lines.append(f"- {tool.get('name')}({listed}): {described}".rstrip(": "))
    form = json.dumps({TOOL: "<its name>", ARGUMENTS: {}})
    lines.append(f"To use one, reply with {form}")
    if may_answer:
        lines.append(f"When no tool is needed, reply with {json.dumps({ANSWER: '<your answer>'})}")
    return "\n".join(lines)


def in_words(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages with calls and results in the form above."""
    names: dict[str, str] = {}
    return [_in_words(message, names) for message in messages]


def _in_words(message: ChatMessage, names: dict[str, str]) -> ChatMessage:
    if message.get("role") == "tool":
        identity = str(message.get("tool_call_id") or "")
        name = message.get("name") or names.get(identity) or "the tool"
        return {"role": "user", "content": f"{name} gave: {message.get('content') or 'nothing'}"}
    calls = cast("Sequence[Mapping[str, Any]]", message.get("tool_calls") or ())
    if not calls:
        return message
    lines: list[str] = []
    for call in calls:
        function = cast("Mapping[str, Any]", call.get("function") or {})
        name, said = str(function.get("name")), str(function.get("arguments") or "{}")
        names[str(call.get("id") or "")] = name
        lines.append(f'{{"{TOOL}": {json.dumps(name)}, "{ARGUMENTS}": {said}}}')
    return {"role": "assistant", "content": "\n".join(lines)}


def _uses_tools(message: ChatMessage) -> bool:
    return message.get("role") == "tool" or bool(message.get("tool_calls"))


def _call_form(tool: Mapping[str, Any]) -> dict[str, Any]:
    parameters = tool.get("parameters") or _ANYTHING
    return _closed({TOOL: {"const": tool.get("name")}, ARGUMENTS: parameters})


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _kind(schema: Any) -> str:
    kind = cast("Mapping[str, Any]", schema).get("type") if isinstance(schema, Mapping) else None
    return kind if isinstance(kind, str) else "any"
