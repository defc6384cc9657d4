from __future__ import annotations

from typing import Any

from opto.optimizers.folding import LIMITS, fold, nearest_first, only, size_of
from opto.optimizers.problem import Entry, Problem, Step


def chain(length: int, text: str = "v") -> Problem:
    """x -> s1 -> ... -> s<length>, each with an input of its own."""
    names = ["x", *(f"s{i}" for i in range(1, length + 1))]
    steps = tuple(
        Step(i, names[i], "f", (("a", names[i - 1]), ("b", f"k{i}"))) for i in range(1, length + 1)
    )
    return Problem(
        steps,
        {"f": "[f] Does it.", "g": "[g] Unused."},
        {"x": Entry("parameter " * 100, "a constraint", "str")},
        {f"k{i}": Entry(text, None, "str") for i in range(1, length + 1)},
        {name: Entry(text, None, "str") for name in names[1:-1]},
        {names[-1]: Entry(text, None, "str")},
        ((names[-1], "feedback"),),
    )


def test_what_fits_stays() -> None:
    problem = chain(3)
    assert fold(problem, 10_000) == (problem, LIMITS[0])


def test_values_are_shortened_first() -> None:
    problem = chain(3, "w" * 5000)
    folded, limit = fold(problem, 6000)
    assert folded == problem
    assert limit == LIMITS[1]


def test_then_what_is_far_is_left_out_and_counted() -> None:
    problem = chain(2000, "w" * 500)
    folded, limit = fold(problem, 20_000)
    assert size_of(folded, limit) <= 20_000
    outputs = {step.output for step in folded.steps}
    assert {"s1", "s2000"} <= outputs
    assert folded.variables == problem.variables
    assert folded.outputs == problem.outputs
    assert folded.feedbacks == problem.feedbacks
    left = 2000 - len(folded.steps)
    assert folded.code_note == f"# {left} operations farther away are left out: f {left} times"
    assert set(folded.documentation) == {"f"}


def test_nothing_is_left_of_the_code_if_even_the_variables_are_too_long() -> None:
    folded, _ = fold(chain(50), 10)
    assert folded.steps == ()
    assert folded.variables == chain(50).variables


def test_nearest_first_goes_from_both_ends() -> None:
    order = nearest_first(chain(9))
    assert {0, 8} == set(order[:2])
    assert order[-1] == 4
    assert sorted(order) == list(range(9))


def test_only() -> None:
    problem: Any = only(chain(3), {1})
    assert [step.output for step in problem.steps] == ["s2"]
    assert set(problem.inputs) == {"k2"}
    assert set(problem.others) == {"s1", "s2"}
