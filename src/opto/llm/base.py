"""The one call contract for language models: the shape of OpenAI's chat completions.

A model is any callable ``llm(messages=[{"role": ..., "content": ...}], **options)`` whose reply has
``.choices[0].message.content``. What is in this package returns `Completion`; `completion_of`
makes one of what a user's own callable returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

from opto.errors import BadResponse

ChatMessage: TypeAlias = Mapping[str, Any]
"""One message as it is sent: ``{"role": "user", "content": "..."}``."""


@dataclass(frozen=True)
class Message:
    """What the model said.

    Attributes:
        repaired: the text held characters that can't be stored (NUL, lone surrogates, invalid
            UTF-8); they were replaced by U+FFFD.
    """

    role: str
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    repaired: bool = False


@dataclass(frozen=True)
class Choice:
    """One of the answers to one request."""

    message: Message
    finish_reason: str | None = None
    index: int = 0

    @property
    def cut(self) -> bool:
        """Whether the answer ended because there was no more room for it."""
        return self.finish_reason == "length"


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, or of several added up.

    Attributes:
        known: False if (one of) the replies didn't tell, so that the sums are lower bounds.
        cached_tokens: those of the prompt that the provider remembered and charges less for.
        cost: US dollars, if the provider said.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    known: bool = True
    cached_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            self.known and other.known,
            self.cached_tokens + other.cached_tokens,
            other.cost if self.cost is None else self.cost + (other.cost or 0.0),
        )


_MOST_TOKENS = 10**12
UNKNOWN_USAGE = Usage(known=False)


@dataclass(frozen=True)
class Completion:
    """The reply to one call; `raw` is the provider's own, as plain data, where there is one."""

    choices: tuple[Choice, ...]
    usage: Usage = UNKNOWN_USAGE
    model: str = ""
    id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    @property
    def text(self) -> str:
        """The text of the first answer."""
        return self.choices[0].message.content


@dataclass(frozen=True)
class Abilities:
    """What a model can do, for those who write prompts for it.

    Attributes:
        context_tokens: how many tokens prompt and answer may have together; None if unknown.
        json_schema: it honours ``response_format={"type": "json_schema", ...}``.
        tools: it can be made to call a tool.
        json_object: it honours ``response_format={"type": "json_object"}``.
        size: "small" models need short prompts with worked examples.
    """

    context_tokens: int | None = None
    json_schema: bool = False
    size: Literal["small", "large"] = "large"
    tools: bool = False
    json_object: bool = False


@runtime_checkable
class ChatModel(Protocol):
    """What every back end and every wrapper of this package is."""

    @property
    def abilities(self) -> Abilities:
        """What the model can do."""
        ...

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises `ModelError`."""
        ...

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises `ModelError`."""
        ...


def abilities_of(llm: object) -> Abilities:
    """What `llm` says of itself; a plain callable counts as large and without schema."""
    found = getattr(llm, "abilities", None)
    return found if isinstance(found, Abilities) else Abilities()


def text_completion(*texts: str, model: str = "", usage: Usage = UNKNOWN_USAGE) -> Completion:
    """A completion that says `texts`, one a choice."""
    choices = (
        Choice(Message("assistant", text), "stop", index) for index, text in enumerate(texts)
    )
    return Completion(tuple(choices), usage, model)


def completion_of(reply: object) -> Completion:
    """Make a `Completion` of any reply of the shape of the contract (objects, dicts or a text).

    Raises:
        BadResponse: if there is no choice whose content is text.
    """
    if isinstance(reply, Completion):
        return reply
    if isinstance(reply, str):
        return text_completion(reply)
    choices = _get(reply, "choices", None)
    if not isinstance(choices, Sequence) or isinstance(choices, (str, bytes)) or not choices:
        message = (
            f"the model returned {type(reply).__name__!r} without choices; expected an object "
            "with .choices[0].message.content, as of OpenAI's chat completions"
        )
        raise BadResponse(message)
    listed = cast("Sequence[object]", choices)
    return Completion(
        tuple(_choice_of(choice, index) for index, choice in enumerate(listed)),
        usage_of(_get(reply, "usage", None)),
        _text(_get(reply, "model", "")),
        _text(_get(reply, "id", "")),
    )


def usage_of(value: object) -> Usage:
    """Read the tokens of a reply; whatever isn't a count makes the usage unknown."""
    prompt = _count(_get(value, "prompt_tokens", None))
    completion = _count(_get(value, "completion_tokens", None))
    if prompt is None or completion is None:
        return Usage(prompt or 0, completion or 0, (prompt or 0) + (completion or 0), known=False)
    total = _count(_get(value, "total_tokens", None))
    details = _get(value, "prompt_tokens_details", None)
    cost = _get(value, "cost", None)
    charged = isinstance(cost, (int, float)) and math.isfinite(cost) and cost >= 0
    return Usage(
        prompt,
        completion,
        prompt + completion if total is None else total,
        cached_tokens=_count(_get(details, "cached_tokens", None)) or 0,
        cost=float(cost) if charged else None,
    )


def _choice_of(choice: object, index: int) -> Choice:
    message = _get(choice, "message", None)
    content = _get(message, "content", None)
    calls = _calls_of(_get(message, "tool_calls", None))
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        text = f"the content of the model's answer is {type(content).__name__!r}; expected text"
        raise BadResponse(text)
    reason = _get(choice, "finish_reason", None)
    role = _text(_get(message, "role", "")) or "assistant"
    said = Message(role, content, calls)
    return Choice(said, reason if isinstance(reason, str) else None, index)


def _calls_of(value: object) -> tuple[Mapping[str, Any], ...]:
    """The calls of tools in a message, of dicts or of a library's objects."""
    listed = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else ()
    calls: list[Mapping[str, Any]] = []
    for one in listed:
        function = _get(one, "function", None)
        name, arguments = _get(function, "name", None), _get(function, "arguments", None)
        if isinstance(one, Mapping):
            calls.append(dict(cast("Mapping[str, Any]", one)))
        elif isinstance(name, str):
            said = {"name": name, "arguments": _text(arguments)}
            calls.append({"id": _text(_get(one, "id", "")), "type": "function", "function": said})
    return tuple(calls)


def _get(value: object, name: str, default: Any) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name, default)
    return getattr(value, name, default)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < _MOST_TOKENS else None
