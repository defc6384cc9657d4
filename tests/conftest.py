"""What every test stands on: fresh names, an empty home, no keys, no network."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from opto import trace
from opto.execution import report

settings.register_profile("opto", deadline=None)  # a shared machine has no fair clock
settings.load_profile("opto")

LOOPBACK = {"127.0.0.1", "::1", "localhost", "", "0.0.0.0", None}
PROVIDER_VARIABLE = re.compile(
    r"(OPTO|TRACE|OAI|OPENAI|ANTHROPIC|AZURE|GEMINI|GOOGLE|MISTRAL|GROQ|COHERE|TOGETHER|DEEPSEEK"
    r"|OPENROUTER|OLLAMA|LITELLM|DEFAULT_LITELLM|HF|HUGGING\w*)_\w+|\w*_?PROXY",
    re.IGNORECASE,
)


class NetworkUsed(RuntimeError):
    """A test reached for a machine other than this one."""


def forbid_network(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: connections end at this machine, names of others are not looked up."""
    host: Any
    if event == "socket.getaddrinfo":
        host = args[0].decode() if isinstance(args[0], bytes) else args[0]
    elif event in {"socket.connect", "socket.sendto"}:
        host = None if isinstance(args[1], (str, bytes)) else args[1][0]  # a path, or an address
    else:
        return
    if host not in LOOPBACK:
        message = f"tests may reach the loopback address only, not {host!r}"
        raise NetworkUsed(message)


sys.addaudithook(forbid_network)


@pytest.fixture(autouse=True)
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without files, as working directory too, and an environment without providers."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if PROVIDER_VARIABLE.fullmatch(name)]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


@cache
def isolation_works() -> bool:
    """Whether this machine can run proposed code isolated, as it is by default."""
    return report().works


@pytest.fixture(autouse=True)
def run_proposed_code(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be isolated, tests of other things run proposed code in process."""
    del empty_home  # after it has cleared the environment
    if not isolation_works():
        monkeypatch.setenv("OPTO_EXECUTION", "inprocess")


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    """Nodes count from zero in each test."""
    trace.GRAPH.clear()


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Programs under test may silence our loggers; the next test hears them again."""
    logger = logging.getLogger("opto")
    before = logger.level
    yield
    logger.setLevel(before)
