from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers.layout import MANY_USES, Layout
from opto.optimizers.problem import Entry, Problem
from opto.optimizers.repeats import Part
from opto.optimizers.runs import Step


def problem_of(steps: list[Step], *outputs: str, variables: tuple[str, ...] = ("v",)) -> Problem:
    made = {step.output for step in steps}
    used = {name for step in steps for _, name in step.inputs} - made - set(variables)
    return Problem(
        tuple(steps),
        {},
        {name: Entry(1, None, "int") for name in variables},
        {name: Entry(1, None, "int") for name in sorted(used)},
        {name: Entry(1, None, "int") for name in sorted(made - set(outputs))},
        {name: Entry(1, None, "int") for name in outputs},
        tuple((name, "feedback") for name in outputs),
    )


def step(output: str, *names: str, function: str = "f") -> Step:
    return Step(1, output, function, tuple((f"x{at}", name) for at, name in enumerate(names)))


def two_branches() -> Problem:
    """Both branches are made level by level, as runs are read."""
    return problem_of(
        [
            step("a0", "v"),
            step("b0", "v"),
            step("a1", "a0"),
            step("b1", "b0"),
            step("out", "a1", "b1", function="join"),
        ],
        "out",
    )


def test_what_was_made_for_one_result_stands_together() -> None:
    layout = Layout(two_branches())
    places = range(len(layout.order))
    assert [layout.step(place).output for place in places] == ["a0", "a1", "b0", "b1", "out"]
    assert [layout.function(place) for place in places] == ["f", "f", "f", "f", "join"]


def test_the_place_of_a_value_is_where_it_was_made() -> None:
    layout = Layout(two_branches())
    for place in range(len(layout.order)):
        for value in layout.sources(place):
            assert layout.place[value] < place
    (variable,) = layout.variables.values()
    assert layout.place[variable] == -1
    assert variable not in layout.inputs


def test_repetitions_have_one_shape() -> None:
    steps = [step(f"r{at}", f"k{at}") for at in range(6)]
    layout = Layout(problem_of([*steps, step("out", *(f"r{at}" for at in range(6)))], "out"))
    assert [(part.times, part.length) for part in layout.parts if part.body] == [(6, 6)]


def test_what_is_used_everywhere_is_one_thing_in_each_repetition() -> None:
    many = MANY_USES + 2
    steps = [step("k", "v", function="make")]
    steps += [step(f"r{at}", "k") for at in range(many)]
    layout = Layout(problem_of([*steps, step("out", *(f"r{at}" for at in range(many)))], "out"))
    assert [part.times for part in layout.parts if part.body] == [many]


def test_the_way_of_a_variable_is_the_shortest_one() -> None:
    steps = [
        step("far", "v"),
        step("farther", "far"),
        step("near", "v", function="g"),
        step("out", "farther", "near", function="join"),
    ]
    layout = Layout(problem_of(steps, "out"))
    towards = layout.next_towards_output()
    name = layout.run.name
    (variable,) = layout.variables.values()
    assert name(towards[variable]) == "near"
    assert name(towards[towards[variable]]) == "out"
    assert towards[towards[towards[variable]]] == -1


def test_nearest_are_the_outputs_and_the_users_of_variables() -> None:
    names = ["v", *(f"s{at}" for at in range(9))]
    layout = Layout(problem_of([step(names[at + 1], names[at]) for at in range(9)], "s8"))
    order = list(layout.near([Part(at) for at in range(9)]))
    assert set(order[:2]) == {0, 8}
    assert sorted(order) == list(range(9))
    assert list(layout.near([Part(at) for at in range(9)])) == order, "it can be asked again"


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=30))
def test_each_operation_has_one_place_after_what_it_needs(picks: list[list[int]]) -> None:
    names = ["v", "k"]
    steps: list[Step] = []
    for at, pick in enumerate(picks):
        steps.append(step(f"r{at}", *(names[p % len(names)] for p in pick)))
        names.append(f"r{at}")
    layout = Layout(problem_of(steps, names[-1]))
    assert sorted(layout.order) == list(range(len(steps)))
    for place in range(len(layout.order)):
        assert all(layout.place[value] < place for value in layout.sources(place))
