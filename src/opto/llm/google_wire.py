"""Google's generateContent as pure functions: what to send, and what an answer means."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opto.errors import ModelError, QuotaExceeded, RateLimited
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
from opto.llm.wire import Answer, bad_answer, decoded, filtered_answer, request_id, text_of

_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_OURS = "opto-call-"  # begins the number of a call to which the service gave none
_REQUEST = ("safetySettings", "cachedContent", "labels", "toolConfig")
_NOT_THERE = ("stream", "parallel_tool_calls")
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_ENDED: Mapping[str, str] = {"STOP": "stop", "MAX_TOKENS": "length"}
_TOLD = "Reply with one JSON value that keeps to this JSON schema:\n"
_UNUSABLE = frozenset(
    ("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "OTHER", "NO_IMAGE")
)
"""Ends of which another try may have a better one; those that aren't known are refusals."""


def request_body(
    messages: Sequence[ChatMessage], options: Mapping[str, Any], *, held: bool = True
) -> bytes:
    """The JSON to send. Options that aren't those of chat completions belong to the service.

    Names of its request (``safetySettings``, ...) and of its ``generationConfig``
    (``thinkingConfig``, ...) go there as they are.

    Args:
        messages: the conversation.
        options: of the call.
        held: whether the model can be held to a schema; else it is told of it.
    """
    chosen = {
        name: value
        for name, value in options.items()
        if value is not None and name not in _NOT_THERE
    }
    system, turns = conversation(messages)
    body: dict[str, Any] = {"contents": [_content(turn) for turn in turns]}
    config, told = _format(chosen, held=held)
    system = f"{system}\n\n{told}".strip()
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    body |= {name: chosen.pop(name) for name in _REQUEST if name in chosen}
    body |= _tools(chosen)
    stop = chosen.pop("stop", None)
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else list(stop)
    config |= cast("Mapping[str, Any]", chosen.pop("generationConfig", None) or {})
    config |= {_CONFIG.get(name, name): value for name, value in chosen.items()}
    if config:
        body["generationConfig"] = config
    return json.dumps(storable(body), ensure_ascii=False, allow_nan=False).encode()


def read_answer(answer: Answer) -> Completion | ModelError:
    """The completion in `answer`, or the error that it amounts to."""
    fields = decoded(answer)
    if isinstance(fields, RateLimited):
        return _waiting(fields, answer)
    return fields if isinstance(fields, ModelError) else read_fields(answer, fields)


def read_fields(answer: Answer, fields: dict[str, Any]) -> Completion | ModelError:
    """The completion in the object that was sent, or the error that it amounts to."""
    listed = fields.get("candidates")
    if not isinstance(listed, list) or not listed:
        blocked = _object(fields.get("promptFeedback")).get("blockReason")
        if blocked:
            return filtered_answer(answer, f"the prompt: {blocked}")
        why = "the answer is an error" if fields.get("error") else "the answer has no candidates"
        return bad_answer(answer, why)
    read = [_choice(_object(item), at) for at, item in enumerate(cast("list[object]", listed))]
    choices = tuple(item for item in read if isinstance(item, Choice))
    if not choices:
        why = next(item for item in read if isinstance(item, str))
        filtered, _, said = why.partition(": ")
        if filtered == "filtered":
            return filtered_answer(answer, said)
        return bad_answer(answer, why)
    return Completion(
        choices,
        used(fields.get("usageMetadata")),
        _text(fields.get("modelVersion")),
        _text(fields.get("responseId")) or request_id(answer) or "",
        fields,
    )


def used(value: object) -> Usage:
    """The tokens; what the model thought counts as answer, what its tools were told as prompt."""
    fields = _object(value)
    prompt, said = fields.get("promptTokenCount"), fields.get("candidatesTokenCount", 0)
    more, thought = fields.get("toolUsePromptTokenCount"), fields.get("thoughtsTokenCount")
    return usage_of(
        {
            "prompt_tokens": _sum(prompt, more),
            "completion_tokens": _sum(said, thought) if isinstance(prompt, int) else None,
            "total_tokens": fields.get("totalTokenCount"),
            "prompt_tokens_details": {"cached_tokens": fields.get("cachedContentTokenCount")},
        }
    )


# ---- what is sent --------------------------------------------------------------------------------


def _content(turn: Turn) -> dict[str, Any]:
    role = "model" if turn.role == "assistant" else "user"
    return {"role": role, "parts": [_part(part) for part in turn.parts]}


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    if isinstance(part, Image):
        if part.url:
            kind = mimetypes.guess_type(part.url.partition("?")[0])[0] or "image/jpeg"
            return {"fileData": {"mimeType": kind, "fileUri": part.url}}
        return {"inlineData": {"mimeType": part.kind, "data": part.data}}
    if isinstance(part, ToolCall):
        signed = _object(part.extra.get("google")).get("thought_signature")
        call = {"functionCall": {**_identity(part.id), "name": part.name, "args": part.arguments}}
        return {**call, "thoughtSignature": signed} if signed else call
    if isinstance(part, ToolResult):
        told = {"name": part.name, "response": {"result": part.text}}
        return {"functionResponse": {**_identity(part.id), **told}}
    return cast("dict[str, Any]", part)


