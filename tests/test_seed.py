"""The snippets of the project's published description run unchanged, in its order.

They came out of a web page that lost its indentation; that alone was restored.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from opto.trace.utils import sum_feedback
from tests.improver import model_at_hand
from tests.snippets import ROOT, execute

SEED = ROOT / "tests" / "data" / "seed"
# AutoGen plans to take the function away, which is why the extra is bounded.
still_in_autogen = pytest.mark.filterwarnings(
    "ignore:`autogen.config_list_from_json:DeprecationWarning"
)
# Of all snippets in order, without white space, computed from the description itself.
PUBLISHED = "ebd4ad4e7884e39d573d8d9e4e13a0946ca230b29badccd11698caae89be8690"


def run(names: dict[str, Any], folder: Path, *snippets: str) -> dict[str, Any]:
    for snippet in snippets:
        source = (SEED / f"{snippet}.py").read_text("utf-8")
        execute(source, folder / f"{snippet}.py", names)
    return names


def test_the_snippets_are_those_of_the_description() -> None:
    text = "".join("".join(path.read_text("utf-8").split()) for path in sorted(SEED.iterdir()))

    assert hashlib.sha256(text.encode()).hexdigest() == PUBLISHED


def test_primitives(tmp_path: Path) -> None:
    names = run({}, tmp_path, "1_primitives")

    assert names["z"].data == names["z2"].data == 1 / 3
    assert names["node_of_list"].data == [1, 2, 3, 3]
    assert sum_feedback([names["x"]]).user_feedback == "maximize z"


def test_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run({}, tmp_path, "2_bundle")

    assert names["test_output"].data == [1, 2, 3, 4]
    assert "[1, 2, 3, 4]" in capsys.readouterr().out


@still_in_autogen
def test_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("autogen", reason="needs the extra [autogen]", exc_type=ImportError)
    with model_at_hand(monkeypatch) as server:
        entry = {"model": "gpt-4", "api_key": "sk-test", "base_url": server.url}
        Path("OAI_CONFIG_LIST").write_text(json.dumps([entry]), "utf-8")
        monkeypatch.delenv("OPENAI_API_KEY")
        monkeypatch.delenv("OPENAI_BASE_URL")
        names = run({}, tmp_path, "2_bundle", "3_training")

        assert [request.body["model"] for request in server.requests] == ["gpt-4"]
    assert names["feedback"] == "test case passed!"
    assert names["test_output"].data == [1, 4, 2, 3]
    assert "Training Epoch 1" in capsys.readouterr().out


def test_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_at_hand(monkeypatch) as server:
        agent = run({}, tmp_path, "4_agent")["Agent"]("You are a sales assistant.")
        greeting = agent("Hola, soy Juan.")

        asked = [request.body["messages"][0]["content"] for request in server.requests]
    assert greeting.data == "Hola, Juan!"
    assert asked == ["You are a sales assistant."] * 2
    assert len(agent.parameters()) == 4


def test_agent_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_at_hand(monkeypatch):
        names = run({}, tmp_path, "4_agent", "5_agent_training")

        assert names["agent"]("Hola, soy Juan.").data == "Hola, Juan!"
    printed = capsys.readouterr().out
    assert printed.startswith("Training Epoch 0\n")
    assert "It must do what it says." in printed, "verbose=True shows the reply"


def test_optimizers_are_switched_by_one_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model_at_hand(monkeypatch):
        names = run({}, tmp_path, "2_bundle")
        exec("from opto.optimizers import OPRO, OptoPrime, TextGrad", names)
        run(names, tmp_path, "6_optimizers")

    for number in (1, 2, 3):
        assert names[f"optimizer{number}"].parameters == names["strange_sort_list"].parameters()


@still_in_autogen
def test_the_configuration_list_is_json_that_autogen_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    autogen = pytest.importorskip(
        "autogen", reason="needs the extra [autogen]", exc_type=ImportError
    )
    text = (SEED / "7_oai_config_list.json").read_text("utf-8")
    monkeypatch.setenv("OAI_CONFIG_LIST", text)

    read = autogen.config_list_from_json("OAI_CONFIG_LIST")

    assert [entry["model"] for entry in read] == ["gpt-4", "claude-sonnet-3.5-latest"]
