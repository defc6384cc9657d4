from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.quality_tasks import KINDS, TASKS, Task
from benchmarks.quality_tasks.base import alike, direction, outside

ALL = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def test_twenty_tasks_of_five_kinds() -> None:
    assert Counter(task.kind for task in TASKS.values()) == dict.fromkeys(KINDS, 4)


@ALL
def test_at_first_it_is_not_solved_and_says_why(task: Task) -> None:
    found = task.make().run()

    assert not found.solved
    assert found.score < 1
    assert len(found.feedback) > 20
    assert found.feedback != "All is right."


@ALL
def test_a_run_without_change_is_the_same_again(task: Task) -> None:
    program = task.make()
    one, other = program.run(), program.run()
    assert (one.feedback, one.score) == (other.feedback, other.score)


@ALL
def test_its_solution_solves_it(task: Task) -> None:
    program = task.make()
    assert program.parameters.keys() == task.solution.keys()

    for name, value in task.solution.items():
        program.parameters[name]._set(value)
    found = program.run()

    assert found.solved, found.feedback
    assert found.score == 1


@ALL
def test_part_of_a_solution_is_not_enough(task: Task) -> None:
    for left_out in task.solution:
        program = task.make()
        for name, value in task.solution.items():
            if name != left_out:
                program.parameters[name]._set(value)
        assert not program.run().solved


@ALL
def test_feedback_reaches_every_parameter(task: Task) -> None:
    program = task.make()
    found = program.run()

    found.output.backward(found.feedback)

    assert all(parameter.feedback for parameter in program.parameters.values())


@ALL
def test_two_programs_of_a_task_share_nothing(task: Task) -> None:
    one, other = task.make(), task.make()
    for name, value in task.solution.items():
        one.parameters[name]._set(value)

    assert one.run().solved
    assert not other.run().solved


@ALL
def test_numbers_have_bounds_that_hold_the_solution(task: Task) -> None:
    numbers = {key for key, value in task.solution.items() if isinstance(value, (int, float))}
    assert task.bounds.keys() == numbers
    for name, (low, high) in task.bounds.items():
        assert low <= task.solution[name] <= high
        assert low <= task.make().parameters[name].data <= high


@pytest.mark.parametrize("name", ["total", "run_lengths"])
def test_answers_for_the_cases_that_a_feedback_shows_are_not_all_it_takes(name: str) -> None:
    """Failing cases beyond the shown ones count as well."""
    task = TASKS[name]
    program = task.make()
    body = f"def {name}(x):\n    return {{'[1, 2, 3]': 6, '[5, -2, 1]': 6}}.get(str(x), 'a3b1')"
    program.parameters[name]._set(body)
    assert not program.run().solved


def test_code_that_raises_gets_its_error_as_feedback() -> None:
    program = TASKS["steps"].make()
    found = program.run()

    assert "(IndexError)" in found.feedback
    assert type(found.output).__name__ == "ExceptionNode"


def test_code_that_changes_its_arguments_changes_no_test() -> None:
    program = TASKS["total"].make()
    program.parameters["total"]._set("def total(numbers):\n    numbers.clear()\n    return 6")
    one, other = program.run(), program.run()
    assert one.feedback == other.feedback
    assert "total([1, 2, 3])" not in one.feedback
    assert "total([-4]) returned 6" in one.feedback


def test_directions() -> None:
    assert direction("x", 5, 1, 9) == []
    assert direction("x", 0, 1, 9) == ["x = 0 is too low, it must be higher."]
    assert direction("x", 10, 1, 9) == ["x = 10 is too high, it must be lower."]
    assert outside(5, 1, 9) == 0
    assert outside(17, 1, 9) == 1
    assert outside(-7, 1, 9) == 1


def test_truth_is_no_number() -> None:
    assert alike(1.0, 1)
    assert not alike(True, 1)
    assert not alike(1, True)
    assert alike(None, None)
