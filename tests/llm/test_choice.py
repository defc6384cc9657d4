"""Which model is chosen: a table of environments."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from opto.errors import NoModel, OptoError, UsageError
from opto.llm import LLM, AnthropicModel, Fallback, GeminiModel, OpenAICompatible, choice
from opto.llm.autogen import AutoGenLLM
from opto.llm.choice import RULES, backend_named, choose, model_named
from opto.llm.litellm import LiteLLM
from opto.llm.local import LocalModel
from opto.llm.local_servers import OllamaModel, VllmModel
from opto.llm.weights import CATALOGUE, DEFAULT

KEY = "sk-canary-chosen"
CONFIGS = json.dumps([{"model": "gpt-4", "api_key": KEY}, {"model": "second", "api_key": KEY}])
OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
OLLAMA = "http://localhost:11434/v1"
KEYS = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}

TABLE: list[tuple[dict[str, str], tuple[type, str, str], str]] = [
    # environment, (class, model, base URL), a part of the reason
    ({"OPTO_MODEL": "openai:o3"}, (OpenAICompatible, "o3", OPENAI), "OPTO_MODEL"),
    ({"OPTO_MODEL": "gpt-4o-mini"}, (OpenAICompatible, "gpt-4o-mini", OPENAI), "OPTO_MODEL"),
    ({"OPTO_MODEL": "openai:"}, (OpenAICompatible, "gpt-4o", OPENAI), "OPTO_MODEL"),
    ({"OPTO_MODEL": "claude-x"}, (AnthropicModel, "claude-x", ANTHROPIC), "OPTO_MODEL"),
    ({"OPTO_MODEL": "anthropic:c"}, (AnthropicModel, "c", ANTHROPIC), "OPTO_MODEL"),
    ({"OPTO_MODEL": "local:0.5b"}, (LocalModel, "0.5b", ""), "OPTO_MODEL"),
    ({"OPTO_MODEL": "local:"}, (LocalModel, DEFAULT, ""), "OPTO_MODEL"),
    ({"OPTO_MODEL": "135m"}, (LocalModel, "135m", ""), "OPTO_MODEL"),
    ({"OPTO_MODEL": "litellm:gemini/x"}, (LiteLLM, "gemini/x", ""), "OPTO_MODEL"),
    ({"OPTO_MODEL": "gemini-x"}, (GeminiModel, "gemini-x", GOOGLE), "OPTO_MODEL"),
    ({"OPTO_MODEL": "google:gemma"}, (GeminiModel, "gemma", GOOGLE), "OPTO_MODEL"),
    ({"OPTO_MODEL": "gemini:"}, (GeminiModel, "gemini-flash-latest", GOOGLE), "OPTO_MODEL"),
    ({"OPTO_MODEL": "ollama/qwen2.5:7b"}, (OllamaModel, "qwen2.5:7b", OLLAMA), "OPTO_MODEL"),
    ({"OPTO_MODEL": "ollama:qwen2.5"}, (OllamaModel, "qwen2.5", OLLAMA), "OPTO_MODEL"),
    (
        {"OPTO_MODEL": "ollama/m", "OLLAMA_HOST": "0.0.0.0:1234"},
        (OllamaModel, "m", "http://localhost:1234/v1"),
        "OPTO_MODEL",
    ),
    (
        {"OPTO_MODEL": "vllm/org/m"},
        (VllmModel, "org/m", "http://localhost:8000/v1"),
        "OPTO_MODEL",
    ),
    (
        {"OPTO_MODEL": "vllm/org/m", "VLLM_BASE_URL": "http://gpu:9000"},
        (VllmModel, "org/m", "http://gpu:9000/v1"),
        "OPTO_MODEL",
    ),
    ({"OPTO_MODEL": "autogen:gpt-4"}, (AutoGenLLM, "autogen", ""), "OPTO_MODEL"),
    (
        {"OPTO_MODEL": "http://localhost:11434/v1#llama3"},
        (OpenAICompatible, "llama3", "http://localhost:11434/v1"),
        "OPTO_MODEL",
    ),
    (
        {"OPTO_MODEL": "https://h/v1", **KEYS},
        (OpenAICompatible, "default", "https://h/v1"),
        "OPTO_MODEL",
    ),
    ({"TRACE_DEFAULT_LLM_BACKEND": "LiteLLM"}, (LiteLLM, "gpt-4o", ""), "BACKEND is LiteLLM"),
    (
        {"TRACE_DEFAULT_LLM_BACKEND": "AutoGen", **KEYS},
        (AutoGenLLM, "autogen", ""),
        "BACKEND is AutoGen",
    ),
    (
        {"TRACE_DEFAULT_LLM_BACKEND": "CustomLLM", "TRACE_CUSTOMLLM_URL": "http://c/v1"},
        (OpenAICompatible, "gpt-4o", "http://c/v1"),
        "BACKEND is CustomLLM",
    ),
    (
        {"TRACE_CUSTOMLLM_URL": "http://c/v1", "TRACE_CUSTOMLLM_MODEL": "mine", **KEYS},
        (OpenAICompatible, "mine", "http://c/v1"),
        "TRACE_CUSTOMLLM_URL is set",
    ),
    (
        {"TRACE_LITELLM_MODEL": "gpt-4", **KEYS},
        (OpenAICompatible, "gpt-4", OPENAI),
        "TRACE_LITELLM",
    ),
    (
        {"TRACE_LITELLM_MODEL": "anthropic/claude-3"},
        (AnthropicModel, "claude-3", ANTHROPIC),
        "TRACE_LITELLM",
    ),
    ({"DEFAULT_LITELLM_MODEL": "gemini/g"}, (GeminiModel, "g", GOOGLE), "DEFAULT_LITELLM"),
    ({"DEFAULT_LITELLM_MODEL": "mistral/g"}, (LiteLLM, "mistral/g", ""), "DEFAULT_LITELLM"),
    ({"OAI_CONFIG_LIST": CONFIGS, **KEYS}, (OpenAICompatible, "gpt-4", OPENAI), "OAI_CONFIG_LIST"),
    (KEYS, (OpenAICompatible, "gpt-4o", OPENAI), "OPENAI_API_KEY is set"),
    (
        {**KEYS, "OPENAI_BASE_URL": "http://proxy/v1"},
        (OpenAICompatible, "gpt-4o", "http://proxy/v1"),
        "OPENAI_API_KEY is set",
    ),
    (
        {"ANTHROPIC_API_KEY": KEY},
        (AnthropicModel, "claude-3-5-sonnet-latest", ANTHROPIC),
        "ANTHROPIC_API_KEY is set",
    ),
    (
        {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://proxy", "GEMINI_API_KEY": KEY},
        (AnthropicModel, "claude-3-5-sonnet-latest", "http://proxy/v1"),
        "ANTHROPIC_API_KEY is set",
    ),
    (
        {"GEMINI_API_KEY": KEY, "GOOGLE_API_KEY": KEY},
        (GeminiModel, "gemini-flash-latest", GOOGLE),
        "GEMINI_API_KEY is set",
    ),
]


@pytest.mark.parametrize(("variables", "expected", "reason"), TABLE)
def test_the_first_rule_that_fits_wins(
    variables: dict[str, str],
    expected: tuple[type, str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    selection = choose()
    kind, model, url = expected
    several = isinstance(selection.model, Fallback)
    chosen = selection.model.models[0].llm if several else selection.model
    assert type(chosen) is kind
    assert getattr(chosen, "model_name", "") == model
    assert getattr(chosen, "base_url", "") == url
    assert reason in selection.why
    assert KEY not in repr(selection)


def test_what_is_said_in_the_call_goes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "OPTO_MODEL": "local:0.5b", "OAI_CONFIG_LIST": CONFIGS}.items():
        monkeypatch.setenv(name, value)
    assert LLM("gpt-x").choose().model.model_name == "gpt-x"
    assert LLM(model="claude-x").choose().model.model_name == "claude-x"
    assert LLM(backend="openai").choose().model.model_name == "gpt-4o"
    assert LLM(config_list=[{"model": "m"}]).choose().model.model_name == "m"
    assert LLM(profile="cheap").choose().model.model_name == "gpt-4o-mini"
    listed = LLM(filter_dict={"model": ["second"]})
    monkeypatch.delenv("OPTO_MODEL")
    assert listed.choose().model.model_name == "second"


def test_rules_go_before_each_other_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "is_present", lambda _: True)
    variables = {
        "GEMINI_API_KEY": KEY,
        "ANTHROPIC_API_KEY": KEY,
        "OPENAI_API_KEY": KEY,
        "OAI_CONFIG_LIST": CONFIGS,
        "TRACE_LITELLM_MODEL": "mistral/m",
        "TRACE_CUSTOMLLM_MODEL": "mine",
        "TRACE_DEFAULT_LLM_BACKEND": "AutoGen",
        "OPTO_MODEL": "gpt-x",
    }
    reasons = [choose().why]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        reasons.append(choose().why)
    assert "weights" in reasons[0]
    for name, why in zip(variables, reasons[1:], strict=True):
        assert name in why


def test_a_local_server_needs_a_models_name() -> None:
    with pytest.raises(UsageError, match=r"name a model: ollama/<model>"):
        model_named("ollama:", {})


def test_with_nothing_the_ways_are_listed() -> None:
    with pytest.raises(NoModel) as caught:
        choose()
    for way in (
        "OPENAI_API_KEY",
        "ollama/",
        "OPTO_MODEL",
        "opto model fetch",
        "OAI_CONFIG_LIST",
        "llm=",
    ):
        assert way in str(caught.value)


def test_weights_that_are_here_come_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    present = {"135m"}
    monkeypatch.setattr(choice, "is_present", present.__contains__)
    assert choose().model.model_name == "135m"
    present |= {"0.5b"}
    assert choose().model.model_name == "0.5b"
    present |= set(CATALOGUE)
    assert choose().model.model_name == DEFAULT
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert choose().model.model_name == "gpt-4o"


def test_a_file_in_the_working_folder_is_read(empty_home: Path) -> None:
    (empty_home / "OAI_CONFIG_LIST").write_text(CONFIGS, encoding="utf-8")
    selection = choose()
    assert selection.model.model_name == "gpt-4"
    assert "OAI_CONFIG_LIST" in selection.why


def test_choosing_uses_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> None:
        pytest.fail("a socket was made")

    monkeypatch.setattr(socket, "socket", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    for variables, _, _ in TABLE:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert choose().why


@pytest.mark.parametrize(
    "variables",
    [
        {"OPTO_MODEL": "nonsense:x"},
        {"OPTO_MODEL": "local:nonsense"},
        {"TRACE_DEFAULT_LLM_BACKEND": "nonsense"},
        {"OAI_CONFIG_LIST": "[not json"},
        {"OAI_CONFIG_LIST": "no-such-file"},
        {"OAI_CONFIG_LIST": '[{"api_key": "sk-canary-chosen"}]'},
    ],
)
def test_what_cant_be_meant_is_an_error(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OptoError) as caught:
        choose()
    assert KEY not in str(caught.value)


def test_an_unknown_backend_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"Unknown LLM backend: x; known: .*litellm.*openai"):
        backend_named("x")


@pytest.mark.parametrize("name", ["LiteLLM", "AutoGen", "CustomLLM", "openai", "LOCAL"])
def test_names_of_backends_have_no_case(name: str) -> None:
    assert callable(backend_named(name))


def test_a_gguf_file_is_a_local_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    assert model_named(str(path), {}).model_name == str(path)
    assert model_named(f"local:{path}", {}).model_name == str(path)


def test_settings_reach_the_model() -> None:
    model: Any = model_named("gpt-4o", {"timeout": 3.0, "temperature": 0.5})
    assert (model.timeout, model.options) == (3.0, {"temperature": 0.5})


def test_every_rule_says_what_it_looks_at() -> None:
    assert len({rule.looks_at for rule in RULES}) == len(RULES)
