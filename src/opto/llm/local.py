"""A language model in this process, without key or network."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opto.errors import ModelError, Timeout
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
from opto.llm.storable import storable, storable_text
from opto.llm.weights import DEFAULT, checked_path, resolve
from opto.llm.weights.store import as_file

CONTEXT_TOKENS = 8192
MAX_TOKENS = 1024
_OURS = frozenset({"timeout", "model", "n", "stream"})


class LocalModel(Backend):
    """A model whose weights lie on this machine, run by llama.cpp; needs the extra ``[local]``.

    The weights are loaded at the first call, once per process however many objects use them. Calls
    from several threads wait for each other. With a `seed` equal calls have equal replies. A call
    takes the options of chat completions: ``max_tokens``, ``temperature``, ``seed``, ``stop``,
    ``n``, ``response_format`` with a JSON schema, ...; and ``timeout``. Cancelling it ends the
    generation after the token at which it is.

    Args:
        name: a name of the catalogue ("0.5b"), ``org/repository:file.gguf``, or a path.
        context_tokens: room for prompt and answer together.
        timeout: seconds that one call may take, the wait for its turn included.
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
        **options: Any,
    ) -> None:
        self.model = self.model_name = name
        self.timeout, self.options = timeout, options
        trained = None if as_file(name) else resolve(name).context_tokens
        self.context_tokens = context_tokens or min(trained or CONTEXT_TOKENS, CONTEXT_TOKENS)

    @property
    def abilities(self) -> Abilities:
        """Small, and forced by its grammar to keep to a schema."""
        return Abilities(self.context_tokens, json_schema=True, size="small")

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        stop = threading.Event()
        future = self._start(messages, options, stop)
        try:
            return self._completion(future.result(self._seconds(options)))
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
            return self._completion(await asyncio.wait_for(future, self._seconds(options)))
        except asyncio.TimeoutError:
            raise self._late(options) from None
        finally:
            stop.set()

    def _start(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any], stop: threading.Event
    ) -> concurrent.futures.Future[list[Said]]:
        library()
        path = checked_path(self.model).resolve()
        bodies = request_bodies(messages, {**self.options, **options})
        loaded: Loaded = SHELF.get(path, self.context_tokens)
        return loaded.submit(bodies, stop)

    def _seconds(self, options: Mapping[str, Any]) -> float:
        given = options.get("timeout")
        return self.timeout if given is None else float(given)

    def _late(self, options: Mapping[str, Any]) -> ModelError:
        message = f"{self.model}: no answer within {self._seconds(options):g} s"
        return Timeout(message, provider=self.provider, model=self.model, attempts=1)

    def _completion(self, answers: Sequence[Said]) -> Completion:
        for said in answers:
            if said.error is not None:
                said.error.provider, said.error.model = self.provider, self.model
                said.error.attempts = 1
                raise said.error
        usages = [usage_of(said.usage) for said in answers]
        choices = tuple(_choice(said, index) for index, said in enumerate(answers))
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


def _choice(said: Said, index: int) -> Choice:
    text = storable_text(said.text)
    return Choice(Message("assistant", text, (), text != said.text), said.finish_reason, index)
