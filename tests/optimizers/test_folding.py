from __future__ import annotations

import random

from opto.optimizers.folding import LIMITS, fold, nearest_first, size_of
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


def unlike(length: int) -> Problem:
    """A run in which nothing repeats: each operation works on any two values before it."""
    draw = random.Random(7)
    names = ["x", *(f"s{i}" for i in range(length))]
    steps = tuple(
        Step(
            i,
            names[i + 1],
            draw.choice("fgh"),
            (("a", names[i]), ("b", draw.choice(names[: i + 1]))),
        )
        for i in range(length)
    )
    return Problem(
        steps,
        {"f": "[f] Does it.", "g": "[g] Too.", "h": "[h] As well."},
        {"x": Entry(1, None, "int")},
        {},
        {name: Entry(1, None, "int") for name in names[1:-1]},
        {names[-1]: Entry(1, None, "int")},
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


def test_then_what_repeats_is_told() -> None:
    problem = chain(2000, "w" * 500)
    folded, limit = fold(problem, 20_000)
    assert size_of(folded, limit) <= 20_000
    assert folded.variables == problem.variables
    assert folded.outputs == problem.outputs
    assert folded.feedbacks == problem.feedbacks
    assert folded.code[1] == "s2 = f(a=s1, b=k2)"
    assert folded.code[2].startswith("# ... the operation above 1997 times more")
    assert folded.code[-1] == "s2000 = f(a=s1999, b=k2000)"
    assert set(folded.inputs) == {"k1", "k2", "k2000"}
    assert set(folded.documentation) == {"f"}


def test_then_what_is_far_is_told_by_kind() -> None:
    problem = unlike(400)
    folded, limit = fold(problem, 6000)
    assert size_of(folded, limit) <= 6000
    shown = {step.output for step in folded.steps}
    assert {"s0", "s399"} <= shown
    (head,) = [line for line in folded.code if "farther away" in line]
    assert head == f"# {400 - len(shown)} operations farther away are not shown one by one:"
    assert sum(line.startswith("# x reaches s399 through ") for line in folded.code) == 1


def test_nothing_is_left_of_the_code_if_even_the_variables_are_too_long() -> None:
    folded, _ = fold(unlike(50), 10)
    assert folded.steps == ()
    assert folded.variables == unlike(50).variables


def test_nearest_first_goes_from_both_ends() -> None:
    order = nearest_first(chain(9))
    assert {0, 8} == set(order[:2])
    assert order[-1] == 4
    assert sorted(order) == list(range(9))
