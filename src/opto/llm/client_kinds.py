"""The official clients that are known: those of OpenAI (and Azure), Anthropic and Google."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from opto.errors import BadResponse, ModelError, UsageError
from opto.llm import anthropic_wire, google_wire
from opto.llm.anthropic import together
from opto.llm.base import Abilities, Completion, completion_of
from opto.llm.clients import ClientModel, accepted, answer_of
from opto.llm.openai_compatible import for_reasoning
from opto.llm.providers import ANTHROPIC, GOOGLE, OPENAI
from opto.llm.steps import Request, Steps
from opto.llm.wire import Answer, read_answer


class OpenAIClient(ClientModel):
    """A model called through ``openai.OpenAI``, ``AzureOpenAI`` or their asynchronous kinds.

    ``LLM(openai.OpenAI(), model="gpt-4o")`` is the same. With Azure the model is the deployment.
    """

    DEFAULT: ClassVar[str] = OPENAI.default_model

    @property
    def abilities(self) -> Abilities:
        """As given; else those of OpenAI's models for its own service and Azure's."""
        host = str(getattr(self.client, "base_url", ""))
        own = "api.openai.com" in host or "azure" in host
        return self._abilities or Abilities(json_schema=own, tools=own, json_object=own)

    def _default(self, client: Any) -> str:
        if "Azure" in type(client).__name__:
            message = "name the deployment: LLM(client, model='<deployment>')"
            raise UsageError(message)
        return self.DEFAULT

    def _send(self, model: str, request: Request, *, awaited: bool) -> Any:
        del awaited
        client = _unretried(self.client)
        sent = {name: value for name, value in request.options.items() if value is not None}
        if "api.openai.com" in str(getattr(client, "base_url", "")):
            sent = for_reasoning(model, sent)
        method = _raw(client.chat.completions)
        return method(model=model, messages=list(request.messages), **accepted(method, sent))

    def _read(self, reply: Any) -> Completion | ModelError:
        answer = answer_of(reply)
        return _completion(reply) if answer is None else read_answer(answer)

    def _read_refusal(self, answer: Answer) -> Completion | ModelError:
        return read_answer(answer)

    def _method(self) -> Any:
        return self.client.chat.completions.create

    def _secrets(self) -> Iterable[object]:
        return [getattr(self.client, "api_key", None)]


class AnthropicClient(ClientModel):
    """A model called through ``anthropic.Anthropic``, ``AnthropicBedrock`` and others of its kind.

    ``LLM(anthropic.Anthropic(), model="claude-...")`` is the same. ``n`` answers are as many
    requests, one after the other.
    """

    DEFAULT: ClassVar[str] = ANTHROPIC.default_model

    @property
    def abilities(self) -> Abilities:
        """As given; else those of every model of the service."""
        return self._abilities or Abilities(200_000, json_schema=True, tools=True)

    def _steps(self, request: Request) -> Steps[Completion]:
        count = int(request.options.get("n", self.options.get("n")) or 1)
        replies: list[Completion] = []
        for _ in range(count):
            replies.append((yield from super()._steps(request.having(n=1))))
        return together(replies)

    def _send(self, model: str, request: Request, *, awaited: bool) -> Any:
        del awaited
        client = _unretried(self.client)
        options = dict(request.options)
        timeout = options.pop("timeout")
        body = json.loads(anthropic_wire.request_body(model, request.messages, options))
        method = _raw(client.messages)
        return method(**accepted(method, {**body, "timeout": timeout}))

    def _read(self, reply: Any) -> Completion | ModelError:
        answer = answer_of(reply)
        if answer is None:
            return anthropic_wire.read_fields(Answer(200, b""), _plain(reply))
        return anthropic_wire.read_answer(answer)

    def _read_refusal(self, answer: Answer) -> Completion | ModelError:
        return anthropic_wire.read_answer(answer)

    def _method(self) -> Any:
        return self.client.messages.create

    def _secrets(self) -> Iterable[object]:
        return [getattr(self.client, "api_key", None)]


class GeminiClient(ClientModel):
    """A model called through ``google.genai.Client``, for the Gemini API or Vertex AI.

    ``LLM(genai.Client(), model="gemini-...")`` is the same.
    """

    DEFAULT: ClassVar[str] = GOOGLE.default_model
    BOTH: ClassVar[bool] = True

    @property
    def abilities(self) -> Abilities:
        """As given; else those of every current model of the service."""
        known = Abilities(1_000_000, json_schema=True, tools=True, json_object=True)
        return self._abilities or known

    def _send(self, model: str, request: Request, *, awaited: bool) -> Any:
        options = dict(request.options)
        timeout = options.pop("timeout")
        body: dict[str, Any] = json.loads(google_wire.request_body(request.messages, options))
        contents = [_with_bytes(content) for content in body.pop("contents")]
        config = {**body.pop("generationConfig", {}), **body}
        config["httpOptions"] = {"timeout": int(timeout * 1000)}
        client = getattr(self.client, "aio", self.client) if awaited else self.client
        return client.models.generate_content(model=model, contents=contents, config=config)

    def _read(self, reply: Any) -> Completion | ModelError:
        return google_wire.read_fields(Answer(200, b""), _plain(reply))

    def _read_refusal(self, answer: Answer) -> Completion | ModelError:
        return google_wire.read_answer(answer)

    def _method(self) -> Any:
        models = self.client.models
        return models.generate_content

    def _secrets(self) -> Iterable[object]:
        return [getattr(getattr(self.client, "_api_client", None), "api_key", None)]


_KINDS: Sequence[tuple[str, type[ClientModel]]] = (
    ("chat.completions.create", OpenAIClient),
    ("messages.create", AnthropicClient),
    ("models.generate_content", GeminiClient),
)


def kind_of_client(thing: Any) -> type[ClientModel] | None:
    """Which adapter fits; None if `thing` isn't an official client, or one of that shape."""
    if thing is None or callable(thing) or isinstance(thing, (str, Mapping, Sequence)):
        return None  # what can be called is a model already
    for path, kind in _KINDS:
        found = thing
        for name in path.split("."):
            found = getattr(found, name, None)
        if callable(found):
            return kind
    return None


