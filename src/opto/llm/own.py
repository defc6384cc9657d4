"""Models that users bring: a function, a class, a client with ``create``, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from opto.errors import WrongType
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion, abilities_of
from opto.llm.client_kinds import kind_of_client
from opto.llm.counting import Counting
from opto.llm.steps import Model, Request, acall, call
from opto.llm.stream import unstreamed
from opto.llm.wrapper import name_of


class Own(Counting, Backend):
    """A user's own model, called as it can be called, and counted.

    Args:
        llm: a callable that takes ``messages=[...]`` (or the messages first, under another name),
            or an object with such a ``create``. It returns a text or a chat completion, or
            something to await that gives one. Under a budget of tokens or money it is told
            ``max_tokens``; one that doesn't take that is trusted to keep to 1024.
    """

    provider = "own"
    _timed = False

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.model_name = name_of(llm)
        self._model = by_keyword(llm)
        self._limitable = binds(self._model, messages=[], max_tokens=1)

    @property
    def abilities(self) -> Abilities:
        """As the model says; unknown if it doesn't."""
        return abilities_of(self.llm)

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        with unstreamed():  # the models that it may ask aren't what the reader asked for
            return call(self._model, Request(messages, options))

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        with unstreamed():
            return await acall(self._model, Request(messages, options))

    def __repr__(self) -> str:
        return f"Own({name_of(self.llm)})"


def as_model(llm: Any) -> Model:
    """`llm` if it keeps its accounts itself, else as a model that does.

    A client of an official library is asked for its service's default model.
    """
    kind = kind_of_client(llm)
    if kind is not None:
        return kind(llm)
    counted = hasattr(llm, "abilities") and hasattr(llm, "acall")
    model: Model = llm if counted else Own(llm)
    return model


def callable_model(llm: Any) -> Model:
    """`llm` itself where it can be called as a model, else what calls it; nothing is counted.

    Raises:
        WrongType: if it can't be called.
    """
    kind = kind_of_client(llm)
    return by_keyword(llm) if kind is None else kind(llm)


def by_keyword(llm: Any) -> Model:
    """`llm` as a callable of ``messages=[...]``; raises `WrongType` if it is none."""
    if not callable(llm):
        create = getattr(llm, "create", None)
        if not callable(create):
            named = f"; a model by its name is LLM({llm!r})" if isinstance(llm, str) else ""
            message = (
                "llm must be callable as llm(messages=[...]), or a client of an official library, "
                f"not {type(llm).__name__}{named}"
            )
            raise WrongType(message)
        llm = create
    model: Model = llm
    return model if binds(model, messages=[]) or not binds(model, []) else Positional(model)


def binds(llm: Callable[..., Any], /, *args: Any, **kwargs: Any) -> bool:
    """Whether `llm` can be called with these; yes if Python can't tell."""
    try:
        signature = inspect.signature(llm)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


class Positional:
    """Calls a function whose parameter for the messages has another name."""

    def __init__(self, llm: Callable[..., Any]) -> None:
        self.llm = llm

    def __call__(self, messages: Any, **options: Any) -> Any:
        """Call it with the messages first."""
        return self.llm(messages, **options)
