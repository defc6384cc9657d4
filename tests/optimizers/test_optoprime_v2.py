from __future__ import annotations

from typing import Any

import pytest

from opto.errors import InvalidArgument, ProposalError
from opto.llm.base import Abilities
from opto.optimizers import OPROv2, OptoPrimeV2
from opto.optimizers.opro_v2 import OPROPromptSymbolSet
from opto.optimizers.optoprime_v2 import (
    MemoryInstance,
    OptimizerPromptSymbolSet,
    OptimizerPromptSymbolSet2,
    OptimizerPromptSymbolSetJSON,
)
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, bundle, node
from opto.trace.projections import BlackCodeFormatter
from tests.optimizers.helpful import ready_to_step


def gives(**values: object) -> str:
    return OptimizerPromptSymbolSet().example_output("because", values)


def ready(
    *replies: Any, kind: type[OptoPrimeV2] = OptoPrimeV2, **settings: Any
) -> tuple[ParameterNode[int], OptoPrimeV2, ScriptedModel]:
    return ready_to_step(kind, replies, **settings)


@pytest.mark.parametrize("kind", [OptoPrimeV2, OPROv2])
def test_a_step_asks_in_tags_and_sets_the_value(kind: type[OptoPrimeV2]) -> None:
    x, optimizer, llm = ready(gives(x0=5), kind=kind)
    assert optimizer.step() == {x: 5}
    (call,) = llm.calls
    assert call.options == {"max_tokens": 8192}
    assert call.messages[0]["role"] == "system"
    assert call.messages[1]["content"].endswith("Your response:")


def test_code_needs_no_escaping() -> None:
    @bundle(trainable=True)
    def shout(text: str) -> str:
        """Say it."""
        return text

    code = 'def shout(text: str) -> str:\n    """Say it."""\n    return f"<b>{text}</b>\\n"'
    optimizer = OptoPrimeV2(shout.parameters(), llm=ScriptedModel([gives(__code0=code)]))
    optimizer.backward(shout("a"), "in bold")
    optimizer.step()
    assert shout("a").data == "<b>a</b>\n"


@pytest.mark.covers("C15")
def test_a_name_that_is_not_known_is_an_error() -> None:
    reply = "<variable><name>X_0</name><value>5</value></variable>"
    x, optimizer, _ = ready(reply, reply, ignore_extraction_error=False)
    with pytest.raises(ProposalError, match="no such variable: 'X_0'; the variables are: x0"):
        optimizer.step()
    optimizer.ignore_extraction_error = True
    assert optimizer.step() == {}
    assert x.data == 1
    assert "no such variable" in optimizer.construct_prompt(optimizer.summarize())[1]


@pytest.mark.covers("C16")
def test_json_is_asked_for_and_read_if_the_symbols_expect_it() -> None:
    symbols = OptimizerPromptSymbolSetJSON()
    x, optimizer, llm = ready(
        symbols.example_output("why", {"x0": 4}), optimizer_prompt_symbol_set=symbols
    )
    assert optimizer.step() == {x: 4}
    assert llm.calls[0].options["response_format"] == {"type": "json_object"}
    assert symbols.output_response_extractor('{"reasoning": "r", "suggestion": {"a": 1}}') == {
        "reasoning": "r",
        "variables": {"a": 1},
    }
    with pytest.raises(ProposalError, match="no JSON object"):
        symbols.output_response_extractor("sorry")


@pytest.mark.covers("C17")
def test_own_titles_are_used_everywhere_and_masks_go_by_title_or_name() -> None:
    class Knobs(OptimizerPromptSymbolSet):
        variables_section_title = "# Knobs"

    _, optimizer, _ = ready(optimizer_prompt_symbol_set=Knobs())
    summary = optimizer.summarize()
    system, user = optimizer.construct_prompt(summary)
    assert "# Variables" not in system + user
    assert "# Knobs" in system
    assert '# Knobs\n<variable name="x0" type="int">\n<value>\n1\n</value>\n</variable>\n' in user
    masked = optimizer.problem_instance(summary, mask=["# Inputs", "# Knobs"])
    assert (masked.inputs, masked.variables) == ("", "")
    assert masked.code == "add0 = add(x=x0, y=int0)"
    assert optimizer.problem_instance(summary, mask=["code"]).code == ""


@pytest.mark.covers("C21")
def test_a_projection_that_cannot_take_the_code_refuses_the_step() -> None:
    class Broken(BlackCodeFormatter):
        def project(self, x: Any) -> Any:
            message = "cannot parse"
            raise ValueError(message)

    @bundle(trainable=True, projections=[Broken()])
    def same(x: int) -> int:
        return x

    code = "def same(x: int) -> int:\n    return x + 1"
    for value, words in ((code, "Broken can't take the value"), ("def f(x) return", "not valid")):
        optimizer = OptoPrimeV2([same.parameter], llm=ScriptedModel(gives(__code0=value)))
        optimizer.zero_feedback()
        optimizer.backward(same(1), "fb")
        before = same.parameter.data
        assert optimizer.step() == {}
        assert words in optimizer.refused[0].reason
        assert same.parameter.data == before


