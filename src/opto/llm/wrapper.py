"""The base of what stands around a model: one thing a class, in any order, sync and async."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from opto.llm.base import Abilities, ChatMessage, Completion, abilities_of
from opto.llm.counting import Counting
from opto.llm.steps import Model, Request, Steps, arun, run
from opto.llm.stream import Streaming


class Wrapper(Counting, Streaming, ABC):
    """A model made of another; a subclass says in `steps` what it does around a call."""

    def __init__(self, llm: Model) -> None:
        self.llm = llm
        self._lock = threading.Lock()

    @abstractmethod
    def steps(self, request: Request) -> Steps[Completion]:
        """Answer `request`."""

    @property
    def abilities(self) -> Abilities:
        """Those of the model inside."""
        return abilities_of(self.llm)

    @property
    def model_name(self) -> str:
        """The name of the model inside."""
        return name_of(self.llm)

    @property
    def provider(self) -> str:
        """The provider of the model inside."""
        return str(getattr(self.llm, "provider", ""))

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises `ModelError`."""
        return run(self.steps(Request(messages, options)))

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """As the call, for every kind of model inside."""
        return await arun(self.steps(Request(messages, options)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.llm!r})"


def name_of(llm: object) -> str:
    """The model's name, or its type's."""
    found = getattr(llm, "model_name", None)
    return found if isinstance(found, str) and found else type(llm).__name__
