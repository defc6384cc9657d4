"""A model that isn't asked twice."""

from __future__ import annotations

from pathlib import Path

from opto.llm.accounting import count_hit
from opto.llm.base import Completion
from opto.llm.cache import Cache
from opto.llm.own import as_model
from opto.llm.steps import Model, Request, Steps, asked
from opto.llm.stored import key_of
from opto.llm.wrapper import Wrapper


class Cached(Wrapper):
    """A model whose answers are kept: an equal request gets the same answer, at no cost.

    Equal is what has the same messages, options, schema, seed and model. Who wants several samples
    of one request asks for ``n``, or numbers the calls by the option ``sample``, which isn't sent:
    each sample is kept by itself. A call with ``cache=False`` is made, and its answer not kept.

    Args:
        llm: any model.
        cache: the cache, or the path of its file; the user's own if None.
    """

    def __init__(self, llm: Model, cache: Cache | str | Path | None = None) -> None:
        super().__init__(as_model(llm))
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)

    def steps(self, request: Request) -> Steps[Completion]:
        """Look, and ask if it isn't there."""
        wanted = request.options.get("cache", True)
        sample = int(request.options.get("sample") or 0)
        plain = request.without("cache", "sample")
        if not wanted:
            return (yield from asked(self.llm, plain))
        key = key_of(self.llm, plain)
        found = self.cache.get(key, sample)
        if found is not None:
            count_hit(self.model_name, self.provider, found)
            return found
        reply = yield from asked(self.llm, plain)
        self.cache.put(key, reply, sample)
        return reply
