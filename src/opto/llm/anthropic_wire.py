"""Anthropic's Messages API as pure functions: what to send, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opto.errors import ModelError
from opto.llm.anthropic_schema import native_schema, reply_of_tool, tool_of_schema
from opto.llm.base import ChatMessage, Choice, Completion, Message, Usage, usage_of
from opto.llm.content import (
    Image,
    ToolCall,
    ToolResult,
    Turn,
    asked_format,
    chosen_tool,
    conversation,
    declared_tools,
    tool_call,
)
from opto.llm.storable import REPLACEMENT, storable
from opto.llm.wire import Answer, bad_answer, decoded, filtered_answer, request_id

MAX_TOKENS = 4096
"""The service wants a limit; this one every model of it can keep."""
_JSON_OBJECT = "Reply with one JSON object and nothing else, no code fence."
_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_NOT_THERE = ("n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
_KEPT_BLOCKS = frozenset({"thinking", "redacted_thinking"})


def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    options: Mapping[str, Any],
    *,
    held: bool = True,
) -> bytes:
    """The JSON to send. Options that the service has under the same name go as they are.

    A JSON schema is one that the model is held to if it can be, or else the input of a tool that it
    has to call, which every model of the service can. ``seed``, ``n`` and penalties, which the
    service doesn't have, are left out.

    Args:
        model: the name.
        messages: the conversation.
        options: of the call.
        held: whether the model may be held to a schema; else it is always a tool's.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    system, turns = conversation(messages)
    for name in _NOT_THERE:
        chosen.pop(name, None)
    limit = chosen.pop("max_completion_tokens", None) or chosen.pop("max_tokens", None)
    chosen.pop("max_tokens", None)
    body: dict[str, Any] = {"model": model, "max_tokens": limit or MAX_TOKENS}
    stop = chosen.pop("stop", None)
    if stop:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    kind, schema = asked_format(chosen)
    if kind == "json_object":
        system = f"{system}\n\n{_JSON_OBJECT}".strip()
    if system:
        body["system"] = system
    body["messages"] = [_message(turn) for turn in turns]
    native = native_schema(model, schema) if held and kind == "json_schema" else None
    if native is not None:
        wanted = {"type": "json_schema", "schema": native}
        body["output_config"] = {**(chosen.pop("output_config", None) or {}), "format": wanted}
    body |= _tools(chosen, schema if kind == "json_schema" and native is None else None)
    return json.dumps(storable({**body, **chosen}), ensure_ascii=False, allow_nan=False).encode()


def read_answer(answer: Answer) -> Completion | ModelError:
    """The completion in `answer`, or the error that it amounts to."""
    fields = decoded(answer)
    return fields if isinstance(fields, ModelError) else read_fields(answer, fields)


def read_fields(answer: Answer, fields: dict[str, Any]) -> Completion | ModelError:
    """The completion in the object that was sent, or the error that it amounts to."""
    blocks = fields.get("content")
    if not isinstance(blocks, list):
        why = "the answer is an error" if fields.get("error") else "the answer has no content"
        return bad_answer(answer, why)
    reason = fields.get("stop_reason")
    if reason == "refusal":
        return filtered_answer(answer, "the model refuses")
    message = _said(cast("list[object]", blocks))
    if isinstance(message, str):
        return bad_answer(answer, message)
    finish = _REASONS.get(reason, reason) if isinstance(reason, str) else None
    given = reply_of_tool(message.tool_calls[0]) if len(message.tool_calls) == 1 else None
    if given is not None:
        message = Message("assistant", given, (), REPLACEMENT in given)
        finish = "stop" if finish == "tool_calls" else finish
    named = fields.get("model")
    identity = fields.get("id")
    return Completion(
        (Choice(message, finish),),
        used(fields.get("usage")),
        named if isinstance(named, str) else "",
        identity if isinstance(identity, str) else request_id(answer) or "",
        fields,
    )


def used(value: object) -> Usage:
    """The tokens; those that were read from or written to the service's memory count as prompt."""
    fields = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    kept, written = _count(fields, "cache_read"), _count(fields, "cache_creation")
    prompt = fields.get("input_tokens")
    return usage_of(
        {
            "prompt_tokens": prompt + kept + written if isinstance(prompt, int) else None,
            "completion_tokens": fields.get("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": kept},
        }
    )


# ---- what is sent --------------------------------------------------------------------------------


def _message(turn: Turn) -> dict[str, Any]:
    blocks: list[Any] = []
    for part in turn.parts:
        if isinstance(part, ToolCall):
            blocks += cast("Mapping[str, Any]", part.extra.get("anthropic") or {}).get("blocks", ())
        blocks.append(_block(part))
    # Results stand before what else the user says, or the service refuses the turn.
    blocks.sort(key=lambda block: block.get("type") != "tool_result" and turn.role == "user")
    return {"role": turn.role, "content": blocks}


def _block(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Image):
        if part.url:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        source = {"type": "base64", "media_type": part.kind, "data": part.data}
        return {"type": "image", "source": source}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    if isinstance(part, ToolResult):
        result = {"type": "tool_result", "tool_use_id": part.id}
        return {**result, "content": part.text} if part.text else result
    return cast("dict[str, Any]", part)


def _tools(chosen: dict[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    tools = [_tool(function) for function in declared_tools(chosen)]
    kind, name = chosen_tool(chosen)
    alone = chosen.pop("parallel_tool_calls", None) is False
    if schema is not None:
        tools.append(tool_of_schema(schema))
        kind, name = ("one", tools[0]["name"]) if len(tools) == 1 else ("required", "")
    if not tools:
        return {}
    choice: dict[str, Any] = {}
    if kind:
        choice = {"type": "tool", "name": name} if kind == "one" else {"type": _CHOICES[kind]}
    if alone and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    if "input_schema" in function or "parameters" not in function:
        return dict(function)  # the service's own form
    kept = {name: function[name] for name in ("name", "description", "strict") if name in function}
    return {**kept, "input_schema": function["parameters"]}


# ---- what comes back -----------------------------------------------------------------------------


def _said(blocks: Sequence[object]) -> Message | str:
    """The message, or why it isn't one. Blocks of kinds that are unknown are passed over."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    kept: list[Mapping[str, Any]] = []
    for one in blocks:
        block = cast("Mapping[str, Any]", one) if isinstance(one, Mapping) else {}
        kind = block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif kind == "tool_use" and isinstance(block.get("name"), str):
            extra = {"anthropic": {"blocks": kept}} if kept else None
            kept = []
            calls.append(
                tool_call(str(block.get("id")), block["name"], block.get("input") or {}, extra)
            )
        elif not isinstance(kind, str) or kind in {"text", "tool_use"}:
            return "a part of the answer's content isn't what the protocol says"
        elif kind in _KEPT_BLOCKS:
            kept.append(block)
    text = "".join(texts)
    return Message("assistant", text, tuple(calls), REPLACEMENT in text)


def _count(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(f"{name}_input_tokens")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
