"""Code against tests: the function says what it should do, and does something else."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.quality_tasks.base import Cases, Program, Task, graded
from opto.trace import bundle


def tested(function: Any, name: str, cases: Cases) -> Program:
    """Train the code of a function against cases."""
    return Program({name: function.parameter}, partial(graded, function, name, cases))


def total() -> Program:
    """The largest in the place of the sum."""

    @bundle(trainable=True)
    def total(numbers: list[int]) -> int:
        """Return the sum of the positive numbers."""
        return max(numbers)

    cases: Cases = [(([1, 2, 3],), 6), (([5, -2, 1],), 6), (([-4],), 0), (([],), 0)]
    return tested(total, "total", cases)


def palindrome() -> Program:
    """Case and spaces are to be ignored."""

    @bundle(trainable=True)
    def palindrome(text: str) -> bool:
        """Tell whether the text reads the same backwards, letters alone, in any case."""
        return text == text[::-1]

    cases: Cases = [
        (("level",), True),
        (("Never odd or even",), True),
        (("Madam, I'm Adam",), True),
        (("hello",), False),
        (("",), True),
    ]
    return tested(palindrome, "palindrome", cases)


def run_lengths() -> Program:
    """Nothing is done yet."""

    @bundle(trainable=True)
    def run_lengths(text: str) -> str:
        """Write each run of the same letter as the letter and the length of the run."""
        return text

    cases: Cases = [(("aaab",), "a3b1"), (("abc",), "a1b1c1"), (("aabbaa",), "a2b2a2"), (("",), "")]
    return tested(run_lengths, "run_lengths", cases)


def second_largest() -> Program:
    """Equal numbers count once."""

    @bundle(trainable=True)
    def second_largest(numbers: list[int]) -> int | None:
        """Return the second largest of the different numbers, None if there is none."""
        return sorted(numbers)[-2]

    cases: Cases = [
        (([1, 5, 3],), 3),
        (([4, 4, 2],), 2),
        (([7, 7],), None),
        (([9],), None),
        (([2, 1, 2, 3, 3],), 2),
    ]
    return tested(second_largest, "second_largest", cases)


TOTAL = """\
def total(numbers):
    return sum(number for number in numbers if number > 0)
"""
PALINDROME = """\
def palindrome(text):
    letters = [letter for letter in text.lower() if letter.isalpha()]
    return letters == letters[::-1]
"""
RUN_LENGTHS = """\
def run_lengths(text):
    result = ""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or text[end] != text[start]:
            result += text[start] + str(end - start)
            start = end
    return result
"""
SECOND_LARGEST = """\
def second_largest(numbers):
    different = sorted(set(numbers))
    return different[-2] if len(different) > 1 else None
"""
CODE = (
    Task("total", "code", total, {"total": TOTAL}),
    Task("palindrome", "code", palindrome, {"palindrome": PALINDROME}),
    Task("run_lengths", "code", run_lengths, {"run_lengths": RUN_LENGTHS}),
    Task("second_largest", "code", second_largest, {"second_largest": SECOND_LARGEST}),
)
