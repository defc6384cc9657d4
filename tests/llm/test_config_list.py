from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opto.errors import NoModel, UsageError
from opto.llm import LLM, AnthropicModel, GeminiModel, OpenAICompatible
from opto.llm.config_list import (
    config_list_of_keys,
    filtered,
    model_of,
    parse_config_list,
    read_config_list,
)
from opto.llm.http_model import HttpModel
from opto.llm.local_servers import OllamaModel
from opto.testing import ModelServer

KEY = "sk-canary-listed"
OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com/v1"
LIST = [{"model": "gpt-4", "api_key": KEY}, {"model": "claude-sonnet-3.5-latest", "api_key": KEY}]


@pytest.mark.parametrize("value", ["sub/list.json", "ABSOLUTE", "JSON", ""])
def test_the_list_is_found(value: str, tmp_path: Path) -> None:
    text = json.dumps(LIST)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "list.json").write_text(text, encoding="utf-8")
    if not value:
        (tmp_path / "OAI_CONFIG_LIST").write_text(text, encoding="utf-8")
    values = {"ABSOLUTE": str(tmp_path / "sub" / "list.json"), "JSON": text}
    variables = {"OAI_CONFIG_LIST": values.get(value, value)} if value else {}
    found = read_config_list(variables, tmp_path)
    assert found is not None
    assert found[0] == LIST
    assert KEY not in found[1]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert read_config_list({}, tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", '"x"', "nonsense sk-canary-listed", "[" * 100_000]
)
def test_anything_else_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(UsageError, match="should be a JSON list") as caught:
        parse_config_list(text, "the file")
    assert KEY not in str(caught.value)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "OAI_CONFIG_LIST").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="can't be read"):
        read_config_list({}, tmp_path)


@pytest.mark.parametrize(
    ("filter_dict", "models"),
    [
        (None, ["a", "b", "c"]),
        ({}, ["a", "b", "c"]),
        ({"model": ["b", "a"]}, ["a", "b"]),
        ({"model": "c"}, ["c"]),
        ({"tags": ["cheap"]}, ["a", "c"]),
        ({"tags": ["cheap"], "model": ["c"]}, ["c"]),
        ({"model": ["z"]}, []),
    ],
)
def test_a_filter_keeps_what_fits(filter_dict: dict[str, Any] | None, models: list[str]) -> None:
    configs: list[dict[str, Any]] = [
        {"model": "a", "tags": ["cheap", "old"]},
        {"model": "b"},
        {"model": "c", "tags": ["cheap"]},
    ]
    assert [config["model"] for config in filtered(configs, filter_dict)] == models


@pytest.mark.parametrize(
    ("config", "kind", "name", "url"),
    [
        (LIST[0], OpenAICompatible, "gpt-4", OPENAI),
        (LIST[1], AnthropicModel, "claude-3-5-sonnet-latest", ANTHROPIC),
        ({"model": "x", "base_url": "http://h/v1"}, OpenAICompatible, "x", "http://h/v1"),
        ({"model": "x", "api_base": "http://h/v1"}, OpenAICompatible, "x", "http://h/v1"),
        ({"model": "x", "api_type": "anthropic"}, AnthropicModel, "x", ANTHROPIC),
        (
            {"model": "x", "api_type": "anthropic", "base_url": "http://h/v1"},
            AnthropicModel,
            "x",
            "http://h/v1",
        ),
        (
            {"model": "gemini-x", "api_type": "google", "api_key": KEY},
            GeminiModel,
            "gemini-x",
            "https://generativelanguage.googleapis.com/v1beta",
        ),
        (
            {"model": "x", "api_type": "ollama"},
            OllamaModel,
            "x",
            "http://localhost:11434/v1",
        ),
        ({"model": "x"}, OpenAICompatible, "x", OPENAI),
        ({"model": "x", "base_url": f"{OPENAI}/"}, OpenAICompatible, "x", OPENAI),
    ],
)
def test_an_entry_becomes_a_client(
    config: dict[str, Any], kind: type[HttpModel], name: str, url: str
) -> None:
    model = model_of(config, {})
    assert isinstance(model, HttpModel)
    assert type(model) is kind
    assert (model.model, model.base_url) == (name, url)
    assert KEY not in repr(model)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"api_key": KEY}, "needs a 'model'"),
        ({"model": 3}, "needs a 'model'"),
        ({"model": "x", "api_type": "azure"}, "'azure' isn't served"),
    ],
)
def test_an_entry_that_cant_be_used_is_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        model_of(config, {})
    assert KEY not in str(caught.value)


def test_a_list_in_the_call_is_used_with_its_filter_and_settings() -> None:
    with ModelServer("fine") as server:
        entry = {"base_url": server.url, "api_key": KEY, "temperature": 0.5, "price": [1, 2]}
        configs = [{**entry, "model": "a"}, {**entry, "model": "b"}]
        llm = LLM(config_list=configs, filter_dict={"model": ["b"]})
        llm(messages=[{"role": "user", "content": "hi"}])
        assert server.requests[0].body["model"] == "b"
        assert server.requests[0].body["temperature"] == 0.5
        assert "price" not in server.requests[0].body
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_filter_that_lets_nothing_through_is_said() -> None:
    with pytest.raises(NoModel, match="none of the 2 entries fits"):
        LLM(LIST, filter_dict={"model": ["x"]}).choose()


def test_keys_of_the_environment_make_a_list() -> None:
    assert config_list_of_keys({}) == []
    both = config_list_of_keys({"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"})
    assert both == [
        {"model": "gpt-4o", "api_key": "a"},
        {"model": "claude-3-5-sonnet-latest", "api_key": "b"},
    ]
