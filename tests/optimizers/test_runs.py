from __future__ import annotations

import copy
import pickle

import pytest

from opto.optimizers.problem import Problem, read_problem
from opto.optimizers.runs import Call, Entry, Later, Step, Steps, run_of
from opto.trace import node
from opto.trace.utils import sum_feedback

STEPS = (
    Step(1, "s0", "f", (("a", "x0"), ("b", "k0"))),
    Step(1, "s1", "f", (("a", "x0"), ("b", "k1"))),
    Step(2, "out", "g", (("left", "s0"), ("right", "s1"))),
)
ENTRIES = {name: Entry(name.upper(), None, "str") for name in ("x0", "k0", "k1", "s0", "s1", "out")}
RUN = run_of(STEPS, {"x0": ENTRIES["x0"]}, ["out"], ENTRIES)


def long_problem(size: int = 1500) -> Problem:
    x = node(1, name="x", trainable=True)
    value = x + 1
    for _ in range(size):
        value = value + 2
    value.backward("lower")
    return read_problem(sum_feedback([x]), [x])


def test_a_run_of_steps_gives_the_steps_again() -> None:
    assert tuple(map(RUN.step, range(3))) == STEPS
    assert tuple(Steps(RUN)) == STEPS
    assert list(RUN.calls) == [Call("f", ("a", "b")), Call("g", ("left", "right"))]


def test_what_was_made_and_what_was_given() -> None:
    assert RUN.entries(RUN.inputs()) == {"k0": ENTRIES["k0"], "k1": ENTRIES["k1"]}
    assert RUN.entries(RUN.others()) == {"s0": ENTRIES["s0"], "s1": ENTRIES["s1"]}
    assert RUN.entries(RUN.variables) == {"x0": ENTRIES["x0"]}
    assert RUN.entries(RUN.outputs) == {"out": ENTRIES["out"]}


def test_a_variable_and_an_output_that_no_step_has() -> None:
    run = run_of((), {"x": Entry(1)}, ["x", "y"], {})
    assert [run.name(value) for value in (*run.variables, *run.outputs)] == ["x", "x", "y"]
    assert run.entry(1) == Entry(None)


def test_steps_are_a_sequence() -> None:
    steps = Steps(RUN)
    assert len(steps) == 3
    assert steps[-1] == STEPS[-1]
    assert steps[1:] == STEPS[1:]
    with pytest.raises(IndexError):
        steps[3]


def test_a_mapping_is_made_once_and_late() -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"a": 1}

    later = Later(make)
    assert not made
    assert (later["a"], list(later), len(later), "b" in later) == (1, ["a"], 1, False)
    assert made == [1]


def test_a_long_run_is_read_late_and_says_the_same() -> None:
    problem = long_problem()
    assert isinstance(problem.steps, Steps)
    whole = problem.whole()
    assert isinstance(whole.steps, tuple)
    assert whole.steps == tuple(problem.steps)
    assert len(whole.others) == 1500
    assert len(whole.inputs) == 1501
    assert problem.graph == whole.graph
    again = run_of(
        whole.steps,
        whole.variables,
        whole.outputs,
        {**whole.variables, **whole.inputs, **whole.others, **whole.outputs},
    )
    assert tuple(Steps(again)) == whole.steps


def test_a_long_run_is_copied_pickled_and_compared() -> None:
    problem = long_problem()
    assert problem == problem.whole()
    assert problem.whole() == problem
    assert problem != long_problem(1501)
    for twin in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert twin == problem
        assert isinstance(twin.steps, tuple)
    assert Steps(RUN) != "steps"
