"""llama.cpp in this process: weights are loaded once; jobs generate in turn, or in slots."""

from __future__ import annotations

import atexit
import http.client
import importlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

from opto.errors import (
    BadRequest,
    BadResponse,
    ContextTooLong,
    MissingExtra,
    ModelError,
    WeightsError,
)
from opto.llm.storable import storable_text

_MOST_THREADS = 8
_PASSIVE = ("OMP_WAIT_POLICY", "passive")
_COUNT_SECONDS = 60.0

Give: TypeAlias = "Callable[[str, int], None] | None"
"""Takes the pieces of an answer, and which of the answers it is."""


@dataclass
class Said:
    """One answer, as far as it was generated."""

    text: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: ModelError | None = None


class Loaded:
    """Weights that are loaded.

    Jobs wait for each other, so that equal ones have equal results; with several slots as many run
    at the same time, faster together, and their numbers depend on what runs beside them.
    """

    def __init__(self, path: Path, context_tokens: int, slots: int = 1) -> None:
        self.path, self.context_tokens, self.slots = path, context_tokens, slots
        self._worker = ThreadPoolExecutor(slots, thread_name_prefix="opto-llm-local")
        self._loading = threading.Lock()
        self._key = secrets.token_hex(16)  # it listens on the loopback interface as well
        self._server: Any = None

    def submit(
        self, bodies: Sequence[Mapping[str, Any]], stop: threading.Event, give: Give = None
    ) -> Future[list[Said]]:
        """Generate an answer to each of `bodies`; ends after the next token once `stop` is set."""
        return self._worker.submit(self._answer_all, bodies, stop, give)

    def count(self, text: str) -> int:
        """How many tokens `text` has; loads the weights if they aren't."""
        place = urlsplit(str(self._loaded().listening_address))
        connection = http.client.HTTPConnection(
            place.hostname or "127.0.0.1", place.port, timeout=_COUNT_SECONDS
        )
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            connection.request("POST", "/tokenize", json.dumps({"content": text}), headers)
            return len(json.loads(connection.getresponse().read())["tokens"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            message = f"llama.cpp doesn't count tokens: {type(error).__name__}"
            raise BadResponse(message, provider="local", model=self.path.name) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Free the memory."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _loaded(self) -> Any:
        with self._loading:
            if self._server is None:
                self._server = _load(self.path, self.context_tokens, self.slots, self._key)
            return self._server

    def _answer_all(
        self, bodies: Sequence[Mapping[str, Any]], stop: threading.Event, give: Give
    ) -> list[Said]:
        said: list[Said] = []
        for index, body in enumerate(bodies):
            if stop.is_set() or (said and said[-1].error):
                break
            said.append(_answer(self._loaded(), body, stop, give and partial(_give, give, index)))
        return said


def library() -> Any:
    """The module ``xllamacpp``; raises `MissingExtra` if it isn't installed."""
    # Spinning threads of OpenMP make generation ten times slower on busy cores; the variable is
    # read when the library is loaded.
    os.environ.setdefault(*_PASSIVE)
    try:
        return importlib.import_module("xllamacpp")
    except ImportError:
        raise MissingExtra("xllamacpp", "local", "a local model") from None


def threads() -> int:
    """How many threads to generate with: the cores this process may use, up to a bound."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, _MOST_THREADS)


def _load(path: Path, context_tokens: int, slots: int, key: str) -> Any:
    llama = library()
    parameters = llama.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = context_tokens * slots
    parameters.n_parallel = slots
    parameters.kv_unified = False  # each slot has its own share of the context
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads()
    parameters.warmup = False
    parameters.verbosity = 0
    parameters.cache_ram_mib = 256  # prompts asked in turns are read once: 3.5 s, then 0.4 s
    parameters.api_keys = [key]
    try:
        return llama.Server(parameters)
    except (RuntimeError, ValueError) as error:
        message = f"llama.cpp can't load {path}: {error}"
        raise WeightsError(message, provider="local", model=path.name) from None


def _give(give: Callable[[str, int], None], index: int, text: str) -> None:
    give(storable_text(text), index)


def _answer(
    server: Any,
    body: Mapping[str, Any],
    stop: threading.Event,
    give: Callable[[str], None] | None,
) -> Said:
    said = Said()
    pieces: list[str] = []

    def take(chunk: Any) -> bool:
        # An exception in here would be printed and forgotten by the library.
        before = len(pieces)
        if isinstance(chunk, dict):
            _take(cast("dict[str, Any]", chunk), said, pieces)
        if give is not None:
            for piece in pieces[before:]:
                give(piece)
        return stop.is_set()

    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    try:
        returned = server.handle_chat_completions(streamed, take)
    except (ValueError, RuntimeError) as error:
        said.error = BadRequest(f"llama.cpp refuses the request: {error}")
        return said
    if isinstance(returned, dict):
        take(returned)
    said.text = "".join(pieces)
    if said.error is None and said.finish_reason is None and not stop.is_set():
        said.error = BadResponse("llama.cpp ended without an answer")
    return said


def _take(chunk: Mapping[str, Any], said: Said, pieces: list[str]) -> None:
    if chunk.get("error"):
        said.error = _error(chunk["error"])
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        said.usage = cast("dict[str, Any]", usage)
    choices = cast("list[dict[str, Any]]", chunk.get("choices") or [])
    for choice in choices:
        piece = cast("dict[str, Any]", choice.get("delta") or {}).get("content")
        if isinstance(piece, str):
            pieces.append(piece)
        said.finish_reason = choice.get("finish_reason") or said.finish_reason


def _error(error: Any) -> ModelError:
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
    kind = ContextTooLong if "context" in str(fields.get("type")) else BadRequest
    return kind(f"llama.cpp refuses the request: {fields.get('message')}")


class Shelf:
    """The weights that this process has loaded, one entry a file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[Path, Loaded] = {}
        self._inherited: list[Loaded] = []
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def get(self, path: Path, context_tokens: int, slots: int = 1) -> Loaded:
        """The loaded weights of the file, with so many slots and at least that much context."""
        with self._lock:
            found = self._loaded.get(path)
            enough = found is not None and found.context_tokens >= context_tokens
            if found is None or not enough or found.slots != slots:
                if found is not None:
                    found.close()
                found = self._loaded[path] = Loaded(path, context_tokens, slots)
            return found

    def close(self) -> None:
        """Free all; what is asked for afterwards is loaded again."""
        with self._lock:
            closing, self._loaded = list(self._loaded.values()), {}
        for loaded in closing:
            loaded.close()

    def _forget(self) -> None:
        """In a forked child: its threads are gone, so it can neither be used nor taken down."""
        self._inherited.extend(self._loaded.values())
        self._loaded = {}
        self._lock = threading.Lock()


SHELF = Shelf()
