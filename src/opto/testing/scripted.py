"""A model that says what a script says: for tests, documentation and demonstrations."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from opto.errors import UsageError
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Choice, Completion, Message, Usage
from opto.llm.stream import sink

Reply: TypeAlias = "str | Completion | Mapping[str, Any] | BaseException"
Script: TypeAlias = "str | Iterable[Reply] | Callable[[Sequence[ChatMessage]], Reply]"
_CHARACTERS_PER_TOKEN = 4
_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Call:
    """One call that the model received."""

    messages: tuple[ChatMessage, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def prompt(self) -> str:
        """The texts of all messages, one after the other."""
        return "\n\n".join(str(message.get("content", "")) for message in self.messages)


class ScriptedModel(Backend):
    """A model whose replies are known beforehand; it records the calls it gets.

    When the script has run out, a call raises `UsageError`. Streamed, it says word by word.

    Args:
        replies: replies to give in order, one for each answer; or one text for every answer; or a
            function of the messages. A reply is a text, a dict (sent as JSON), a `Completion`, or
            an exception to be raised. A call with ``n=3`` takes three.
        abilities: what the model claims to be able to do.

    Attributes:
        calls: what it was asked, in order.
        usage: tokens of all calls, a quarter of the characters where a reply doesn't say.

    Example:
        >>> llm = ScriptedModel(["hello"])
        >>> llm(messages=[{"role": "user", "content": "Greet!"}]).choices[0].message.content
        'hello'
    """

    provider = model_name = "scripted"
    _timed = False

    def __init__(self, replies: Script = (), *, abilities: Abilities | None = None) -> None:
        self._abilities = abilities or Abilities(json_schema=True)
        self.calls: list[Call] = []
        self.usage = Usage()
        self._rule = _rule(replies)
        self._replies: list[Reply] = (
            [] if callable(replies) or isinstance(replies, str) else list(replies)
        )
        self._given = 0
        self._lock = threading.Lock()

    @property
    def remaining(self) -> int:
        """How many replies of the list weren't given yet."""
        return len(self._replies) - self._given

    @property
    def abilities(self) -> Abilities:
        """What the model claims."""
        return self._abilities

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        with self._lock:
            self.calls.append(Call(tuple(dict(message) for message in messages), dict(options)))
        answers = [self._said(messages) for _ in range(options.get("n") or 1)]
        usage = sum((answer.usage for answer in answers[1:]), answers[0].usage)
        choices = tuple(choice for answer in answers for choice in answer.choices)
        numbered = tuple(replace(choice, index=at) for at, choice in enumerate(choices))
        with self._lock:
            self.usage += usage
        reader = sink()
        if reader is not None:
            for choice in numbered:
                for word in _WORDS.findall(choice.message.content):
                    reader.give(word, choice.index)
        return replace(answers[0], choices=numbered, usage=usage)

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return self._answer(messages, options)

    def _said(self, messages: Sequence[ChatMessage]) -> Completion:
        reply = self._next() if self._rule is None else self._rule(messages)
        if isinstance(reply, BaseException):
            raise reply
        return reply if isinstance(reply, Completion) else _completion(reply, messages)

    def _next(self) -> Reply:
        with self._lock:
            if not self.remaining:
                message = (
                    f"the script of the ScriptedModel has {len(self._replies)} replies and all "
                    f"were given; call {len(self.calls)} asked for one more. Add a reply, or pass "
                    "a function of the messages"
                )
                raise UsageError(message)
            self._given += 1
            return self._replies[self._given - 1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


@dataclass(frozen=True)
class _Always:
    """The rule of a script that is one text; a class, so that it can be pickled."""

    text: str

    def __call__(self, _messages: Sequence[ChatMessage]) -> Reply:
        return self.text


def _rule(replies: Script) -> Callable[[Sequence[ChatMessage]], Reply] | None:
    if isinstance(replies, str):
        return _Always(replies)
    return replies if callable(replies) else None


def _completion(reply: str | Mapping[str, Any], messages: Sequence[ChatMessage]) -> Completion:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    prompt = sum(len(str(message.get("content", ""))) for message in messages)
    asked, said = prompt // _CHARACTERS_PER_TOKEN, len(text) // _CHARACTERS_PER_TOKEN
    choice = Choice(Message("assistant", text), "stop")
    return Completion((choice,), Usage(asked, said, asked + said), "scripted")
