"""A language model in this process, without key or network."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opto.errors import InvalidArgument, ModelError, Timeout
from opto.llm.backend import Backend
from opto.llm.base import (
    UNKNOWN_USAGE,
    Abilities,
    ChatMessage,
    Choice,
    Completion,
    Message,
    Usage,
    usage_of,
)
from opto.llm.llama import SHELF, Loaded, Said, library
from opto.llm.local_tools import offered, read
from opto.llm.storable import storable, storable_text
from opto.llm.stream import sink
from opto.llm.weights import DEFAULT, checked_path, resolve
from opto.llm.weights.store import as_file

CONTEXT_TOKENS = 8192
MAX_TOKENS = 1024
_OURS = frozenset({"timeout", "model", "n", "stream", "tools", "tool_choice"})


class LocalModel(Backend):
    """A model whose weights lie on this machine, run by llama.cpp; needs the extra ``[local]``.

    The weights are loaded at the first call, once per process however many objects use them. Calls
    from several threads wait for each other. With a `seed` equal calls have equal replies. A call
    takes the options of chat completions: ``max_tokens``, ``temperature``, ``seed``, ``stop``,
    ``n``, ``response_format`` with a JSON schema, ``tools``, ...; and ``timeout``. Cancelling it
    ends the generation after the token at which it is. Calls of tools are forced to be well-formed
    by a grammar, for every model; where there are tools, a streamed answer comes in one piece.

    Args:
        name: a name of the catalogue ("0.5b"), ``org/repository:file.gguf``, or a path.
        context_tokens: room for prompt and answer together.
        timeout: seconds that one call may take, the wait for its turn included.
        slots: how many calls may generate at the same time, each with a context of its own. With
            more than one they are faster together, but a seed no longer makes replies equal.
        options: used for every call, e.g. ``temperature``; those of the call go before them.

    Raises, when called:
        ContextTooLong: if the prompt doesn't fit.
        WeightsError: if the weights aren't here.
        MissingExtra: if llama.cpp isn't installed.
        ModelError: of another kind for what else can go wrong.
    """

    provider = "local"

    def __init__(
        self,
        name: str = DEFAULT,
        *,
        context_tokens: int | None = None,
        timeout: float = 600.0,
        slots: int = 1,
        **options: Any,
    ) -> None:
        if slots < 1:
            message = f"slots must be at least 1; given: {slots}"
            raise InvalidArgument(message)
        self.model = self.model_name = name
        self.timeout, self.options, self.slots = timeout, options, slots
        trained = None if as_file(name) else resolve(name).context_tokens
        self.context_tokens = context_tokens or min(trained or CONTEXT_TOKENS, CONTEXT_TOKENS)

    @property
    def abilities(self) -> Abilities:
        """Small, and forced by its grammar to keep to a schema and to call tools rightly."""
        return Abilities(self.context_tokens, json_schema=True, size="small", tools=True)

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has, without the marks that a chat puts around it.

        Raises:
            ModelError: as a call does, if the weights can't be loaded.
        """
        return self._shelved().count(text)

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        stop = threading.Event()
        future = self._start(messages, options, stop)
        try:
            return self._completion(future.result(self._seconds(options)), options)
        except concurrent.futures.TimeoutError:
            raise self._late(options) from None
        finally:
            stop.set()

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        stop = threading.Event()
        future = asyncio.wrap_future(self._start(messages, options, stop))
        try:
            said = await asyncio.wait_for(future, self._seconds(options))
            return self._completion(said, options)
        except asyncio.TimeoutError:
            raise self._late(options) from None
        finally:
            stop.set()

    def _start(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any], stop: threading.Event
    ) -> concurrent.futures.Future[list[Said]]:
        chosen = {**self.options, **options}
        offer = offered(messages, chosen)
        if offer is not None:
            messages, chosen = offer.messages, offer.options
        into = sink()
        give = None if into is None or _may_call(options, self.options) else into.give
        bodies = request_bodies(messages, chosen)
        return self._shelved().submit(bodies, stop, give)

    def _shelved(self) -> Loaded:
        library()
        return SHELF.get(checked_path(self.model).resolve(), self.context_tokens, self.slots)

    def _seconds(self, options: Mapping[str, Any]) -> float:
        given = options.get("timeout")
        return self.timeout if given is None else float(given)

    def _late(self, options: Mapping[str, Any]) -> ModelError:
        message = f"{self.model}: no answer within {self._seconds(options):g} s"
        return Timeout(message, provider=self.provider, model=self.model, attempts=1)

    def _completion(self, answers: Sequence[Said], options: Mapping[str, Any]) -> Completion:
        calls = _may_call(options, self.options)
        for said in answers:
            if said.error is not None:
                said.error.provider, said.error.model = self.provider, self.model
                said.error.attempts = 1
                raise said.error
        usages = [usage_of(said.usage) for said in answers]
        choices = tuple(_choice(said, index, calls=calls) for index, said in enumerate(answers))
        return Completion(choices, sum(usages, Usage()) if usages else UNKNOWN_USAGE, self.model)

    def __repr__(self) -> str:
        return f"LocalModel({self.model!r})"


def request_bodies(
    messages: Sequence[ChatMessage], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What llama.cpp is asked, once for each of the `n` answers.

    With a seed the first doesn't use what earlier calls left in the prompt cache, which would
    change its numbers; those after it use what the first left.
    """
    asked = {name: value for name, value in options.items() if value is not None}
    seed = asked.get("seed")
    asked.setdefault("max_tokens", asked.pop("max_completion_tokens", MAX_TOKENS))
    chosen = {name: value for name, value in asked.items() if name not in _OURS}
    common = storable({**chosen, "messages": [dict(message) for message in messages]})
    bodies: list[dict[str, Any]] = []
    for index in range(int(asked.get("n") or 1)):
        seeded = {} if seed is None else {"seed": int(seed) + index}
        bodies.append({"cache_prompt": seed is None or index > 0, **common, **seeded})
    return bodies


def _may_call(options: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether the reply may be a call of a tool."""
    chosen = {**own, **options}
    return bool(chosen.get("tools")) and chosen.get("tool_choice") != "none"


def _choice(said: Said, index: int, *, calls: bool) -> Choice:
    text = storable_text(said.text)
    content, asked = read(text, index) if calls else (text, ())
    reason = "tool_calls" if asked and said.finish_reason == "stop" else said.finish_reason
    return Choice(Message("assistant", content, asked, text != said.text), reason, index)
