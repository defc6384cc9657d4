from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from opto.errors import InvalidArgument
from opto.llm.base import Abilities
from opto.optimizers import OPRO, OPROv2, OptoPrime, OptoPrimeMulti, OptoPrimeV2, TextGrad
from opto.optimizers.backprop import Gradients
from opto.optimizers.memory import trial_of
from opto.optimizers.optoprime_v2 import OptimizerPromptSymbolSetJSON
from opto.optimizers.problem import Entry, Problem
from opto.optimizers.prompts import Prompts, PromptText, placeholders, render
from opto.optimizers.questions import Questions
from opto.testing import ScriptedModel
from opto.trace import GRAPH, ParameterNode, bundle, node

ALL = sorted(
    file.name.removesuffix(".md")
    for file in files("opto.optimizers.prompts").iterdir()
    if file.name.endswith(".md")
)


# ---- rendering -----------------------------------------------------------------------------------


def test_rendering_fills_every_placeholder() -> None:
    assert render("$a ${b}c $$5", {"a": "1", "b": "$a"}) == "1 $ac $5"
    assert placeholders("$a ${b}c $$5") == {"a", "b"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a": "1"}, "without a value: b"),
        ({"a": "1", "b": "2", "c": "3"}, "not in the text: c"),
        ({"a": "1", "c": "3"}, "without a value: b; not in the text: c"),
    ],
)
def test_missing_and_surplus_values_are_errors(values: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        render("$a $b", values, name="p")


def test_own_files_replace_those_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "optoprime.objective.md").write_text("Be kind.\n", "utf-8")
    x = node(1, trainable=True)
    optimizer = OptoPrime([x], llm=ScriptedModel(), prompts=tmp_path)
    assert optimizer.objective == "Be kind."
    assert optimizer.representation_prompt == OptoPrime.representation_prompt


def test_wrong_names_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no prompt 'nothing'"):
        Prompts().text("nothing")
    with pytest.raises(InvalidArgument, match="no folder"):
        Prompts(tmp_path / "nowhere")


def test_a_prompt_as_class_attribute() -> None:
    class Holder:
        text = PromptText("memory")
        prompts = Prompts()

    assert Holder.text == Holder().text == Prompts().text("memory")


# ---- snapshots -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_every_prompt_is_part_of_a_snapshot(name: str) -> None:
    """Its longest line, that is: what the snapshots below show is what a model reads."""
    shown = (
        Path(__file__).with_name("__snapshots__").joinpath("test_prompts.ambr").read_text("utf-8")
    )
    literal = max(re.split(r"\$\{?\w+\}?|\n", Prompts().text(name)), key=len)
    assert literal.replace("\\", "\\\\") in shown


def program(
    *, small: bool = False, schema: bool = False
) -> tuple[list[ParameterNode[Any]], Any, Any]:
    GRAPH.clear()

    @bundle(trainable=True)
    def scale(x: int) -> int:
        """Scale the number."""
        return x * 2

    x = node(3, name="x", trainable=True, description="at most 9")
    text = node("fast", name="mode", trainable=True)
    out = scale(x) + node("slow", name="other").len() - text.len()
    size: Any = "small" if small else "large"
    abilities = Abilities(json_schema=schema, size=size)
    return [x, text, scale.parameter], out, ScriptedModel("no answer", abilities=abilities)


def asked(llm: ScriptedModel) -> list[str]:
    calls = [
        "\n\n".join(f"<<{m['role']}>>\n{m['content']}" for m in call.messages) for call in llm.calls
    ]
    return sorted(calls)


@pytest.mark.parametrize(
    ("settings", "small"),
    [
        ({}, False),
        ({"form": "tagged", "include_example": True, "highlight_variables": True}, False),
        ({"memory_size": 3, "json_keys": {"answer": None}}, False),
        ({"memory_size": 3}, True),
    ],
    ids=["json", "tagged", "memory", "compact"],
)
def test_optoprime(settings: dict[str, Any], small: bool, snapshot: SnapshotAssertion) -> None:
    parameters, out, llm = program(small=small)
    optimizer = OptoPrime(parameters, llm=llm, **settings)
    optimizer.backward(out, "should be 9")
    for _ in range(2):
        optimizer.step()
    optimizer.memory.add(trial_of(optimizer.summarize()))
    llm.calls.clear()
    optimizer.step()
    assert asked(llm) == snapshot