def test_other_tags() -> None:
    symbols = OptimizerPromptSymbolSet2()
    x, optimizer, llm = ready(
        symbols.example_output("why", {"x0": 4}), optimizer_prompt_symbol_set=symbols
    )
    assert optimizer.step() == {x: 4}
    prompt = llm.calls[0].prompt
    assert '<var name="x0" type="int">\n<data>\n1\n</data>\n</var>' in prompt
    assert '<const name="add0" type="int">' in prompt


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("I don't know.", "no <var> with a new value"),
        ("<var><name>x0</name><data>5</data>", "isn't closed"),
        ("<var><name>x0</name></var>", "needs <name> and <data>"),
        ("<var><name> </name><data>5</data></var>", "needs <name> and <data>"),
        ("<var><name>x0</name><data>5</data></var>" * 2, "several times"),
        ("<var><name>y</name><data>5</data></var>", "no such variable: 'y'"),
    ],
)
def test_broken_answers_in_other_tags_are_refused(reply: str, words: str) -> None:
    x, optimizer, _ = ready(reply, optimizer_prompt_symbol_set=OptimizerPromptSymbolSet2())
    assert optimizer.step() == {}
    assert words in optimizer.refused[0].reason
    assert x.data == 1


def test_nothing_to_change_in_other_tags() -> None:
    _, optimizer, _ = ready("TERMINATE", optimizer_prompt_symbol_set=OptimizerPromptSymbolSet2())
    assert optimizer.step() == {}
    assert optimizer.refused == []


def test_an_own_extractor_is_used() -> None:
    class Lines(OptimizerPromptSymbolSet):
        custom_output_format_instruction = "Answer with name=value."

        def output_response_extractor(self, response: str) -> dict[str, Any]:
            return {"reasoning": "", "variables": dict([response.split("=")])}

    x, optimizer, llm = ready("x0=9", optimizer_prompt_symbol_set=Lines())
    assert optimizer.step() == {x: 9}
    assert "Answer with name=value." in llm.calls[0].prompt
    assert optimizer.extract_llm_suggestion("x0=7") == {"x0": "7"}


def test_values_that_are_no_variables_are_cut() -> None:
    x = node("x" * 500, name="x", trainable=True)
    optimizer = OptoPrimeV2([x], llm=ScriptedModel(), initial_var_char_limit=20)
    optimizer.backward(x + node("y" * 300), "shorter")
    text = str(optimizer.problem_instance(optimizer.summarize()))
    assert "x" * 500 in text
    assert f"{'y' * 20}...(skipped due to length limit)\n" in text
    own = OptoPrimeV2([x], llm=ScriptedModel(), truncate_expression=lambda text, limit: "cut")
    assert "<value>\ncut\n</value>" in str(own.problem_instance(optimizer.summarize()))


def test_memory_is_shown_in_rounds() -> None:
    x, optimizer, llm = ready(gives(x0=2), gives(x0=3), memory_size=3)
    optimizer.step()
    optimizer.zero_feedback()
    optimizer.backward(x + 1, "still more")
    optimizer.step()
    prompt = llm.calls[1].prompt
    assert '<round 1>\n<variable name="x0">\n<value>\n1\n</value>\n</variable>\n' in prompt
    assert "<feedback>\nmore\n</feedback>\n</round 1>" in prompt
    assert str(MemoryInstance({}, "no", OptimizerPromptSymbolSet(), 2)).endswith("</round 2>")


@pytest.mark.parametrize("kind", [OptoPrimeV2, OPROv2])
@pytest.mark.parametrize(
    ("size", "memory", "told"), [("small", 3, True), ("large", 3, False), ("small", 0, False)]
)
def test_a_small_model_is_told_where_to_search_for_a_number(
    kind: type[OptoPrimeV2], size: Any, memory: int, told: bool
) -> None:
    x = node(5, name="x", trainable=True)
    llm = ScriptedModel([gives(x0=40), gives(x0=20)], abilities=Abilities(size=size))
    optimizer = kind([x], llm=llm, memory_size=memory)
    for feedback in ("x = 5 is too low", "x = 40 is too high"):
        optimizer.zero_feedback()
        optimizer.backward(x + 1, feedback)
        optimizer.step()
    prompt = llm.calls[1].prompt
    assert ("</round 1>\n\nSo try x0 between 5 and 40, for example 22.\n\n" in prompt) is told
    assert ("So try" in prompt) is told


def test_oprov2_shows_the_solution_and_its_feedback_alone() -> None:
    x, optimizer, llm = ready(gives(x0=2), kind=OPROv2, objective="Guess the number.")
    assert optimizer.step() == {x: 2}
    user = llm.calls[0].messages[1]["content"]
    assert "# Problem Context\nGuess the number.\n\n# Solution\n<solution name=" in user
    assert "# Feedback\nmore" in user
    assert "add0" not in user
    assert "What are your revised solutions on x0?" in user
    assert OPROPromptSymbolSet().variable_tag == "solution"
    assert OPROv2([x], llm=ScriptedModel()).memory.size == 5


def test_what_belongs_to_the_other_form_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="has no json_keys"):
        ready(json_keys={"answer": None})
