"""LiteLLM and AutoGen, which stay thin and are imported when they are used."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from opto.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextTooLong,
    Disconnected,
    MissingExtra,
    NoModel,
    QuotaExceeded,
    RateLimited,
    ServerError,
    UsageError,
)
from opto.llm.autogen import AutoGenLLM
from opto.llm.litellm import COMPROMISED, LiteLLM
from opto.testing import Fault, ModelServer
from opto.utils.llm import embed

KEY = "sk-canary-bridge"
MESSAGES = [{"role": "user", "content": "hi"}]
REPLY = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}


class Library:
    """Stands for both libraries and records what they are asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.configs: list[dict[str, Any]] = []

    def completion(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        return REPLY

    async def acompletion(self, **arguments: Any) -> dict[str, Any]:
        return self.completion(**arguments)

    def wrapper(self, config_list: list[dict[str, Any]]) -> Library:
        self.configs = config_list
        return self

    def create(self, **arguments: Any) -> dict[str, Any]:
        return self.completion(**arguments)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    litellm, autogen = ModuleType("litellm"), ModuleType("autogen")
    vars(litellm).update(completion=stand_in.completion, acompletion=stand_in.acompletion)
    vars(autogen).update(OpenAIWrapper=stand_in.wrapper)
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    monkeypatch.setitem(sys.modules, "autogen", autogen)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")
    return stand_in


def test_litellm_is_asked(library: Library) -> None:
    llm = LiteLLM("gemini/g", temperature=0.5)
    assert llm(messages=MESSAGES, max_tokens=3, stop=None).text == "fine"
    assert asyncio.run(llm.acall(messages=MESSAGES)).text == "fine"
    assert all(0 < asked.pop("timeout") <= 180 for asked in library.asked)
    common = {"model": "gemini/g", "messages": MESSAGES, "caching": True, "temperature": 0.5}
    common |= {"num_retries": 0, "max_retries": 0}
    assert library.asked == [{**common, "max_tokens": 3}, common]


def test_texts_are_embedded_by_litellm(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[dict[str, Any]] = []
    failures = [TimeoutError("timed out"), None, ValueError(f"no such model, {KEY}")]

    def embedding(**arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        if (failure := failures.pop(0)) is not None:
            raise failure
        return {"data": [{"embedding": [1, 0.5]}]}

    vars(sys.modules["litellm"]).update(embedding=embedding)
    assert embed("e", "hello", base_delay=0.0) == [1.0, 0.5]
    assert asked == [{"model": "e", "input": ["hello"]}] * 2
    assert embed("e", "hello") is None
    assert "no embedding by e: ValueError" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("variables", "model"),
    [
        ({}, "gpt-4o"),
        ({"DEFAULT_LITELLM_MODEL": "b"}, "b"),
        ({"DEFAULT_LITELLM_MODEL": "b", "TRACE_LITELLM_MODEL": "a"}, "a"),
    ],
)
def test_litellm_takes_its_model_from_the_environment(
    variables: dict[str, str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert LiteLLM().model_name == model
    assert LiteLLM("given", None, False).model_name == "given"
    assert repr(LiteLLM("x")) == "LiteLLM('x')"


def test_autogen_is_asked_with_the_list_of_the_environment(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"model": "a", "api_key": KEY}, {"model": "b", "api_key": KEY}]
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps(entries))
    llm = AutoGenLLM(filter_dict={"model": ["b"]})
    assert llm(messages=MESSAGES, max_tokens=3).text == "fine"
    assert llm.create(messages=MESSAGES) is REPLY
    assert library.configs == [entries[1]]
    assert library.asked[0] == {"messages": MESSAGES, "max_tokens": 3}


def test_autogen_falls_back_to_keys(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    AutoGenLLM()(messages=MESSAGES)
    assert library.configs == [{"model": "gpt-4o", "api_key": KEY}]


def test_autogen_without_any_entry(library: Library) -> None:
    with pytest.raises(NoModel, match="no entry for AutoGen"):
        AutoGenLLM()(messages=MESSAGES)


def test_pickles_hold_no_key(library: Library) -> None:
    llm = AutoGenLLM([{"model": "a", "api_key": KEY}])
    llm(messages=MESSAGES)
    assert KEY.encode() not in pickle.dumps(llm)
    assert KEY not in repr(llm)
    assert pickle.loads(pickle.dumps(llm)).config_list == [{"model": "a"}]
    assert copy.deepcopy(llm).config_list == llm.config_list
    assert pickle.loads(pickle.dumps(LiteLLM("x"))).model_name == "x"
    assert KEY.encode() not in pickle.dumps(LiteLLM("x", api_key=KEY))


class Refused(Exception):
    """What LiteLLM raises: a status in a response without a body."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"litellm: {said}")
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers={}, content=b"")


class ContextWindowExceededError(Refused):
    pass


class ContentPolicyViolationError(Refused):
    pass


@pytest.mark.parametrize(
    ("raised", "kind", "attempts"),
    [
        (Refused(401, f"wrong key {KEY}, or token plain-canary-token"), AuthenticationFailed, 1),
        (Refused(429, "slow down"), RateLimited, 2),
        (Refused(503, "overloaded"), ServerError, 2),
        (Refused(400, "insufficient_quota"), QuotaExceeded, 1),
        (ContextWindowExceededError(400, "x"), ContextTooLong, 1),
        (ContentPolicyViolationError(400, "x"), ContentFiltered, 1),
        (ConnectionResetError("x"), Disconnected, 2),
        (ValueError("of the caller"), ValueError, 1),
    ],
)
def test_errors_of_litellm_are_typed(
    raised: Exception,
    kind: type[Exception],
    attempts: int,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "plain-canary-token")
    asked: list[Any] = []

    def completion(**arguments: Any) -> Any:
        asked.append(arguments)
        raise raised

    monkeypatch.setattr(library, "completion", completion)
    vars(sys.modules["litellm"])["completion"] = completion
    with pytest.raises(kind) as caught:
        LiteLLM("x", max_retries=1, base_delay=0.01)(messages=MESSAGES)
    assert type(caught.value) is kind
    assert len(asked) == attempts
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_azures_tokens_are_used_if_wanted(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_PROVIDER_SCOPE", "https://cognitive")
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(UsageError, match="azure-identity is missing"):
        LiteLLM("azure/x")(messages=MESSAGES)
    identity = ModuleType("azure.identity")
    vars(identity).update(
        DefaultAzureCredential=lambda: "credential",
        get_bearer_token_provider=lambda credential, scope: f"{credential} for {scope}",
    )
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.identity", identity)
    LiteLLM("azure/x")(messages=MESSAGES)
    LiteLLM("mistral/x")(messages=MESSAGES)
    providers = [asked.get("azure_ad_token_provider") for asked in library.asked]
    assert providers == ["credential for https://cognitive", None]


def test_calls_of_tools_come_through(library: Library) -> None:
    function = SimpleNamespace(name="look", arguments='{"x": 1}')
    call = SimpleNamespace(id="c1", type="function", function=function)
    message = SimpleNamespace(role="assistant", content=None, tool_calls=[call])
    reply = SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="tool_calls")])
    vars(sys.modules["litellm"])["completion"] = lambda **_: reply
    (asked,) = LiteLLM("x")(messages=MESSAGES).choices[0].message.tool_calls
    assert asked == {
        "id": "c1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"x": 1}'},
    }


def test_they_are_not_imported_before_they_are_called() -> None:
    program = (
        "import sys, opto.llm, opto.optimizers, opto.utils.llm as old\n"
        "opto.llm.LLM('litellm:x').choose(), opto.llm.LLM(backend='AutoGen').choose()\n"
        "old.LiteLLM('x'), old.AutoGenLLM([{'model': 'x'}])\n"
        "print({'litellm', 'autogen', 'openai'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_compromised_releases_are_excluded_from_the_extra() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    (extra,) = (line for line in project.splitlines() if line.startswith("litellm = "))
    assert all(f"!={release}" in extra for release in COMPROMISED)


def needs_litellm() -> None:
    if importlib.util.find_spec("litellm") is None:  # to import it here would have its effects
        pytest.skip("LiteLLM isn't installed")


SIDE_EFFECTS = """
import os, sys, threading, warnings
with open(".env", "w") as file:
    file.write("SNEAKED=1")
reached = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        reached.append(event)
sys.addaudithook(hook)
import opto.llm.litellm as bridge
before = list(warnings.filters)
bridge._library()
print([reached, os.environ.get("SNEAKED"), before == warnings.filters, threading.active_count()])
"""


def test_importing_the_real_litellm_has_no_side_effects(tmp_path: Path) -> None:
    needs_litellm()
    command = [sys.executable, "-c", SIDE_EFFECTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[[], None, True, 1]"


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
@pytest.mark.parametrize("awaited", [False, True])
def test_the_real_litellm_is_asked(*, awaited: bool) -> None:
    needs_litellm()
    refused = Fault(401, body={"error": {"message": f"wrong key {KEY}"}})
    with ModelServer(["fine", Fault(503), "fine", refused]) as server:
        llm = LiteLLM("openai/m", api_base=server.url, api_key=KEY, base_delay=0.01)

        def ask() -> str:
            if awaited:
                return asyncio.run(llm.acall(messages=MESSAGES)).text
            return llm(messages=MESSAGES).text

        assert ask() == "fine"
        assert ask() == "fine"
        with pytest.raises(AuthenticationFailed) as caught:
            ask()
        assert KEY not in str(caught.value)
        assert len(server.requests) == 4
    del caught
    gc.collect()  # it leaves loops and sockets open; that is its own affair


@pytest.mark.covers("A79")
@pytest.mark.parametrize("llm", [LiteLLM("x"), AutoGenLLM([{"model": "x"}]), AutoGenLLM()])
def test_a_missing_library_is_named(llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("litellm", "autogen"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'trace-opt\["):
        llm(messages=MESSAGES)
    with pytest.raises(MissingExtra, match="litellm"):
        embed("e", "hello")


@pytest.mark.parametrize("release", ["1.82.7", "1.82.8", "1.107.0"])
def test_a_compromised_release_is_never_imported(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    monkeypatch.setattr("opto.llm.litellm.version", lambda _: release)
    with pytest.raises(UsageError, match="steals keys"):
        LiteLLM("x")(messages=MESSAGES)
    assert "litellm" not in sys.modules


@pytest.mark.filterwarnings("ignore")  # AutoGen's own
def test_the_real_autogen_is_asked() -> None:
    pytest.importorskip("autogen")
    pytest.importorskip("openai")
    with ModelServer("fine") as server:
        entry = {"model": "m", "base_url": server.url, "api_key": KEY}
        llm = AutoGenLLM([entry])
        assert llm(messages=MESSAGES).text == "fine"
        assert server.requests[0].body["model"] == "m"
    refused = Fault(401, body={"error": {"message": f"wrong key {KEY}"}})
    with ModelServer(refused) as server:
        llm = AutoGenLLM([{"model": "m", "base_url": server.url, "api_key": KEY}])
        with pytest.raises(AuthenticationFailed) as caught:
            llm(messages=MESSAGES)
    assert (caught.value.model, caught.value.provider) == ("m", "autogen")
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None


def test_other_errors_of_autogen_stay_as_they_are(library: Library) -> None:
    def create(**_: Any) -> Any:
        message = "of the caller"
        raise TypeError(message)

    vars(sys.modules["autogen"])["OpenAIWrapper"] = lambda **_: SimpleNamespace(create=create)
    with pytest.raises(TypeError, match="of the caller"):
        AutoGenLLM([{"model": "x"}])(messages=MESSAGES)
