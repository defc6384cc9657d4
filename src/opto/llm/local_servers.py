"""Ollama and vLLM: servers on this machine or a near one, contacted when they are asked for."""

from __future__ import annotations

import os
import re
from typing import ClassVar
from urllib.parse import urlsplit

from opto.errors import BadRequest, Disconnected, ModelError
from opto.llm.base import Abilities
from opto.llm.openai_compatible import ChatCompletions

OLLAMA_HOST, OLLAMA_CONTEXT = "OLLAMA_HOST", "OLLAMA_CONTEXT_LENGTH"
_OLLAMA_TOKENS = 4096  # what it gives a model if it isn't told
_OLLAMA_PORT = 11434
_SIZE = re.compile(r"[:-](\d+(?:\.\d+)?)b\b", re.IGNORECASE)
_SMALL = 4.0  # billions of weights
_NOT_THERE = 404


class OllamaModel(ChatCompletions):
    """A model that Ollama serves: ``LLM("ollama/qwen2.5")``.

    The address is that of ``OLLAMA_HOST``, this machine's port 11434 without it. The arguments are
    those of `OpenAICompatible`. Ollama cuts prompts that don't fit without saying so; what fits is
    told by ``OLLAMA_CONTEXT_LENGTH``, which has to be what its server was started with.
    """

    URL: ClassVar[str] = f"http://localhost:{_OLLAMA_PORT}/v1"
    KEY: ClassVar[str] = "OLLAMA_API_KEY"

    @property
    def abilities(self) -> Abilities:
        """As given; else it keeps to a schema, and small models are known by their names."""
        told = os.environ.get(OLLAMA_CONTEXT, "")
        tokens = int(told) if told.isdecimal() and int(told) else _OLLAMA_TOKENS
        return self._abilities or _abilities(self.model, tokens)

    def _hint(self, error: ModelError) -> str:
        if isinstance(error, Disconnected):
            return f"; is Ollama running? Start it with `ollama serve`, or set {OLLAMA_HOST}"
        if isinstance(error, BadRequest) and error.status == _NOT_THERE:
            return f"; fetch the model with `ollama pull {self.model}`"
        return super()._hint(error)


class VllmModel(ChatCompletions):
    """A model that vLLM serves: ``LLM("vllm/Qwen/Qwen2.5-7B-Instruct")``.

    The address is that of ``VLLM_BASE_URL``, this machine's port 8000 without it; the key, if the
    server wants one, that of ``VLLM_API_KEY``. The arguments are those of `OpenAICompatible`.
    """

    URL: ClassVar[str] = "http://localhost:8000/v1"
    KEY: ClassVar[str] = "VLLM_API_KEY"

    @property
    def abilities(self) -> Abilities:
        """As given; else it keeps to a schema, and small models are known by their names."""
        return self._abilities or _abilities(self.model, None)

    def _hint(self, error: ModelError) -> str:
        if isinstance(error, Disconnected):
            return (
                f"; is vLLM running? Start it with `vllm serve {self.model}`, or set VLLM_BASE_URL"
            )
        if isinstance(error, BadRequest) and error.status == _NOT_THERE:
            return f"; start the server with this model: `vllm serve {self.model}`"
        return super()._hint(error)


def ollama_url(host: str) -> str:
    """The base URL for a value of ``OLLAMA_HOST``, which its server reads as where to listen."""
    parts = urlsplit(host if "://" in host else f"http://{host}")
    name = parts.hostname or "localhost"
    name = "localhost" if name in {"0.0.0.0", "::"} else name  # noqa: S104 - nothing listens there
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else _OLLAMA_PORT)
    path = parts.path.rstrip("/").removesuffix("/v1")
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if secure else 'http'}://{shown}:{port}{path}/v1"


def _abilities(model: str, tokens: int | None) -> Abilities:
    found = _SIZE.search(model)
    small = found is not None and float(found[1]) < _SMALL
    return Abilities(tokens, json_schema=True, size="small" if small else "large", json_object=True)
