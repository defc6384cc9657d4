"""Counting calls and tokens of any model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from opto.llm.base import (
    UNKNOWN_USAGE,
    Abilities,
    ChatMessage,
    Completion,
    Usage,
    abilities_of,
    completion_of,
)


class Metered:
    """A model that counts: `calls`, `failures` and `usage` (a sum), exact under threads.

    A call that fails counts as a call whose usage isn't known, since the provider may charge it.
    """

    def __init__(self, llm: Callable[..., Any]) -> None:
        self.llm = llm
        self.calls = self.failures = 0
        self.usage = Usage()
        self._lock = threading.Lock()

    @property
    def abilities(self) -> Abilities:
        """Those of the model inside."""
        return abilities_of(self.llm)

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages` and count."""
        try:
            reply = completion_of(self.llm(messages=messages, **options))
        except BaseException:
            self._failed()
            raise
        return self._counted(reply)

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """As the call, for a model with `acall`, or an async callable."""
        call: Callable[..., Any] = getattr(self.llm, "acall", self.llm)
        try:
            reply = completion_of(await call(messages=messages, **options))
        except BaseException:
            self._failed()
            raise
        return self._counted(reply)

    def _failed(self) -> None:
        with self._lock:
            self.calls += 1
            self.failures += 1
            self.usage += UNKNOWN_USAGE

    def _counted(self, reply: Completion) -> Completion:
        with self._lock:
            self.calls += 1
            self.usage += reply.usage
        return reply

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