def _unretried(client: Any) -> Any:
    """The client without retries of its own, where it can be told."""
    with_options = getattr(client, "with_options", None)
    return with_options(max_retries=0) if callable(with_options) else client


def _raw(resource: Any) -> Any:
    """The method whose reply is the HTTP answer, where the client has one."""
    raw = getattr(resource, "with_raw_response", None)
    return resource.create if raw is None else raw.create


def _completion(reply: Any) -> Completion | ModelError:
    try:
        return completion_of(reply)
    except BadResponse as error:
        return error


def _plain(reply: Any) -> dict[str, Any]:
    """A reply of the library's own type as the data that it was made of."""
    dump = getattr(reply, "model_dump", None)
    if callable(dump):
        return cast("dict[str, Any]", dump(mode="json", by_alias=True, exclude_none=True))
    return dict(cast("Mapping[str, Any]", reply)) if isinstance(reply, Mapping) else {}


def _with_bytes(content: Mapping[str, Any]) -> dict[str, Any]:
    """A turn with the bytes that stand as base64 in JSON, as Google's library wants them."""
    return {**content, "parts": [_part_with_bytes(part) for part in content["parts"]]}


def _part_with_bytes(part: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(part)
    if "thoughtSignature" in found:
        found["thoughtSignature"] = _decoded(found["thoughtSignature"])
    if "inlineData" in found:
        inline = found["inlineData"]
        found["inlineData"] = {**inline, "data": _decoded(inline["data"])}
    return found


def _decoded(text: str) -> bytes:
    even = text.replace("-", "+").replace("_", "/")
    return base64.b64decode(even + "=" * (-len(even) % 4))
