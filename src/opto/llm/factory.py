"""A model made by a function, made anew now and then, and after unpickling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class AbstractModel:
    """Calls the model that `factory` returns; for clients that can't be pickled or grow stale.

    Args:
        factory: makes the model. A pickle holds the factory, so it must be picklable for that.
        reset_freq: seconds after which the model is made anew; never if None.
    """

    def __init__(self, factory: Callable[[], Any], reset_freq: float | None = None) -> None:
        self.factory, self.reset_freq = factory, reset_freq
        self._model: Any = factory()
        self._made = time.monotonic()

    @property
    def model(self) -> Any:
        """The model now in use."""
        stale = self.reset_freq is not None and time.monotonic() - self._made > self.reset_freq
        if self._model is None or stale:
            self._model, self._made = self.factory(), time.monotonic()
        return self._model

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.model(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}
