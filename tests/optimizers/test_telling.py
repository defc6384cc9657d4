from __future__ import annotations

import re

from opto.optimizers.layout import Layout
from opto.optimizers.repeats import Part
from opto.optimizers.telling import FoldedCode, Kinds, call_of, ways_of
from tests.optimizers.test_layout import problem_of, step


def repeated(times: int, *, carries: bool) -> Layout:
    """The same operation on inputs of its own each time, or on the result of the time before."""
    before = ["v", *(f"r{at}" for at in range(times))]
    steps = [
        step(f"r{at}", before[at] if carries else "v", f"k{at}", function="work")
        for at in range(times)
    ]
    joined = step("out", *([before[-1]] if carries else before[1:]), function="join")
    return Layout(problem_of([*steps, joined], "out"))


def test_a_call_with_its_inputs() -> None:
    layout = Layout(problem_of([step("out", "v", "k")], "out"))
    text, named = call_of(layout, 0)
    assert text == "out = f(x0=v, x1=k)"
    assert [layout.run.name(value) for value in named] == ["out", "v", "k"]


def test_of_very_many_inputs_the_ends_and_the_variables_are_shown() -> None:
    names = [f"k{at}" for at in range(40)]
    names[20] = "v"
    layout = Layout(problem_of([step("out", *names)], "out"))
    text, named = call_of(layout, 0)
    assert text.startswith("out = f(x0=k0, x1=k1, x2=k2, x3=k3, x4=k4, x5=k5, ... 14 more ..., ")
    assert "x20=v, ... 13 more ..., x34=k34" in text
    assert len(named) == 14


def test_a_repetition_is_told_with_what_differs() -> None:
    code = FoldedCode(repeated(9, carries=False))
    (part,) = [part for part in code._layout.parts if part.body]
    code.add(part)
    assert code.lines == [
        "r0 = work(x0=v, x1=k0)",
        "# ... the operation above 7 times more, each time on inputs of its own;",
        "#     x1 of work is 1;",
        "# and the last time:",
        "r8 = work(x0=v, x1=k8)",
    ]
    assert len(code.shown) == 2


def test_a_loop_is_told_as_one() -> None:
    code = FoldedCode(repeated(9, carries=True))
    for part in code._layout.parts:
        code.add(part)
    assert any("each time on the results of the time before" in line for line in code.lines)
    assert code.lines[-1].startswith("out = join(")


def test_what_is_far_is_told_by_kind_without_what_is_shown() -> None:
    layout = repeated(9, carries=True)
    kinds = Kinds(layout)
    head, work, join = kinds.told([], [])
    assert head == "# 10 operations farther away are not shown one by one:"
    assert work == "# work 9 times, on v, inputs of type int, results of work"
    assert join == "# join 1 times, on results of work"

    value = layout.run.results[layout.order[3]]
    head, work = kinds.told([0, 9], [value])
    assert head == "# 8 operations farther away are not shown one by one:"
    assert work == ("# work 8 times, on inputs of type int, results of work; among the results: r3")
    assert (
        list(kinds.told([], []))[1] == "# work 9 times, on v, inputs of type int, results of work"
    )


def test_the_ways_of_all_variables_are_told_those_alike_together() -> None:
    steps = [
        step("a", "v", "w", function="mix"),
        step("b", "a", function="trim"),
        step("out", "b", "u", function="join"),
    ]
    layout = Layout(problem_of(steps, "out", variables=("v", "w", "u", "unused")))
    assert list(ways_of(layout)) == [
        "# v, w reach out through mix, trim, join",
        "# u reaches out through join",
    ]


def test_a_long_way_is_told_briefly() -> None:
    names = ["v", *(f"r{at}" for at in range(200))]
    functions = ["add", "mod"] * 80 + [f"f{at}" for at in range(40)]
    steps = [step(names[at + 1], names[at], function=functions[at]) for at in range(len(functions))]
    (way,) = ways_of(Layout(problem_of(steps, names[-1])))
    assert way.startswith("# v reaches r199 through 80 times (add, mod), f0, f1")
    assert re.search(r"\.\.\. \d+ more \.\.\.", way)
    assert way.endswith("f38, f39")


def test_a_part_of_one_operation_is_shown_as_it_is() -> None:
    layout = Layout(problem_of([step("out", "v")], "out"))
    code = FoldedCode(layout)
    code.add(Part(0))
    assert code.lines == ["out = f(x0=v)"]
