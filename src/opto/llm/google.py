"""A client for Google's Gemini models, by the service's own protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from opto.errors import ModelError
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.google_wire import read_answer, request_body
from opto.llm.http_model import HttpModel, Outgoing
from opto.llm.native_events import CandidateEvents
from opto.llm.reading import Assembly
from opto.llm.wire import Answer

CONTEXT_TOKENS = 1_000_000


class GeminiModel(HttpModel):
    """A model of Google's, called by ``generateContent``: system prompt, images, tools, schemas.

    Messages, options and replies have the form of chat completions; other options go to the
    service's request (``safetySettings``, ``cachedContent``) or its ``generationConfig``
    (``thinkingConfig``, ...) as they are. Errors, retries and the deadline are those of
    `OpenAICompatible`, and so are the arguments. The key is that of ``GEMINI_API_KEY`` if none is
    given.
    """

    URL: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    KEY: ClassVar[str] = "GEMINI_API_KEY"
    HOLDS: ClassVar[str] = "responseJsonSchema"
    STREAMS: ClassVar[bool] = True

    @property
    def abilities(self) -> Abilities:
        """As given; else those of every current model of the service."""
        known = Abilities(CONTEXT_TOKENS, json_schema=True, tools=True, json_object=True)
        return self._abilities or known

    def _outgoing(
        self, model: str, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Outgoing:
        name = quote(model.removeprefix("models/"), safe="/")
        how = "streamGenerateContent?alt=sse" if options.get("stream") else "generateContent"
        body = request_body(messages, options, held=self._held)
        return Outgoing(f"/models/{name}:{how}", body)

    def _read(self, answer: Answer) -> Completion | ModelError:
        return read_answer(answer)

    def _assembly(self, head: Answer) -> Assembly:
        return CandidateEvents(head)

    def _signed(self, key: str | None) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}
