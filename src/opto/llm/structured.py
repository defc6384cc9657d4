"""Replies that keep to a JSON schema: asked for as strongly as can be, checked, asked once more.

What is read as JSON is the reply itself, what stands in its outer fence, or the one object in it.
Nothing is guessed: a library that repairs JSON closes what was cut off, and so invents values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from opto.errors import BadRequest, MismatchedReply, ModelError
from opto.llm.base import ChatMessage, Completion, abilities_of
from opto.llm.own import as_model
from opto.llm.schema import Schema, check_schema, faults
from opto.llm.steps import Model, Request, Steps, arun, asked, run
from opto.llm.wrapper import name_of

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_NAME = "reply"
_MOST_FAULTS = 5
Ways = tuple[str, ...]


@dataclass(frozen=True)
class Structured:
    """A reply that keeps to its schema.

    Attributes:
        value: plain data.
        reply: the completion that it was read from.
        asked: how often the model was asked, 1 or 2.
    """

    value: Any
    reply: Completion
    asked: int = 1


def structured(
    llm: Model, messages: Sequence[ChatMessage], schema: Schema, **options: Any
) -> Structured:
    """Ask for a value that keeps to `schema`.

    Args:
        llm: any model.
        messages: the conversation.
        schema: a JSON schema: types, properties, items, enum, const, anyOf/oneOf/allOf, local
            references, bounds and patterns.
        options: of the call.

    Raises:
        MismatchedReply: the model was told what is wrong with its reply and still didn't keep to
            the schema; carries the reply.
        InvalidArgument: the schema says what can't be checked.

    Example:
        >>> from opto.testing import ScriptedModel
        >>> schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        >>> structured(ScriptedModel('{"n": 3}'), [], schema).value
        {'n': 3}
    """
    return run(_structured(llm, messages, schema, options))


async def astructured(
    llm: Model, messages: Sequence[ChatMessage], schema: Schema, **options: Any
) -> Structured:
    """As `structured`."""
    return await arun(_structured(llm, messages, schema, options))


def _structured(
    llm: Model, messages: Sequence[ChatMessage], schema: Schema, options: Mapping[str, Any]
) -> Steps[Structured]:
    check_schema(schema)
    model = as_model(llm)
    ways = _ways(model)
    said = list(messages)
    for attempt in (1, 2):
        reply, ways = yield from _ask(model, said, schema, options, ways)
        text = _text(reply)
        value, wrong = read_json(text)
        wrong = wrong or faults(value, schema)
        if not wrong:
            return Structured(value, reply, attempt)
        listed = "\n".join(f"- {fault}" for fault in wrong[:_MOST_FAULTS])
        correction = (
            f"That reply doesn't keep to the schema:\n{listed}\n"
            "Reply again with the corrected JSON value and nothing else."
        )
        said += [
            {"role": "assistant", "content": text},
            {"role": "user", "content": correction},
        ]
    message = f"{name_of(llm)} didn't keep to the schema, asked twice: {'; '.join(wrong[:2])}"
    raise MismatchedReply(message, reply=text, model=name_of(llm), attempts=2)


def _ask(
    model: Model,
    messages: Sequence[ChatMessage],
    schema: Schema,
    options: Mapping[str, Any],
    ways: Ways,
) -> Steps[tuple[Completion, Ways]]:
    """Ask in the first of `ways` that the provider doesn't refuse; return those from it on."""
    while True:
        request = _request(ways[0], messages, schema, options)
        try:
            reply = yield from asked(model, request)
        except BadRequest as error:
            if len(ways) == 1 or not _refuses_way(error):
                raise
            ways = ways[1:]
        else:
            return reply, ways


def _ways(model: Model) -> Ways:
    abilities = abilities_of(model)
    found: Ways = ("prompt",)
    if abilities.json_object:
        found = ("json_object", *found)
    if abilities.tools:
        found = ("tool", *found)
    return ("json_schema", *found) if abilities.json_schema else found


def _refuses_way(error: ModelError) -> bool:
    said = str(error).lower()
    return any(sign in said for sign in ("response_format", "json_schema", "json_object", "tool"))


def _request(
    way: str, messages: Sequence[ChatMessage], schema: Schema, options: Mapping[str, Any]
) -> Request:
    if way == "json_schema":
        named = {"name": _NAME, "schema": dict(schema)}
        asked_for = {"response_format": {"type": "json_schema", "json_schema": named}}
        return Request(messages, {**options, **asked_for})
    if way == "tool":
        function = {"name": _NAME, "description": "Give the reply.", "parameters": dict(schema)}
        forced = {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": _NAME}},
        }
        return Request(messages, {**options, **forced})
    told = _told(messages, schema)
    if way == "json_object":
        return Request(told, {**options, "response_format": {"type": "json_object"}})
    return Request(told, options)


def _told(messages: Sequence[ChatMessage], schema: Schema) -> list[ChatMessage]:
    text = (
        "Reply with one JSON value and nothing else, no code fence. It keeps to this JSON schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )
    return [{"role": "system", "content": text}, *messages]


def _text(reply: Completion) -> str:
    message = reply.choices[0].message
    for call in message.tool_calls:
        arguments = cast("Mapping[str, Any]", call.get("function") or {}).get("arguments")
        if isinstance(arguments, str):
            return arguments
    return message.content


def read_json(text: str) -> tuple[Any, list[str]]:
    """The value in a model's text, or what is wrong with it."""
    stripped = text.strip()
    fenced = _FENCE.findall(stripped)
    candidates = [stripped, *(fenced if len(fenced) == 1 else [])]
    reason = ""
    for candidate in candidates:
        value, why = _strict(candidate)
        if not why:
            return value, []
        reason = reason or why
    found = _objects(stripped)
    if len(found) == 1:
        return found[0], []
    many = f"there are {len(found)} JSON objects; expected one"
    return None, [many if found else f"the reply isn't JSON: {reason}"]


def _strict(text: str) -> tuple[Any, str]:
    try:
        return json.loads(text, parse_constant=_no_number), ""
    except (ValueError, RecursionError) as error:
        return None, str(error) or "nested too deeply"


def _no_number(name: str) -> Any:
    message = f"{name} is no JSON"
    raise ValueError(message)


def _objects(text: str) -> list[Any]:
    """The outermost objects in a text, where prose stands around them."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    found: list[Any] = []
    at = text.find("{")
    tries = 0
    while at >= 0 and tries < 100:  # a text of braces must not take for ever
        tries += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found.append(value)
        at = text.find("{", end)
    return found