def _identity(identity: str) -> dict[str, str]:
    """The number of a call, if the service gave it one."""
    return {} if identity.startswith(_OURS) or not identity else {"id": identity}


def _tools(chosen: dict[str, Any]) -> dict[str, Any]:
    functions: list[Mapping[str, Any]] = []
    own: list[Mapping[str, Any]] = []
    for tool in declared_tools(chosen):
        (functions if "name" in tool else own).append(tool)
    kind, name = chosen_tool(chosen)
    declared = [_declared(function) for function in functions]
    tools = [*own, *([{"functionDeclarations": declared}] if declared else [])]
    if not tools:
        return {}
    if not kind:
        return {"tools": tools}
    calling: dict[str, Any] = {"mode": "ANY" if kind == "one" else _MODES[kind]}
    if name:
        calling["allowedFunctionNames"] = [name]
    return {"tools": tools, "toolConfig": {"functionCallingConfig": calling}}


def _declared(function: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: function[name] for name in ("name", "description") if name in function}
    parameters = cast("Mapping[str, Any]", function.get("parameters") or {})
    # A function without parameters is declared without them; an empty object is refused.
    return {**said, "parametersJsonSchema": parameters} if parameters.get("properties") else said


def _format(chosen: dict[str, Any], *, held: bool) -> tuple[dict[str, Any], str]:
    """The part of the configuration that says how to reply, and what the model is told of it."""
    kind, schema = asked_format(chosen)
    if not kind:
        return {}, ""
    asked: dict[str, Any] = {"responseMimeType": "application/json"}
    if kind != "json_schema" or not schema:
        return asked, ""
    if held:
        return {**asked, "responseJsonSchema": schema}, ""
    return asked, f"{_TOLD}{json.dumps(schema, ensure_ascii=False)}"


# ---- what comes back -----------------------------------------------------------------------------


def _choice(candidate: Mapping[str, Any], at: int) -> Choice | str:
    """The choice, or why it isn't one."""
    reason = candidate.get("finishReason")
    parts = _object(candidate.get("content")).get("parts")
    said = _message(cast("list[object]", parts) if isinstance(parts, list) else [], at)
    if isinstance(said, str):
        return said
    if isinstance(reason, str) and reason not in _ENDED:
        return reason if reason in _UNUSABLE else f"filtered: {reason}"
    if not said.content and not said.tool_calls and reason != "MAX_TOKENS":
        return "the answer has no content"
    ended = _ENDED.get(str(reason))
    index = candidate.get("index")
    finish = "tool_calls" if said.tool_calls and ended == "stop" else ended
    return Choice(said, finish, index if isinstance(index, int) else at)


def _message(parts: Sequence[object], at: int) -> Message | str:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for one in parts:
        part = _object(one)
        text, asked = part.get("text"), part.get("functionCall")
        if isinstance(asked, Mapping):
            call = cast("Mapping[str, Any]", asked)
            signed = part.get("thoughtSignature")
            extra = {"google": {"thought_signature": signed}} if signed else None
            identity = _text(call.get("id")) or f"{_OURS}{at}-{len(calls)}"
            calls.append(
                tool_call(identity, _text(call.get("name")), call.get("args") or {}, extra)
            )
        elif isinstance(text, str):
            texts += [] if part.get("thought") else [text]
        elif "text" in part or not part:
            return "a part of the answer's content isn't what the protocol says"
    text = "".join(texts)
    return Message("assistant", text, tuple(calls), REPLACEMENT in text)


def _waiting(error: RateLimited, answer: Answer) -> ModelError:
    """The refusal with the service's advice, which stands in the body; a day's end is no wait."""
    try:
        data: Any = json.loads(text_of(answer))
    except (ValueError, RecursionError):
        return error
    listed = cast("list[object]", data) if isinstance(data, list) else [data]
    details = _object(_object(listed[0] if listed else None).get("error")).get("details")
    for item in cast("list[object]", details) if isinstance(details, list) else []:
        detail = _object(item)
        if "PerDay" in json.dumps(detail.get("violations", "")):
            return QuotaExceeded(str(error), status=error.status, request_id=error.request_id)
        delay = detail.get("retryDelay")
        if error.retry_after is None and isinstance(delay, str):
            error.retry_after = _seconds(delay)
    return error


def _seconds(text: str) -> float | None:
    number = text.removesuffix("s")
    return float(number) if number.replace(".", "", 1).isdecimal() else None


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _sum(one: object, other: object) -> object:
    return one + other if isinstance(one, int) and isinstance(other, int) else one
