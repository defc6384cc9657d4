"""A client for Anthropic's Messages API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from opto.errors import ModelError
from opto.llm.anthropic_wire import read_answer, request_body
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.http_model import HttpModel, Outgoing
from opto.llm.native_events import MessageEvents
from opto.llm.reading import Assembly
from opto.llm.stream import unstreamed
from opto.llm.wire import Answer

VERSION = "2023-06-01"
CONTEXT_TOKENS = 200_000


class AnthropicModel(HttpModel):
    """A model of Anthropic's, called in its own protocol: system prompt, images, tools, schemas.

    Messages, options and replies have the form of chat completions; options that only the service
    has (``thinking``, ``top_k``, ``output_config``, ``metadata``, ...) go as they are. Errors,
    retries and the deadline are those of `OpenAICompatible`, and so are the arguments. The key is
    that of ``ANTHROPIC_API_KEY`` if none is given.

    A call without ``max_tokens`` gets 4096, since the service wants a limit. A JSON schema is what
    newer models are held to and the input of a tool that older ones must call; the reply's content
    is the JSON text either way. ``n`` answers are as many requests at the same time.
    """

    URL: ClassVar[str] = "https://api.anthropic.com/v1"
    KEY: ClassVar[str] = "ANTHROPIC_API_KEY"
    HOLDS: ClassVar[str] = "output_config"
    STREAMS: ClassVar[bool] = True

    @property
    def abilities(self) -> Abilities:
        """As given; else those of every model of the service."""
        return self._abilities or Abilities(CONTEXT_TOKENS, json_schema=True, tools=True)

    async def _exchanged(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> Completion | ModelError:
        count = int(options.get("n", self.options.get("n")) or 1)
        if count == 1:
            return await super()._exchanged(messages, options)
        once = {**options, "n": 1}
        with unstreamed():  # pieces of several would come mixed
            asked = [super(AnthropicModel, self)._exchanged(messages, once) for _ in range(count)]
            answers = await asyncio.gather(*asked)
        failed = next((one for one in answers if isinstance(one, ModelError)), None)
        return failed or together([one for one in answers if isinstance(one, Completion)])

    def _outgoing(
        self, model: str, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Outgoing:
        return Outgoing("/messages", request_body(model, messages, options, held=self._held))

    def _read(self, answer: Answer) -> Completion | ModelError:
        return read_answer(answer)

    def _assembly(self, head: Answer) -> Assembly:
        return MessageEvents(head)

    def _signed(self, key: str | None) -> dict[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}


def together(replies: Sequence[Completion]) -> Completion:
    """One completion of several, a choice of each."""
    choices = tuple(replace(reply.choices[0], index=index) for index, reply in enumerate(replies))
    usage = sum((reply.usage for reply in replies[1:]), replies[0].usage)
    return replace(replies[0], choices=choices, usage=usage)
