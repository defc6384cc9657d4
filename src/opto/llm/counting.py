"""Models that know how many tokens a text has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

from opto.errors import ModelError

Counter = Callable[[str], int]


@runtime_checkable
class CountsTokens(Protocol):
    """A model that has its tokenizer at hand; `LocalModel` is one.

    Optimizers ask it how long a problem is, where they would estimate it otherwise. A model of a
    user's own needs nothing but a method of this name.
    """

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has, without what a chat puts around it."""
        ...


class Counting:
    """Gives ``count_tokens`` to what stands for another model, if that has it."""

    def _counted(self) -> Any:
        """The model whose tokens are counted."""
        return getattr(self, "llm", None)

    @property
    def count_tokens(self) -> Counter:
        """Counts as the model inside does; not there (``hasattr``) if that can't."""
        try:
            counter = getattr(self._counted(), "count_tokens", None)
        except ModelError as error:  # there is no model yet
            raise AttributeError(str(error)) from None
        if callable(counter):
            return cast("Counter", counter)
        message = f"{type(self).__name__!r} has no 'count_tokens': its model has none"
        raise AttributeError(message)
