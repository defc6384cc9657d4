"""The model that the variables ``TRACE_CUSTOMLLM_*`` name."""

from __future__ import annotations

import os
from typing import Any

from opto.llm.openai_compatible import OPENAI_KEY, OPENAI_URL, OpenAICompatible
from opto.llm.secret import ApiKey

MODEL, URL, KEY = "TRACE_CUSTOMLLM_MODEL", "TRACE_CUSTOMLLM_URL", "TRACE_CUSTOMLLM_API_KEY"


def custom_model(model: str | None = None, **settings: Any) -> OpenAICompatible:
    """A client for an OpenAI-compatible server; what isn't given is read from the environment."""
    url = settings.pop("base_url", None) or os.environ.get(URL)
    variable = KEY if url or os.environ.get(KEY) else OPENAI_KEY
    settings.setdefault("api_key", ApiKey(variable=variable))
    return OpenAICompatible(
        model or os.environ.get(MODEL) or "gpt-4o", url or OPENAI_URL, **settings
    )
