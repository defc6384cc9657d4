"""A span for each call, by OpenTelemetry's conventions for generative AI, if a program uses it.

OpenTelemetry is looked for among the modules that are loaded: who set it up has loaded it, and who
hasn't pays one look into a dict. Prompts and answers are not in the spans.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opto.llm.base import Completion
from opto.version import __version__

_MODULE = "opentelemetry.trace"
_OPTIONS = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}


def watched() -> bool:
    """Whether there may be somebody who looks at spans."""
    return _MODULE in sys.modules


class Span:
    """A call's span; `answered` says how it ended if it didn't fail."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def answered(self, reply: Completion) -> None:
        """Note what came back."""
        reasons = [choice.finish_reason or "unknown" for choice in reply.choices]
        self._span.set_attribute("gen_ai.response.finish_reasons", reasons)
        if reply.model:
            self._span.set_attribute("gen_ai.response.model", reply.model)
        if reply.id:
            self._span.set_attribute("gen_ai.response.id", reply.id)
        if reply.usage.known:
            self._span.set_attribute("gen_ai.usage.input_tokens", reply.usage.prompt_tokens)
            self._span.set_attribute("gen_ai.usage.output_tokens", reply.usage.completion_tokens)


class Unseen:
    """What stands for a span where nobody looks."""

    def answered(self, reply: Completion) -> None:
        """Note nothing."""

    def __enter__(self) -> Unseen:
        return self

    def __exit__(self, *_: object) -> None:
        """End."""


UNSEEN = Unseen()


@contextmanager
def span(model: str, provider: str, options: Mapping[str, Any]) -> Iterator[Span]:
    """The span of a call; an error that is raised inside is noted by its type."""
    library = sys.modules[_MODULE]
    tracer = library.get_tracer("opto.llm", __version__)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider or "unknown",
        "gen_ai.request.model": model,
    }
    for name, attribute in _OPTIONS.items():
        if isinstance(options.get(name), (int, float)):
            attributes[attribute] = options[name]
    with tracer.start_as_current_span(
        f"chat {model}",
        kind=library.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,  # its message might quote the provider
        set_status_on_exception=False,
    ) as started:
        try:
            yield Span(started)
        except BaseException as error:
            started.set_attribute("error.type", type(error).__name__)
            started.set_status(library.Status(library.StatusCode.ERROR))
            raise
