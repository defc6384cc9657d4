"""Runs of a hundred thousand operations, and what a reader learns from the text about them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto.optimizers import OptoPrime
from opto.optimizers.runs import Run, Steps
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, bundle, new_scope, node
from opto.trace.utils import contain

Parameters = dict[str, ParameterNode[Any]]
MANY = 100_000
_CALL = re.compile(r"^(\w+) = (\w+)\((.*)\)$")


@bundle()
def ask(prompt: str, question: str) -> str:
    """Ask the model."""
    return f"{prompt} {question}"[-20:]


@bundle()
def mix(*answers: Any) -> str:
    """Put the answers together."""
    return "".join(map(str, answers))[:50]


def parameters() -> Parameters:
    return {name: node(1, name=name, trainable=True) for name in "abc"}


def text_parameter(name: str) -> ParameterNode[Any]:
    return node(f"The {name} prompt.", name=name, trainable=True)


def loop(given: Parameters, size: int) -> Any:
    """One value that goes through the same operations again and again."""
    value: Any = given["a"]
    for number in range(size // 4):
        value = (value + number) % given["b"]
        value = value * 3 - given["c"]
    return value


def batch(given: Parameters, size: int) -> Any:
    """The same operations for each of many questions, and one result."""
    answers: list[Any] = []
    for number in range(size // 4):
        answer = ask(given["a"], f"question {number}")
        answers.append((answer + ".").replace(".", "!").strip() if number else answer)
    return mix(*answers, given["b"], given["c"])


def nested(given: Parameters, size: int) -> Any:
    """A loop within a loop."""
    value: Any = given["a"]
    for number in range(size // 22):
        for _ in range(10):
            value = value + given["b"]
            value = value % 7
        value = value * number
        value = value - given["c"]
    return value


def tangle(given: Parameters, size: int) -> Any:
    """Nothing repeats."""
    draw = random.Random(3)
    values: list[Any] = list(given.values())
    for _ in range(size):
        one, other = draw.choice(values[-50:]), draw.choice(values[-50:])
        kind = draw.randrange(3)
        made = one + other if kind == 0 else one * other if kind == 1 else one - other
        values.append(made % 97)
    return mix(*values[-50:])


def tree(given: Parameters, size: int) -> Any:
    """Pairs are put together until one is left."""
    values: list[Any] = [given["a"] + number for number in range(size // 3)]
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [one * given["b"] + other for one, other in pairs]
    return values[0] - given["c"]


def agents(given: Parameters, size: int) -> Any:
    """A batch in which each example goes through a loop of its own length."""
    answers: list[Any] = []
    draw = random.Random(5)
    while size > 0:
        answer = ask(given["a"], f"question {size}")
        for _ in range(draw.randrange(1, 9)):
            answer = ask(given["b"], answer + given["c"].lower())
            size -= 3
        answers.append(answer)
        size -= 1
    return mix(*answers)


def deep(given: Parameters, size: int) -> Any:
    """A parameter is used once, at the far end of all."""
    value: Any = mix(given["a"], given["b"])
    for number in range(size // 2):
        value = (value + str(number)).strip()
    return value + given["c"]


NUMBERS = (loop, nested, tangle, tree)


def parameters_of(make: Callable[[Parameters, int], Any]) -> Parameters:
    return parameters() if make in NUMBERS else {key: text_parameter(key) for key in "abc"}


def problem_text(make: Callable[[Parameters, int], Any], size: int, tokens: int) -> str:
    given = parameters_of(make)
    llm = ScriptedModel([])
    optimizer = OptoPrime(list(given.values()), llm=llm, problem_tokens=tokens)
    optimizer.backward(make(given, size), "The result is wrong.")
    folded, limit = optimizer.folded(optimizer.summarize())
    return str(optimizer.problem_instance(folded, limit=limit))


def section(text: str, title: str) -> list[str]:
    return text.partition(f"#{title}\n")[2].partition("\n\n#")[0].splitlines()


def reaching(text: str, output: str) -> set[str]:
    """The names of which a reader of the code can tell that they reach the output.

    What isn't written as the result of a line is, after a note on a repetition, a result of the
    operations before that note.
    """
    uses: dict[str, set[str]] = {}
    block: list[str] = []
    before: list[str] = []
    told: set[str] = set()
    for line in section(text, "Code"):
        if way := re.match(r"# (.*) reach(?:es)? (\w+) through", line):
            told.update(way[1].split(", "))
        elif "results of the time before" in line:
            before, block = block, []
        elif call := _CALL.match(line):
            names = [part.split("=")[1] for part in call[3].split(", ") if "=" in part]
            unknown = [name for name in names if name not in uses]
            uses[call[1]] = {*names, *(before if unknown else [])}
            block.append(call[1])
    found, queue = {output}, [output]
    for name in queue:
        queue += [source for source in uses.get(name, ()) if source not in found]
        found.update(uses.get(name, ()))
    return found | told


SHAPES = [loop, batch, nested, tangle, tree, agents, deep]


@pytest.mark.parametrize(
    ("make", "size"),
    [
        *((make, 2_000) for make in SHAPES),
        pytest.param(loop, MANY, marks=pytest.mark.slow),
        pytest.param(tangle, MANY // 2, marks=pytest.mark.slow),
    ],
)
def test_a_reader_can_tell_how_each_parameter_reaches_the_output(
    make: Callable[[Parameters, int], Any], size: int
) -> None:
    tokens = 2_000 if size == 2_000 else 8_000
    text = problem_text(make, size, tokens)
    assert len(text) / 3 <= tokens
    (output,) = section(text, "Outputs")
    name = output.partition(") ")[2].partition("=")[0]
    variables = [line.partition(") ")[2].partition("=") for line in section(text, "Variables")]
    assert [(name[0], value) for name, _, value in variables] in (
        [("a", "1"), ("b", "1"), ("c", "1")],
        [(key, f"The {key} prompt.") for key in "abc"],
    )
    assert {name for name, _, _ in variables} <= reaching(text, name)
    assert section(text, "Feedback") == ["The result is wrong."]


@pytest.mark.parametrize("make", SHAPES)
def test_what_must_stay_whole_does(make: Callable[[Parameters, int], Any]) -> None:
    given = {
        key: node(
            1 if make in NUMBERS else f"The {key} prompt " * 40,
            name=key,
            trainable=True,
            description=f"The hint for {key}. " * 20,
        )
        for key in "abc"
    }
    optimizer = OptoPrime(list(given.values()), llm=ScriptedModel([]), problem_tokens=3_000)
    feedback = "It must be better in this way and in that. " * 20
    output = make(given, 3_000)
    optimizer.backward(output, feedback)
    folded, limit = optimizer.folded(optimizer.summarize())
    text = str(optimizer.problem_instance(folded, limit=limit))

    assert len(text) / 3 <= 3_000
    assert section(text, "Feedback") == [feedback]
    for parameter in given.values():
        assert f") {parameter.py_name}={parameter.data}" in "\n".join(section(text, "Variables"))
        hint = parameter.description_text
        assert f") {parameter.py_name}: {hint}" in "\n".join(section(text, "Constraints"))
    code = "\n".join(section(text, "Code"))
    assert re.search(rf"^{output.py_name} = ", code, re.MULTILINE)
    for parameter in given.values():
        assert re.search(rf"[(=]{parameter.py_name}\b", code), "what uses it is shown"


def test_only_what_is_shown_is_given_a_name() -> None:
    counts: list[int] = []
    for size in (4_000, 16_000):
        given = parameters()
        optimizer = OptoPrime(list(given.values()), llm=ScriptedModel([]), problem_tokens=2_000)
        optimizer.backward(tangle(given, size), "Wrong.")
        problem = optimizer.summarize()
        assert isinstance(problem.steps, Steps)
        run, named = problem.steps.run, set[int]()

        def name(value: int, run: Run = run, named: set[int] = named) -> str:
            named.add(value)
            return run.name(value)

        optimizer.folded(replace(problem, steps=Steps(replace(run, name=name))))
        counts.append(len(named))
    assert counts[1] < 1.2 * counts[0] < 2_000


def test_a_loop_is_shown_once_with_its_count_and_values() -> None:
    code = section(problem_text(loop, 2_000, 2_000), "Code")
    assert len(code) < 20
    (note,) = [line for line in code if "times more" in line]
    assert note.startswith("# ... the 4 operations above 497 times more, each time on the results")
    assert any(
        re.match(r"#     y of add is 2, 3, 4, ... \d+ \(497 different values\);", x) for x in code
    )


def test_repeated_graphs_are_shown_once_with_their_values() -> None:
    code = section(problem_text(batch, 2_000, 2_000), "Code")
    assert len(code) < 20
    (note,) = [line for line in code if "times more" in line]
    assert note.endswith("times more, each time on inputs of its own;")
    assert any("question of ask is question 2, question 3" in line for line in code)


def test_a_loop_within_a_loop() -> None:
    code = section(problem_text(nested, 2_000, 2_000), "Code")
    notes = [line for line in code if "times more" in line]
    assert any("the 2 operations above 8 times more" in note for note in notes)
    assert any("the 22 operations above" in note for note in notes)


def test_the_failing_operation_stays_whole() -> None:
    @bundle()
    def check(value: Any) -> Any:
        """Refuse it."""
        message = f"{value} is no good"
        raise ValueError(message)

    given = parameters()
    optimizer = OptoPrime(list(given.values()), llm=ScriptedModel([]), problem_tokens=1_000)
    with pytest.raises(ValueError, match="no good") as caught:
        check(tangle(given, 3_000))
    optimizer.backward(caught.value.exception_node, "It must not fail.")  # type: ignore[attr-defined]  # traced errors have it
    folded, limit = optimizer.folded(optimizer.summarize())
    text = str(optimizer.problem_instance(folded, limit=limit))
    assert re.search(r"exception_\S*check0 = \S*check\(value=mix0\)", text)
    assert "is no good" in "".join(section(text, "Outputs"))


def test_the_tokenizer_of_the_model_decides_if_it_has_one() -> None:
    class Wordy(ScriptedModel):
        def count_tokens(self, text: str) -> int:
            return len(text)

    given = parameters()
    few = OptoPrime(list(given.values()), llm=Wordy([]), problem_tokens=2_000)
    few.backward(loop(given, 2_000), "No.")
    folded, limit = few.folded(few.summarize())
    assert len(str(few.problem_instance(folded, limit=limit))) <= 2_000


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),  # which operation
            st.integers(1, 4),  # how far back its inputs were made
            st.integers(1, 9),
            st.integers(1, 40),  # how often it is repeated
        ),
        min_size=1,
        max_size=25,
    ),
    st.integers(450, 900),
)
def test_of_any_run_a_reader_can_tell_how_each_parameter_reaches_the_output(
    parts: list[tuple[int, int, int, int]], tokens: int
) -> None:
    with new_scope():
        given = parameters()
        values: list[Any] = list(given.values())
        for kind, near, far, times in parts:
            for _ in range(times):
                one, other = values[-near % len(values)], values[-far % len(values)]
                values.append(one + other if kind == 0 else one - other if kind == 1 else one % 7)
        output = values[-1]
        optimizer = OptoPrime(
            list(given.values()), llm=ScriptedModel([]), problem_tokens=tokens, log=False
        )
        optimizer.backward(output, "Wrong.")
        reached = {p.py_name for p in given.values() if p.feedback}
        if reached and not contain(given.values(), output):
            folded, limit = optimizer.folded(optimizer.summarize())
            text = str(optimizer.problem_instance(folded, limit=limit))
            assert len(text) / 3 <= tokens
            assert reached <= reaching(text, output.py_name)
