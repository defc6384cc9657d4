"""`LLM`: a model by name, by config list, or by what the environment offers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opto.errors import ModelError, UsageError
from opto.llm.base import Abilities, ChatMessage, Completion, abilities_of
from opto.llm.choice import (
    Selection,
    Surroundings,
    backend_named,
    choose,
    model_named,
    of_config_list,
)
from opto.llm.client_kinds import kind_of_client
from opto.llm.composed import Around
from opto.llm.counting import Counting
from opto.llm.own import as_model
from opto.llm.profiles import profile
from opto.llm.steps import Request, acall, call
from opto.llm.stream import Streaming


class LLM(Counting, Streaming):
    """A language model, chosen at the first call; making one needs no key, file or network.

    Args:
        args: at most one: the model's name (``"gpt-4o"``, ``"ollama/qwen2.5"``, ``"local:0.5b"``,
            ``"http://localhost:11434/v1#llama3"``), a config list, any callable
            ``llm(messages=[...])``, or a client of the libraries of OpenAI, Anthropic or Google
            (beside ``model="gpt-4o"``). None means the rules of `opto.llm.choice`, which
            ``opto doctor`` shows.
        backend: "openai", "anthropic", "google", "ollama", "vllm", "local", "litellm", "autogen"
            or "custom" (any case).
        kwargs: ``model`` (as `args`), ``config_list``, ``filter_dict``; the others go to the back
            end: ``base_url``, ``api_key``, ``timeout``, ``temperature``, ... ``profile`` names a
            table of such arguments (`opto.llm.profiles`), before which those of the call go;
            ``fallback``, ``rate``, ``cache``, ``record`` and ``budget`` are those of
            `opto.llm.composed.Around`.
    """

    def __init__(self, *args: Any, backend: str | None = None, **kwargs: Any) -> None:
        if len(args) > 1:
            message = f"LLM takes one model, {len(args)} were given; others go by keyword"
            raise UsageError(message)
        if "profile" in kwargs:
            kwargs = {**profile(kwargs.pop("profile")), **kwargs}
            backend = backend or kwargs.pop("backend", None)
        asked: Any = args[0] if args else kwargs.pop("model", None)
        configs: Any = kwargs.pop("config_list", None)
        listed = isinstance(asked, (list, tuple))
        self._asked: Any = None if listed else asked
        self._config_list: Sequence[Mapping[str, Any]] | None = asked if listed else configs
        self._filter_dict: Mapping[str, Any] | None = kwargs.pop("filter_dict", None)
        kwargs.pop("reset_freq", None)  # of the original; our clients don't grow stale
        self._backend = backend
        if backend is not None:
            backend_named(backend)
        self._around = Around.taken_from(kwargs)
        self._settings = kwargs
        self._selection: Selection | None = None
        self._lock = threading.Lock()

    def choose(self) -> Selection:
        """The model and why it was chosen: decided once, by environment and files, without network.

        Raises:
            NoModel: if there is none.
        """
        with self._lock:
            if self._selection is None:
                chosen = self._chosen()
                model = self._around.put(chosen.model, self._other)
                self._selection = Selection(model, chosen.why)
            return self._selection

    @property
    def abilities(self) -> Abilities:
        """Those of the chosen model; the default ones if there is none."""
        try:
            return abilities_of(self.choose().model)
        except ModelError:
            return Abilities()

    @property
    def model_name(self) -> str:
        """The chosen model's name."""
        model = self.choose().model
        return str(getattr(model, "model_name", None) or type(model).__name__)

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises `ModelError`, `NoModel` if there is no model to ask."""
        return call(self.choose().model, Request(messages, options))

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """As the call; a synchronous model is called in a thread."""
        return await acall(self.choose().model, Request(messages, options))

    def create(self, **config: Any) -> Completion:
        """The call, under the name that OpenAI's and AutoGen's clients give it."""
        return self(**config)

    def _counted(self) -> Any:
        return self.choose().model

    def _other(self, asked: Any) -> Any:
        if isinstance(asked, str):
            return model_named(asked, {})
        return as_model(asked)

    def _chosen(self) -> Selection:
        around = Surroundings.here(self._settings, self._filter_dict)
        client = kind_of_client(self._asked)
        if client is not None:
            return Selection(client(self._asked, **self._settings), "its client was passed")
        if callable(self._asked):
            return Selection(as_model(self._asked), "it was passed as an argument")
        if self._backend is not None:
            model = backend_named(self._backend)(self._asked or "", **self._backend_settings())
            return Selection(model, f"backend={self._backend!r} was passed")
        if self._asked is not None:
            if not isinstance(self._asked, str):
                kind = type(self._asked).__name__
                message = f"a model is a name, a config list or a callable; given: {kind!r}"
                raise UsageError(message)
            return Selection(model_named(self._asked, self._settings), "it was named in the call")
        if self._config_list is not None:
            return of_config_list(self._config_list, around, "config_list was passed")
        return choose(around)

    def _backend_settings(self) -> dict[str, Any]:
        lists = {"config_list": self._config_list, "filter_dict": self._filter_dict}
        given = {name: value for name, value in lists.items() if value is not None}
        return {**self._settings, **given}

    def __getstate__(self) -> dict[str, Any]:
        chosen = None if not callable(self._asked) else self._selection
        hidden = {name: value for name, value in self._settings.items() if name != "api_key"}
        client = kind_of_client(self._asked)  # it can't be pickled, an adapter without it can
        return {
            **{name: value for name, value in self.__dict__.items() if name != "_lock"},
            "_asked": self._asked if client is None else client(self._asked, **hidden),
            "_selection": chosen,
            "_settings": hidden,
            "_config_list": _without_keys(self._config_list),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> LLM:
        return self

    def __repr__(self) -> str:
        chosen = self._selection
        return f"LLM({chosen.model!r})" if chosen else "LLM(not chosen yet)"


def _without_keys(configs: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    if configs is None:
        return None
    return [{k: v for k, v in config.items() if k != "api_key"} for config in configs]
