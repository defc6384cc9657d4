from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers.backprop import (
    MOST_ASKED,
    MOST_USES,
    Flow,
    Gradients,
    plain_uses,
    ways_back,
)
from opto.optimizers.problem import Entry, Problem, Step


def test_gradients() -> None:
    gradients = Gradients([("a", "one"), ("a", " one "), ("b", "")])
    assert gradients.text("a") == "one"
    assert gradients.text("b") == gradients.text("c") == ""
    gradients.add("a", "two")
    assert gradients.of("a") == ["one", "two"]
    assert gradients.text("a") == "- one\n- two"
    gradients.replace("a", ["three", " ", "four "])
    assert gradients.of("a") == ["three", "four"]
    gradients.replace("a", [""])
    assert gradients.of("a") == ["three", "four"], "an empty summary doesn't lose the feedback"


def test_ways_go_from_consumers_to_producers() -> None:
    steps = (
        Step(1, "p", "f", (("x", "v"),)),
        Step(1, "q", "f", (("x", "v"), ("y", "v"))),
        Step(1, "k", "f", (("x", "i"),)),
        Step(2, "r", "g", (("x", "p"), ("y", "q"), ("z", "k"))),
    )
    problem = Problem(steps, {}, {"v": Entry(1)}, {"i": Entry(1)}, {}, {"r": Entry(1)}, ())
    ways = ways_back(problem)
    assert [(way.step.output, way.inputs) for way in ways] == [
        ("r", ("p", "q")),
        ("p", ("v",)),
        ("q", ("v",)),
    ]


def test_operations_of_one_variable_alone_are_plain_uses_if_there_are_few() -> None:
    def of(count: int) -> dict[str, str]:
        steps = (
            Step(1, "p", "f", (("x", "v"), ("y", "i"))),
            Step(1, "q", "f", (("x", "v"), ("y", "w"))),
            Step(2, "r", "g", (("x", "p"),)),
            *(Step(1, f"s{at}", "h", (("x", "w"), ("y", "w"))) for at in range(count)),
        )
        variables = {"v": Entry(1), "w": Entry(1)}
        ways = ways_back(Problem(steps, {}, variables, {"i": Entry(1)}, {}, {}, ()))
        found = plain_uses(ways, variables)
        return {ways[at].step.output: name for at, name in found.items()}

    many = {f"s{at}": "w" for at in range(MOST_USES)}
    assert of(MOST_USES) == {"p": "v", **many}
    assert of(MOST_USES + 1) == {"p": "v"}


def test_uses_are_told_in_order_with_what_was_said() -> None:
    gradients = Gradients([("r", "first"), ("s", "second")])
    for output in ("r", "s", "t"):
        gradients.add_use("v", Step(1, output, "f", (("x", "v"),)))
    assert [(step.output, text) for step, text in gradients.uses("v")] == [
        ("r", "first"),
        ("s", "second"),
    ]
    assert gradients.uses("w") == []


def test_an_operation_of_many_inputs_comes_in_parts() -> None:
    many = MOST_ASKED * 2 + 1
    variables = {f"v{at}": Entry(at) for at in range(many)}
    step = Step(1, "r", "f", tuple((f"x{at}", name) for at, name in enumerate(variables)))
    problem = Problem((step,), {}, variables, {}, {}, {"r": Entry(1)}, ())
    ways = ways_back(problem)
    assert [len(way.inputs) for way in ways] == [MOST_ASKED, MOST_ASKED, 1]
    assert [name for way in ways for name in way.inputs] == list(variables)


def test_feedback_is_told_in_order_whichever_came_first() -> None:
    gradients = Gradients([("a", "given")])
    gradients.add("a", "late", order=7)
    gradients.add("a", "early", order=2)
    assert gradients.of("a") == ["given", "early", "late"]


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=3), max_size=20), st.data())
def test_an_operation_waits_for_all_that_use_its_result(
    picks: list[list[int]], data: st.DataObject
) -> None:
    names = ["v"]
    steps: list[Step] = []
    for at, pick in enumerate(picks):
        used = tuple((f"x{i}", names[p % len(names)]) for i, p in enumerate(pick))
        steps.append(Step(at + 1, f"r{at}", "f", used))
        names.append(f"r{at}")
    ways = ways_back(Problem(tuple(steps), {}, {"v": Entry(1)}, {}, {}, {}, ()))
    flow = Flow(ways)
    passed: list[int] = []
    ready = flow.first()
    while ready:
        at = ready.pop(data.draw(st.integers(0, len(ready) - 1)))
        users = [i for i, way in enumerate(ways) if ways[at].step.output in way.inputs]
        assert set(users) <= set(passed)
        passed.append(at)
        ready += flow.after(at)
    assert sorted(passed) == list(range(len(ways)))