def test_optoprime_of_a_text_that_was_tried(snapshot: SnapshotAssertion) -> None:
    GRAPH.clear()
    title = node("News", name="title", trainable=True, description="of a poster")
    llm = ScriptedModel(
        [{"title0": "News!"}, {"title0": "May!"}], abilities=Abilities(size="small")
    )
    optimizer = OptoPrime([title], llm=llm, memory_size=3, objective="Be kind.")
    for feedback in ("It must name May.", "It has 5 letters; it may have 4.\nIt must name May."):
        optimizer.zero_feedback()
        optimizer.backward(title + "", feedback)
        optimizer.step()
    assert asked(llm)[1:] == snapshot


def test_response_format(snapshot: SnapshotAssertion) -> None:
    for small in (False, True):
        parameters, out, llm = program(small=small, schema=True)
        optimizer = OptoPrime(parameters, llm=llm)
        optimizer.backward(out, "should be 9")
        optimizer.step()
        assert [call.options for call in llm.calls if "response_format" in call.options] == snapshot


def test_opro(snapshot: SnapshotAssertion) -> None:
    parameters, out, llm = program()
    optimizer = OPRO(parameters, llm=llm)
    optimizer.backward(out, "should be 9")
    optimizer.step()
    llm.calls.clear()
    optimizer.step()
    assert asked(llm) == snapshot


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (OptoPrimeV2, {"include_example": True}),
        (OptoPrimeV2, {"optimizer_prompt_symbol_set": OptimizerPromptSymbolSetJSON()}),
        (OPROv2, {}),
    ],
    ids=["optoprime_v2", "json", "opro_v2"],
)
def test_tagged_optimizers(
    kind: type[OptoPrimeV2], settings: dict[str, Any], snapshot: SnapshotAssertion
) -> None:
    parameters, out, llm = program()
    optimizer = kind(parameters, llm=llm, memory_size=2, **settings)
    optimizer.backward(out, "should be 9")
    optimizer.memory.add(trial_of(optimizer.summarize()))
    optimizer.step()
    assert asked(llm) == snapshot


@pytest.mark.parametrize(
    ("generation", "selection"),
    [
        ("self_refinement", "best_of_n"),
        ("iterative_alternatives", "mixture_of_agents"),
        ("multi_experts", "majority"),
    ],
)
def test_optoprime_multi(generation: str, selection: str, snapshot: SnapshotAssertion) -> None:
    parameters, out, _ = program()
    llm = ScriptedModel(["no answer", "no other answer", "no choice"])
    optimizer = OptoPrimeMulti(
        parameters,
        llm=llm,
        num_responses=2,
        generation_technique=generation,
        selection_technique=selection,
        form="tagged",
    )
    optimizer.backward(out, "should be 9")
    optimizer.step()
    assert asked(llm) == snapshot


def test_textgrad(snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, out, llm = program()
    optimizer = TextGrad(parameters, llm=llm, memory_size=1)
    optimizer.backward(out, "should be 9")
    optimizer.step()
    llm.calls.clear()
    monkeypatch.setattr("opto.optimizers.textgrad._LONGEST_FEEDBACK", 10)
    gradients = Gradients()
    for text in ("too big", "must be even"):
        gradients.add("x0", text)
    problem = Problem((), {}, {"x0": Entry(3)}, {}, {}, {}, ())
    questions = Questions(problem, optimizer.prompts, optimizer.budget, 2000)
    optimizer._summarise(["x0"], questions, gradients, verbose=False)
    summaries = asked(llm)
    for memory in optimizer.memory.values():
        memory.add("an earlier feedback")
    llm.calls.clear()
    optimizer.step()
    assert [*asked(llm), *summaries] == snapshot
