"""The base of what answers by itself: each of its calls is in the accounts, once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from opto.llm.accounting import Account, current, open_tallies
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.steps import Ask, Request, Steps, Wait, arun, run
from opto.llm.stream import Streaming
from opto.llm.telemetry import UNSEEN, Span, Unseen, span, watched


class Backend(Streaming, ABC):
    """A model whose calls are booked before they are made and counted when they have ended.

    A subclass answers in `_answer` and `_aanswer`.
    """

    provider: Any = ""
    model_name: Any = ""
    _timed: ClassVar[bool] = True
    """Whether it takes a ``timeout``."""
    _limitable: bool = True
    """Whether it takes ``max_tokens``."""

    @property
    @abstractmethod
    def abilities(self) -> Abilities:
        """What the model can do."""

    @abstractmethod
    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        """Answer."""

    @abstractmethod
    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        """Answer."""

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises `ModelError`, `BudgetExceeded` before anything is sent.

        Args:
            messages: the conversation, system message first.
            options: sent as they are; ``timeout`` (seconds) isn't sent but overrides the default.
        """
        if not (open_tallies() or watched()):
            return self._answer(messages, options)
        return run(self._accounted(Request(messages, options)))

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """As the call; cancelling it ends the request and closes its connection."""
        if not (open_tallies() or watched()):
            return await self._aanswer(messages, options)
        return await arun(self._accounted(Request(messages, options)))

    def create(self, **config: Any) -> Any:
        """The call, under the name that OpenAI's and AutoGen's clients give it."""
        return self(**config)

    def _span(self, request: Request) -> AbstractContextManager[Span | Unseen]:
        if not watched():
            return UNSEEN
        return span(str(self.model_name), str(self.provider), request.options)

    def _accounted(self, request: Request) -> Steps[Completion]:
        account = Account(str(self.model_name), str(self.provider), open_tallies())
        defaults: Mapping[str, Any] = getattr(self, "options", {})
        booking = account.open(request, defaults, timed=self._timed, limitable=self._limitable)
        while True:
            try:
                seconds = next(booking)
            except StopIteration as end:
                asked: Request = end.value
                break
            yield Wait(seconds)
        try:
            with self._span(asked) as seen, current(account):
                reply: Completion = yield Ask(_Unaccounted(self), asked)
                seen.answered(reply)
        except BaseException as error:
            account.settle(error)
            raise
        account.settle(reply)
        return reply


class _Unaccounted:
    """A back end without its accounts."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        return self._backend._answer(messages, options)

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        return await self._backend._aanswer(messages, options)
