"""Ollama and vLLM: over real HTTP, at their addresses, and when they aren't running."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from opto.errors import BadRequest, Disconnected
from opto.llm import LLM, structured
from opto.llm.local_servers import OllamaModel, VllmModel, ollama_url
from opto.testing import Fault, ModelServer

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:11434/v1"),
        ("127.0.0.1:1234", "http://127.0.0.1:1234/v1"),
        (":1234", "http://localhost:1234/v1"),
        ("0.0.0.0", "http://localhost:11434/v1"),
        ("http://box:1234/", "http://box:1234/v1"),
        ("http://box:1234/v1", "http://box:1234/v1"),
        ("https://box", "https://box:443/v1"),
        ("https://box/ollama", "https://box:443/ollama/v1"),
        ("[::1]:1234", "http://[::1]:1234/v1"),
        ("[::]:1234", "http://localhost:1234/v1"),
    ],
)
def test_the_address_of_ollama(host: str, url: str) -> None:
    assert ollama_url(host) == url


def test_they_are_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(["fine", "fine", '{"n": 1}']) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url.removesuffix("/v1"))
        monkeypatch.setenv("VLLM_BASE_URL", server.url)
        monkeypatch.setenv("VLLM_API_KEY", "canary")
        assert LLM("ollama/qwen2.5:0.5b")(messages=MESSAGES).text == "fine"
        assert LLM("vllm/Qwen/Qwen2.5-7B-Instruct")(messages=MESSAGES).text == "fine"
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        assert structured(LLM("ollama/m"), MESSAGES, schema).value == {"n": 1}
        first, second, third = server.requests
    assert (first.body["model"], "authorization" in first.headers) == ("qwen2.5:0.5b", False)
    assert second.body["model"] == "Qwen/Qwen2.5-7B-Instruct"
    assert second.headers["authorization"] == "Bearer canary"
    assert third.body["response_format"]["type"] == "json_schema"


def test_they_are_never_contacted_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("a socket was made")

    monkeypatch.setenv("OLLAMA_HOST", "localhost")
    monkeypatch.setenv("VLLM_BASE_URL", "http://localhost:8000")
    monkeypatch.setattr(socket, "socket", never)
    assert "OLLAMA" not in LLM("gpt-4o").choose().why
    assert isinstance(LLM("ollama/m").choose().model, OllamaModel)


@pytest.mark.parametrize(
    ("kind", "advice"),
    [(OllamaModel, "`ollama serve`, or set OLLAMA_HOST"), (VllmModel, "`vllm serve m`")],
)
def test_a_server_that_isnt_running_is_said(kind: type[OllamaModel], advice: str) -> None:
    with ModelServer() as server:
        url = server.url
    with pytest.raises(Disconnected) as caught:
        kind("m", url, max_attempts=1)(messages=MESSAGES)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "advice"), [(OllamaModel, "`ollama pull m`"), (VllmModel, "`vllm serve m`")]
)
def test_a_model_that_isnt_there_is_said(kind: type[OllamaModel], advice: str) -> None:
    missing = Fault(404, body={"error": {"message": 'model "m" not found, try pulling it first'}})
    with ModelServer(missing) as server, pytest.raises(BadRequest) as caught:
        kind("m", server.url)(messages=MESSAGES)
    assert advice in str(caught.value)


def test_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    small = OllamaModel("qwen2.5:0.5b").abilities
    assert (small.size, small.context_tokens, small.json_schema) == ("small", 4096, True)
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", "32768")
    assert OllamaModel("llama3:70b").abilities.context_tokens == 32768
    assert OllamaModel("llama3").abilities.size == "large"
    assert VllmModel("Qwen/Qwen2.5-1.5B-Instruct").abilities.size == "small"
    assert VllmModel("m").abilities.context_tokens is None
