"""What `LLM` puts around a model: fall-backs, a rate, a cache, a recording, a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from opto.llm.budgeted import Budgeted
from opto.llm.cache import Cache
from opto.llm.cached import Cached
from opto.llm.fallback import Fallback
from opto.llm.http_model import HttpModel
from opto.llm.limiter import Limited, RateLimiter
from opto.llm.rate import Rate
from opto.llm.recorded import Recorded
from opto.llm.tally import Budget, Tally


@dataclass(frozen=True)
class Around:
    """The wishes, of which each may be None.

    Attributes:
        fallback: models (names, callables) to be asked when the first fails.
        rate: limits to keep; tables of configuration files may stand for `Rate` and `Budget`.
        cache: True for the user's own, a path, or a `Cache`.
        record: the file of a recording that is resumed.
        budget: hard limits.
    """

    fallback: Sequence[Any] | str | None = None
    rate: Rate | RateLimiter | Mapping[str, Any] | None = None
    cache: Cache | str | Path | bool | None = None
    record: str | Path | None = None
    budget: Budget | Tally | Mapping[str, Any] | None = None

    @staticmethod
    def taken_from(settings: dict[str, Any]) -> Around:
        """The wishes among `settings`, which are taken out."""
        names = [item.name for item in fields(Around)]
        return Around(**{name: settings.pop(name) for name in names if name in settings})

    def put(self, model: Any, named: Callable[[Any], Any]) -> Any:
        """`model` with all that is wished around it; `named` makes the models to fall back on."""
        others = [self.fallback] if isinstance(self.fallback, str) else self.fallback or ()
        models = [self._limited(one) for one in (model, *map(named, others))]
        model = Fallback(models) if len(models) > 1 else models[0]
        if self.cache is not None and self.cache is not False:
            model = Cached(model, None if self.cache is True else self.cache)
        if self.record is not None:
            model = Recorded(model, self.record)
        if self.budget is not None:
            budget = self.budget
            model = Budgeted(model, Budget(**budget) if isinstance(budget, Mapping) else budget)
        return model

    def _limited(self, model: Any) -> Any:
        if self.rate is None:
            return model
        rate = Rate(**self.rate) if isinstance(self.rate, Mapping) else self.rate
        if not isinstance(model, HttpModel):
            return Limited(model, rate)
        model.limiter = RateLimiter(rate) if isinstance(rate, Rate) else rate
        return model
