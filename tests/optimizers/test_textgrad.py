from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from opto.errors import ServerError
from opto.llm.base import Abilities, completion_of
from opto.optimizers import TextGrad
from opto.optimizers.backprop import MOST_USES
from opto.optimizers.questions import Questions
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, bundle, node
from opto.trace.propagators import GraphPropagator

PLAIN = Abilities()


class Rules:
    """Answers by what is asked: gradients name the call, new values come from a table."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.prompts: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, messages: Sequence[Mapping[str, Any]], **_: Any) -> Any:
        prompt = messages[1]["content"]
        with self.lock:
            self.prompts.append(prompt)
        return completion_of(self.answer(prompt))

    def answer(self, prompt: str) -> str:
        if "How should " in prompt or ("Operation: " in prompt and "Name: " not in prompt):
            call = prompt.partition("Operation: ")[2].partition("\n")[0]
            if "Answer in this form" not in prompt:
                return f"gradient of <{call}>"
            names = prompt.partition("How should each of ")[2].partition(" change?")[0].split(", ")
            return "\n".join(
                f"<variable><name>{name}</name><value>{name} in <{call}></value></variable>"
                for name in names
            )
        if "Name: " in prompt:
            name = prompt.partition("Name: ")[2].partition("\n")[0]
            return f"I think.\n<IMPROVED_VARIABLE>\n{self.values[name]}\n</IMPROVED_VARIABLE>"
        return "summary"

    def about(self, words: str) -> list[str]:
        return [prompt for prompt in self.prompts if words in prompt]


class Wordy(Rules):
    """Says much about both inputs of an operation."""

    def answer(self, prompt: str) -> str:
        if "How should" in prompt:
            return prompt[:40] + "c" * 3000
        return super().answer(prompt)


@pytest.mark.covers("C12")
def test_c12_feedback_goes_back_operation_by_operation() -> None:
    x = node("a", name="x", trainable=True)
    rules = Rules(x0="b")
    optimizer = TextGrad([x], llm=rules)
    y = x + "c"
    optimizer.backward(y.upper(), "make it better")
    assert optimizer.step() == {x: "b"}
    upper, update = rules.prompts
    assert "upper0 = upper(" in upper
    assert "make it better" in upper
    assert "Value:\na\n" in update
    assert "concat0 = concat(x=x0, y=str0)" in update
    assert "Feedback on the result:\ngradient of <upper0 = upper(" in update
    assert "object at 0x" not in "".join(rules.prompts)


@pytest.mark.covers("C13")
def test_c13_models_with_create_extra_arguments_and_own_propagator() -> None:
    class Client:
        def create(self, **options: Any) -> Any:
            return completion_of("<IMPROVED_VARIABLE>b</IMPROVED_VARIABLE>")

    propagator = GraphPropagator()
    x = node("a", trainable=True)
    optimizer = TextGrad([x], llm=Client(), propagator=propagator)  # type: ignore[arg-type]  # by its create
    assert optimizer.propagator is propagator
    optimizer.backward(x + "c", "f")
    assert optimizer.step(num_threads=2) == {x: "b"}


def test_feedback_from_several_places_is_joined() -> None:
    x = node(1, name="x", trainable=True)
    rules = Rules(x0="5")
    optimizer = TextGrad([x], llm=rules)
    y = x * 2
    optimizer.backward((y + 1) * (y - 1), "more")
    assert optimizer.step() == {x: 5}
    (product,) = rules.about("Operation: multiply1")
    assert "How should each of add0, subtract0 change?" in product
    (update,) = rules.about("Name: x0")
    assert "Operation: multiply0" in update
    assert "- gradient of <add0 =" in update
    assert "- gradient of <subtract0 =" in update


def test_long_feedback_from_several_places_is_summarised() -> None:
    x, y = node(1, name="x", trainable=True), node(1, name="y", trainable=True)
    rules = Wordy(x0="5", y0="5")
    optimizer = TextGrad([x, y], llm=rules)
    optimizer.backward(x + y, "more")
    optimizer.backward(x - y, "less")
    assert optimizer.step() == {x: 5, y: 5}
    assert len(rules.about("The value: x0 = 1")) == 1


@bundle()
def ask(prompt: str, question: str) -> str:
    """Answer the question as the prompt says."""
    return f"{prompt} {question}"


def test_an_operation_that_concerns_one_parameter_alone_is_shown_to_its_update() -> None:
    prompt = node("Be kind.", name="prompt", trainable=True)
    rules = Rules(prompt0="Be brief.")
    optimizer = TextGrad([prompt], llm=rules, log=True, memory_size=1)
    optimizer.backward(ask(prompt, "Who?"), "The answer is too long.")
    assert optimizer.step() == {prompt: "Be brief."}
    (update,) = rules.prompts
    assert "ask0 = ask(prompt=prompt0, question=question0)\n[ask] Answer the question" in update
    assert "Inputs:\nprompt0 = the value above\nquestion0 = Who?\n" in update
    assert "Result:\nask0 = Be kind. Who?\n" in update
    assert "Feedback on the result:\nThe answer is too long.\n" in update
    assert "\nFeedback:\n" not in update
    assert (optimizer.summary_log or [])[0]["reasoning"] == "prompt0: I think."
    assert list(optimizer.memory["prompt0"]) == ["The answer is too long."]


def test_a_parameter_may_have_uses_of_its_own_and_others() -> None:
    x, y = node("a", name="x", trainable=True), node("b", name="y", trainable=True)
    rules = Rules(x0="c", y0="d")
    optimizer = TextGrad([x, y], llm=rules)
    optimizer.backward(x.upper(), "shout")
    optimizer.backward(x + y, "join")
    assert optimizer.step() == {x: "c", y: "d"}
    assert len(rules.about("How should")) == 1
    (update,) = rules.about("Name: x0")
    assert "Feedback on the result:\nshout\n" in update
    assert "Feedback:\nx0 in <concat0 = concat(x=x0, y=y0)>" in update


@pytest.mark.parametrize(("uses", "asked"), [(MOST_USES, 0), (MOST_USES + 1, MOST_USES + 1)])
def test_of_many_uses_each_is_asked_about(uses: int, asked: int) -> None:
    x = node("a", name="x", trainable=True)
    rules = Rules(x0="b")
    optimizer = TextGrad([x], llm=rules)
    for number in range(uses):
        optimizer.backward(x + str(number), f"feedback {number}")
    assert optimizer.step() == {x: "b"}
    assert len(rules.about("How should x0 change?")) == asked
    (update,) = rules.about("Name: x0")
    assert update.count("Feedback on the result:") == uses - asked


def test_the_same_question_is_asked_once() -> None:
    x = node(1, name="x", trainable=True)
    rules = Rules(x0="5")
    optimizer = TextGrad([x], llm=rules)
    optimizer.backward(x + 1, "more")
    problem = optimizer.summarize()
    questions = [("s", "Operation: f\n"), ("s", "Operation: g\n"), ("s", "Operation: f\n")]
    assert optimizer._answers(questions, verbose=False) == [
        "gradient of <f>",
        "gradient of <g>",
        "gradient of <f>",
    ]
    assert len(rules.prompts) == 2
    assert problem.user_feedback == "more"


def test_calls_of_one_level_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        if "Operation: mul" in messages[1]["content"]:
            together.wait()  # fails unless all three wait at once
        return "<IMPROVED_VARIABLE>2</IMPROVED_VARIABLE>"

    parameters: list[ParameterNode[int]] = [node(i, trainable=True) for i in range(3)]
    optimizer = TextGrad(parameters, llm=ScriptedModel(answer))
    for parameter in parameters:
        optimizer.backward((parameter + 1) * 2, "more")
    assert set(optimizer.step().values()) == {2}


def test_parameters_are_updated_all_or_none() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    optimizer = TextGrad([x, y], llm=Rules(x0="5", y0="many"))
    optimizer.backward(x + y, "more")
    assert optimizer.step() == {}
    assert (x.data, y.data) == (1, 2)
    assert "y0: expected an int" in optimizer.refused[0].reason


def test_all_that_was_refused_is_told_to_each_parameter_its_own() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    rules = Rules(x0="few", y0="many")
    optimizer = TextGrad([x, y], llm=rules)
    optimizer.backward(x + y, "more")
    assert optimizer.step() == {}
    (error,) = optimizer.refused
    assert re.search("x0: expected an int.*; y0: expected an int", error.reason)
    assert error.reason == "; ".join(error.reasons)
    optimizer.step()
    updates = [prompt for prompt in rules.about("Name: ") if "could not be used" in prompt]
    told = re.findall(r"\n- (\w+): expected an int", "".join(updates))
    assert sorted(told) == ["x0", "y0"]
    for prompt in updates:
        name = prompt.partition("Name: ")[2].partition("\n")[0]
        assert f"- {name}: expected an int" in prompt


def test_what_comes_first_does_not_wait_for_what_is_beside_it() -> None:
    """A chain is followed to its end while a call of another one is still under way."""
    x, y = node("a", name="x", trainable=True), node("b", name="y", trainable=True)
    slow = threading.Event()

    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        prompt = messages[1]["content"]
        if "Operation: upper" in prompt:
            assert slow.wait(20), "the other chain has to be followed meanwhile"
        if "Operation: strip" in prompt:
            slow.set()
        return "<IMPROVED_VARIABLE>c</IMPROVED_VARIABLE>"

    optimizer = TextGrad([x, y], llm=ScriptedModel(answer))
    optimizer.backward((x + "1").strip().lower(), "more")
    optimizer.backward((y + "2").upper(), "more")
    assert optimizer.step() == {x: "c", y: "c"}


def test_only_what_depends_on_a_parameter_is_asked_about() -> None:
    x = node(1, name="x", trainable=True)
    rules = Rules(x0="5")
    optimizer = TextGrad([x], llm=rules)
    constant = node(3, name="k") + 4
    optimizer.backward(x + constant, "more")
    optimizer.step()
    (update,) = rules.prompts
    assert "Operation: add1 = add(x=x0, y=add0)" in update


def test_feedback_on_a_parameter_needs_no_gradient() -> None:
    x = node(1, name="x", trainable=True)
    rules = Rules(x0="5")
    optimizer = TextGrad([x], llm=rules)
    x.backward("too small")
    assert optimizer.step() == {x: 5}
    assert len(rules.prompts) == 1
    assert "too small" in rules.prompts[0]


def test_memory_of_past_feedback_and_constraints() -> None:
    x = node(1, name="x", trainable=True, description="must be odd")
    rules = Rules(x0="5")
    optimizer = TextGrad([x], llm=rules, memory_size=1)
    for feedback in ("first", "second", "third"):
        optimizer.zero_feedback()
        x.backward(feedback)
        optimizer.step()
    last = rules.prompts[-1]
    assert "Constraint: must be odd" in last
    assert "Feedback on earlier values" in last
    assert "second" in last
    assert "first" not in last


@bundle(trainable=True)
def greet(name: str) -> str:
    """Say hello."""
    return name


def test_code_may_stand_in_a_block() -> None:
    code = 'def greet(name: str) -> str:\n    return f"Hello {name}"'
    llm = ScriptedModel([f"```python\n{code}\n```"], abilities=PLAIN)
    optimizer = TextGrad(greet.parameters(), llm=llm, log=True)
    before = greet.parameter.data
    try:
        optimizer.backward(greet("Ada"), "say hello")
        optimizer.step()
        assert greet("Ada").data == "Hello Ada"
    finally:
        greet.parameter._data = before
    assert len(optimizer.log or []) == 1


def test_an_update_without_marks_is_refused() -> None:
    x = node(1, name="x", trainable=True)
    optimizer = TextGrad([x], llm=ScriptedModel(["5"], abilities=PLAIN))
    x.backward("fb")
    assert optimizer.step() == {}
    assert "between <IMPROVED_VARIABLE>" in optimizer.refused[0].reason


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Shorter. <IMPROVED_VARIABLE> Hi </IMPROVED_VARIABLE> Good.", "Hi"),
        ("<Improved_Variable>Hi</improved_variable>", "Hi"),
        ("<IMPROVED_VARIABLE>Hi<IMPROVED_VARIABLE>", "Hi"),
        ("<IMPROVED_VARIABLE>\nHi there\n", "Hi there"),
        (
            "<IMPROVED_VARIABLE>a <IMPROVED_VARIABLE> b</IMPROVED_VARIABLE>",
            "a <IMPROVED_VARIABLE> b",
        ),
        ("</IMPROVED_VARIABLE><IMPROVED_VARIABLE>Hi</IMPROVED_VARIABLE>", "Hi"),
        ("<IMPROVED_VARIABLE></IMPROVED_VARIABLE>", ""),
        ("<IMPROVED_VARIABLE>x0 = Hi</IMPROVED_VARIABLE>", "Hi"),
        ('<IMPROVED_VARIABLE>x0="Hi"</IMPROVED_VARIABLE>', "Hi"),
        ("<IMPROVED_VARIABLE>x0 == Hi</IMPROVED_VARIABLE>", "x0 == Hi"),
        ("<IMPROVED_VARIABLE>y0 = Hi</IMPROVED_VARIABLE>", "y0 = Hi"),
        ("<IMPROVED_VARIABLE>Hi\n\nThis is shorter.", None),
        ("<IMPROVED_VARIABLE>", None),
        ("<IMPROVED_VARIABLE><IMPROVED_VARIABLE>", None),
        ("Hi</IMPROVED_VARIABLE>", None),
        ("Hi", None),
    ],
)
def test_marks_as_models_write_them(reply: str, expected: str | None) -> None:
    x = node("Hello", name="x", trainable=True)
    optimizer = TextGrad([x], llm=ScriptedModel([reply], abilities=PLAIN))
    x.backward("fb")
    assert optimizer.step() == ({} if expected is None else {x: expected})
    assert len(optimizer.refused) == (expected is None)


def test_unclosed_code_is_taken_if_it_is_code() -> None:
    @bundle(trainable=True)
    def hail(name: str) -> str:
        """Say hello."""
        return name

    code = 'def hail(name: str) -> str:\n    hi = "Hello"\n\n    return f"{hi} {name}"'
    replies = [f"<IMPROVED_VARIABLE>\n{code}", "no code at all"]
    optimizer = TextGrad(hail.parameters(), llm=ScriptedModel(replies, abilities=PLAIN))
    optimizer.backward(hail("Ada"), "say hello")
    optimizer.step()
    assert hail("Ada").data == "Hello Ada"
    optimizer.zero_feedback()
    optimizer.backward(hail("Ada"), "shorter")
    assert optimizer.step() == {}
    assert optimizer.refused[0].reason.startswith("__code")


def test_the_form_for_several_inputs_names_each_of_them() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    rules = Rules(x0="2", y0="3")
    optimizer = TextGrad([x, y], llm=rules)
    optimizer.backward(x + y, "more")
    optimizer.step()
    assert "<name>x0</name>" in rules.prompts[0]
    assert "<name>y0</name>" in rules.prompts[0]
    assert "How should each of x0, y0 change?" in rules.prompts[0]


def test_an_answer_for_several_inputs_without_names_goes_to_all() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    optimizer = TextGrad([x, y], llm=ScriptedModel(["Both should grow."], abilities=PLAIN))
    optimizer.backward(x + y, "more")
    problem = optimizer.summarize()
    questions = Questions(problem, optimizer.prompts, optimizer.budget, 2000)
    gradients = optimizer.gradients(problem, questions)
    assert gradients.text("x0") == gradients.text("y0") == "Both should grow."


def test_errors_of_the_model_are_raised() -> None:
    x = node(1, name="x", trainable=True)
    optimizer = TextGrad([x], llm=ScriptedModel([ServerError("down")]))
    optimizer.backward(x + 1, "more")
    with pytest.raises(ServerError):
        optimizer.step()
