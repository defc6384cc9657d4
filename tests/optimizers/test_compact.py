from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opto.errors import InvalidArgument
from opto.llm.base import Abilities
from opto.optimizers import OptoPrime
from opto.optimizers.prompts import Prompts
from opto.testing import ScriptedModel
from opto.trace import ExecutionError, bundle, node

SMALL = Abilities(context_tokens=4096, json_schema=True, size="small")
BETTER = "def total(xs: list[int]) -> int:\n    return sum(xs)"
DOCUMENTED = BETTER.replace("\n", '\n    """Add the numbers."""\n')


def total_of() -> Any:
    @bundle(trainable=True)
    def total(xs: list[int]) -> int:
        """Add the numbers."""
        return max(xs)

    return total


def test_code_is_asked_for_in_a_block_and_values_by_a_schema() -> None:
    total, x = total_of(), node(5, name="x", trainable=True, description="below 100")
    llm = ScriptedModel(
        lambda messages: (
            f"```python\n{BETTER}\n```" if "is wrong" in messages[-1]["content"] else '{"x0": 7}'
        ),
        abilities=SMALL,
    )
    optimizer = OptoPrime([x, total.parameter], llm=llm)
    assert optimizer.form == "compact"
    optimizer.backward(total([1, 2]) * x, "should be 21")
    assert optimizer.step() == {x: 7, total.parameter: DOCUMENTED}
    by_kind = {"response_format" in call.options: call for call in llm.calls}
    code, values = (by_kind[key].messages[-1]["content"] for key in (False, True))
    assert "total(xs=[1, 2]) returned 2" in code
    assert "multiply(x=2, y=5) returned 10" in code
    assert "multiply" not in values
    assert "x0 (int): below 100" in values
    assert "x0 = 5 -> should be 21" in values
    assert "Feedback: should be 21" in code
    schema = by_kind[True].options["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"x0": {"type": "integer"}}
    assert schema["required"] == ["x0"]


def test_one_bad_answer_refuses_all() -> None:
    total, x = total_of(), node(5, name="x", trainable=True)
    llm = ScriptedModel(
        lambda messages: "sorry" if "is wrong" in messages[-1]["content"] else '{"x0": 7}',
        abilities=SMALL,
    )
    optimizer = OptoPrime([x, total.parameter], llm=llm)
    optimizer.backward(total([1, 2]) * x, "should be 21")
    assert optimizer.step() == {}
    assert x.data == 5


def test_what_was_refused_is_told_and_prompts_stay_short() -> None:
    total = total_of()
    llm = ScriptedModel(
        ["```\ndef total(y): return 1\n```", f"```\n{BETTER}\n```"], abilities=SMALL
    )
    optimizer = OptoPrime(total.parameters(), llm=llm)
    optimizer.backward(total([1, 2]), "should be 3")
    optimizer.step()
    optimizer.step()
    assert total([1, 2]).data == 3
    assert "must start with def total(xs)" in llm.calls[1].prompt
    assert all(len(call.prompt) < 3000 for call in llm.calls)


def test_an_exception_is_shown() -> None:
    @bundle(trainable=True)
    def first(xs: list[int]) -> int:
        """Return the first."""
        return xs[0]

    llm = ScriptedModel(["TERMINATE"], abilities=SMALL)
    optimizer = OptoPrime(first.parameters(), llm=llm)
    with pytest.raises(ExecutionError) as caught:
        first([])
    optimizer.backward(caught.value.exception_node, "must not fail")
    assert optimizer.step() == {}
    assert "first(xs=[]) raised '(IndexError) list index out of range'" in llm.calls[0].prompt


def test_long_runs_and_values_are_cut() -> None:
    x = node("a", name="x", trainable=True)
    llm = ScriptedModel(['{"x0": "b"}'], abilities=Abilities(size="small"))
    optimizer = OptoPrime([x], llm=llm)
    value: Any = x
    for _ in range(40):
        value = value + "long " * 100
    optimizer.backward(value, "fb")
    optimizer.step()
    assert llm.calls[0].prompt.count("concat(") == 12
    assert len(llm.calls[0].prompt) < 12 * 700 + 2000


def told(optimizer: OptoPrime, x: Any, *feedbacks: str) -> None:
    """Make a step for each feedback on what `x` is then."""
    for feedback in feedbacks:
        optimizer.zero_feedback()
        optimizer.backward(x + x, feedback)
        optimizer.step()


def test_what_was_tried_is_a_table_with_numbers_in_order() -> None:
    x = node(50, name="x", trainable=True)
    llm = ScriptedModel([{"x0": 10}, {"x0": 50}, {"x0": 30}], abilities=SMALL)
    optimizer = OptoPrime([x], llm=llm, memory_size=8)
    told(optimizer, x, "too high", "too low", "still too high")
    assert "x0 = 10 -> too low\nx0 = 50 -> still too high" in llm.calls[-1].prompt
    assert "\nx0 = 50 -> too high" not in llm.calls[-1].prompt


@pytest.mark.parametrize(
    ("value", "constraint", "wanted"),
    [
        (5, "between 1 and 40", {"type": "integer", "minimum": 1, "maximum": 40}),
        (0.5, "from 0 to 1", {"type": "number", "minimum": 0.0, "maximum": 1.0}),
        (0.5, "from 0.5 to 101.2", {"type": "integer", "minimum": 1, "maximum": 101}),
        ("a", "one of: a, b", {"type": "string", "enum": ["a", "b"]}),
        ("a", "short", {"type": "string"}),
    ],
)
def test_the_schema_holds_the_model_to_the_bounds(
    value: Any, constraint: str, wanted: dict[str, Any]
) -> None:
    x = node(value, name="x", trainable=True, constraint=constraint)
    llm = ScriptedModel([{"x0": value}], abilities=SMALL)
    optimizer = OptoPrime([x], llm=llm)
    optimizer.backward(x + x, "fb")
    optimizer.step()
    asked = llm.calls[0].options["response_format"]
    assert asked["json_schema"]["schema"]["properties"] == {"x0": wanted}


def test_where_nothing_was_run_no_program_is_shown() -> None:
    x = node("a", name="x", trainable=True)
    llm = ScriptedModel([{"x0": "b"}], abilities=SMALL)
    optimizer = OptoPrime([x], llm=llm)
    optimizer.backward(x, "fb")
    assert optimizer.step() == {x: "b"}
    assert str(llm.calls[0].messages[-1]["content"]).startswith("Variables:\nx0 (str)\n")


def test_an_own_objective() -> None:
    x = node("a", name="x", trainable=True)
    llm = ScriptedModel(['{"x0": "b"}'], abilities=SMALL)
    optimizer = OptoPrime([x], llm=llm, objective="Rhyme.")
    optimizer.backward(x + "", "fb")
    optimizer.step()
    assert llm.calls[0].messages[-1]["content"].startswith("Rhyme.\n\nProgram:\n")


def test_fractions_are_asked_for_once_it_is_known_where_to_search() -> None:
    x = node(10.0, name="x", trainable=True, constraint="between 0 and 300")
    llm = ScriptedModel([{"x0": 30}, {"x0": 15}, {"x0": 12.5}], abilities=SMALL)
    optimizer = OptoPrime([x], llm=llm, memory_size=4)
    told(optimizer, x, "too low", "too high", "too high")
    assert x.data == 12.5
    kinds = [
        call.options["response_format"]["json_schema"]["schema"]["properties"]["x0"]["type"]
        for call in llm.calls
    ]
    assert kinds == ["integer", "integer", "number"]


def test_examples_are_turns_of_the_conversation() -> None:
    x, word = node(5, name="x", trainable=True), node("a", name="word", trainable=True)
    llm = ScriptedModel([{"x0": 7}, {"word0": "b"}], abilities=SMALL)
    for parameter in (x, word):
        optimizer = OptoPrime([parameter], llm=llm)
        optimizer.backward(parameter + parameter, "too low")
        optimizer.step()
    numbers, texts = (call.messages for call in llm.calls)
    assert [turn["role"] for turn in numbers] == ["system", *["user", "assistant"] * 2, "user"]
    assert json.loads(str(numbers[-2]["content"])) == {"delay0": 300}
    assert "price0" not in str(texts)
    assert (x.data, word.data) == (7, "b")


def test_a_text_is_asked_for_anew_in_two_of_three_steps() -> None:
    title = node("News", name="title", trainable=True)
    rate = node(0.9, name="rate", trainable=True)
    llm = ScriptedModel(
        lambda messages: (
            '{"rate0": 0.5}' if "rate0" in messages[-1]["content"] else '{"title0": "Hi"}'
        ),
        abilities=SMALL,
    )
    optimizer = OptoPrime([title, rate], llm=llm, memory_size=8)
    for _ in range(5):
        optimizer.zero_feedback()
        optimizer.backward(title.format(rate), "The title must name May.\nrate must be lower.")
        assert optimizer.step() == {title: "Hi", rate: 0.5}
    asked = [call.messages[-1]["content"] for call in llm.calls if "title0" in call.prompt]
    assert [text.startswith("title0 (str)\nDemands:\n- The t") for text in map(str, asked)] == [
        *(False, True, True, False, True)
    ]
    assert [text.startswith("Program:\n") for text in map(str, asked)] == [
        *(True, False, False, True, False)
    ]
    assert sum("Not as before: 'News'" in str(text) for text in asked) == 1


def test_a_choice_is_never_asked_for_anew() -> None:
    mode = node("a", name="mode", trainable=True, constraint="one of: a, b")
    llm = ScriptedModel([{"mode0": "b"}, {"mode0": "a"}], abilities=SMALL)
    optimizer = OptoPrime([mode], llm=llm, memory_size=8)
    told(optimizer, mode, "wrong", "wrong")
    assert "mode0 = 'a' -> wrong\nmode0 = 'b' -> wrong" in llm.calls[-1].prompt


def rated() -> tuple[Any, Any, Any]:
    text = node("Hello", name="text", trainable=True)
    rate = node(0.9, name="rate", trainable=True)
    return text, rate, text.format(rate)


def test_numbers_and_texts_are_asked_for_apart() -> None:
    text, rate, out = rated()
    llm = ScriptedModel(
        lambda messages: '{"text0": "Hi"}' if "text0" in str(messages[-1]) else '{"rate0": 0.2}',
        abilities=SMALL,
    )
    optimizer = OptoPrime([text, rate], llm=llm)
    optimizer.backward(out, "rate = 0.9 is too high.\nThe text must be shorter.")
    assert optimizer.step() == {text: "Hi", rate: 0.2}
    assert len(llm.calls) == 2
    about_text = next(call.prompt for call in llm.calls if "text0" in call.prompt)
    assert "args_0=0.9" in about_text
    assert "rate0" not in about_text


def test_what_nothing_was_said_against_is_left_as_it_is() -> None:
    text, rate, out = rated()
    llm = ScriptedModel([{"rate0": 0.2}], abilities=SMALL)
    optimizer = OptoPrime([text, rate], llm=llm)
    optimizer.backward(out, "rate = 0.9 is too high.")
    assert optimizer.step() == {rate: 0.2}
    assert len(llm.calls) == 1


def test_one_question_where_the_feedback_names_nothing() -> None:
    text, rate, out = rated()
    llm = ScriptedModel([{"text0": "Hi", "rate0": 0.2}], abilities=SMALL)
    optimizer = OptoPrime([text, rate], llm=llm)
    optimizer.backward(out, "nobody answered")
    assert optimizer.step() == {text: "Hi", rate: 0.2}
    assert "price0" in llm.calls[0].prompt
    assert "label0" in llm.calls[0].prompt


def test_own_examples_must_be_turns(tmp_path: Path) -> None:
    file = tmp_path / "compact.numbers.examples.md"
    file.write_text("## user\n\nx0 = 1 -> no\n\n## assistant\n\n{}\n")
    assert Prompts(tmp_path).turns("compact.numbers.examples") == [("x0 = 1 -> no", "{}")]
    for text in ("", "x0 = 1", "## assistant\n{}", "## user\na\n## user\nb"):
        file.write_text(text)
        with pytest.raises(InvalidArgument, match=r"numbers\.examples.*in turns"):
            Prompts(tmp_path).turns("compact.numbers.examples")
