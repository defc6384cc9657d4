"""What messages of the chat-completions form say, taken apart for protocols of another form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from opto.errors import InvalidArgument
from opto.llm.base import ChatMessage

Role = Literal["user", "assistant", "tool"]
_TOLD = frozenset({"system", "developer"})


@dataclass(frozen=True)
class Image:
    """An image within the message (base64 `data` and its `kind`), or at a `url`."""

    data: str = ""
    kind: str = ""
    url: str = ""


@dataclass(frozen=True)
class ToolCall:
    """What an assistant asked for; `extra` is what its provider wants to be given back."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave."""

    id: str
    name: str
    text: str


@dataclass(frozen=True)
class Turn:
    """What one side said, in parts; a mapping among them is of the protocol and goes as it is."""

    role: Literal["user", "assistant"]
    parts: list[Any]


def conversation(messages: Sequence[ChatMessage]) -> tuple[str, list[Turn]]:
    """What the model is told first, and the turns; what one side said in a row is one turn.

    A conversation of nothing but system messages becomes the user's turn: services that keep them
    apart want something to answer.

    Raises:
        InvalidArgument: if a message isn't one.
    """
    told: list[str] = []
    turns: list[Turn] = []
    names: dict[str, str] = {}
    for message in messages:
        role = message.get("role")
        if role in _TOLD:
            told += [part for part in _parts(message) if isinstance(part, str)]
            continue
        parts = list(_of(message, names))
        side: Literal["user", "assistant"] = "assistant" if role == "assistant" else "user"
        if turns and turns[-1].role == side:
            turns[-1].parts.extend(parts)
        elif parts:
            turns.append(Turn(side, parts))
    text = "\n\n".join(told)
    return (text, turns) if turns or not text else ("", [Turn("user", [text])])


def declared_tools(options: dict[str, Any]) -> list[Mapping[str, Any]]:
    """The functions among ``tools``, which is taken out of `options`."""
    tools = cast("Sequence[Mapping[str, Any]]", options.pop("tools", None) or ())
    return [cast("Mapping[str, Any]", tool.get("function") or tool) for tool in tools]


def chosen_tool(options: dict[str, Any]) -> tuple[str, str]:
    """``tool_choice``, taken out of `options`: "auto", "required", "none", ""; "one" and which.

    Raises:
        InvalidArgument: for another.
    """
    choice: Any = options.pop("tool_choice", None)
    if isinstance(choice, Mapping):
        function: Any = cast("Mapping[str, Any]", choice).get("function") or choice
        return "one", str(function.get("name", ""))
    if choice not in (None, "auto", "required", "none"):
        text = f"tool_choice is 'auto', 'required', 'none' or names a function; given: {choice!r}"
        raise InvalidArgument(text)
    return choice or "", ""


def asked_format(options: dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """``response_format``, taken out of `options`: its type ("" for none) and its schema."""
    asked: Any = options.pop("response_format", None)
    if not isinstance(asked, Mapping):
        return "", {}
    fields = cast("Mapping[str, Any]", asked)
    named = cast("Mapping[str, Any]", fields.get("json_schema") or {})
    kind = str(fields.get("type") or "")
    return ("" if kind == "text" else kind), cast("Mapping[str, Any]", named.get("schema") or {})


def tool_call(
    identity: str, name: str, arguments: object, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A call of a tool, as a message of the chat-completions form holds it."""
    said = json.dumps(arguments, ensure_ascii=False)
    call = {"id": identity, "type": "function", "function": {"name": name, "arguments": said}}
    return {**call, "extra_content": dict(extra)} if extra else call


def _of(message: ChatMessage, names: dict[str, str]) -> Iterator[Any]:
    if message.get("role") == "tool":
        identity = str(message.get("tool_call_id") or "")
        text = "\n".join(str(part) for part in _parts(message))
        yield ToolResult(identity, str(message.get("name") or names.get(identity, "")), text)
        return
    yield from _parts(message)
    for asked in cast("Sequence[Mapping[str, Any]]", message.get("tool_calls") or ()):
        call = _call(asked)
        names[call.id] = call.name
        yield call


def _parts(message: ChatMessage) -> Iterator[Any]:
    content = message.get("content")
    if content is None:
        return
    if isinstance(content, str):
        if content.strip():
            yield content
        return
    if not isinstance(content, (list, tuple)):
        text = f"a message's content is text or a list of parts, not {type(content).__name__!r}"
        raise InvalidArgument(text)
    for part in cast("Sequence[object]", content):
        yield from _part(part)


def _part(part: object) -> Iterator[Any]:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, Mapping):
        text = f"a part of a message is a text or an object, not {type(part).__name__!r}"
        raise InvalidArgument(text)
    fields = cast("Mapping[str, Any]", part)
    if fields.get("type") == "image_url":
        url: Any = fields.get("image_url")
        yield _image(str(url.get("url") if isinstance(url, Mapping) else url))
    elif fields.get("type") == "text" and set(fields) == {"type", "text"}:
        if str(fields["text"]).strip():
            yield str(fields["text"])
    else:
        yield dict(fields)


def _image(url: str) -> Image:
    head, comma, data = url.partition(",")
    if not head.startswith("data:"):
        return Image(url=url)
    kind, _, how = head.removeprefix("data:").partition(";")
    if not comma or how != "base64":
        text = "an image within a message is a URL like data:image/png;base64,..."
        raise InvalidArgument(text)
    return Image(data, kind)


def _call(asked: Mapping[str, Any]) -> ToolCall:
    function = cast("Mapping[str, Any]", asked.get("function") or {})
    name, said = str(function.get("name") or ""), function.get("arguments") or "{}"
    try:
        arguments: Any = json.loads(said) if isinstance(said, str) else said
    except ValueError:
        arguments = {"arguments": said}  # the model said it so; its provider wants an object
    if not isinstance(arguments, Mapping):
        arguments = {"arguments": arguments}
    extra = cast("Mapping[str, Any]", asked.get("extra_content") or {})
    return ToolCall(
        str(asked.get("id") or ""), name, dict(cast("Mapping[str, Any]", arguments)), extra
    )
