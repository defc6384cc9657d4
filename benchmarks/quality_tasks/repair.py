"""Repair: code that raises, with the error as feedback."""

from __future__ import annotations

from benchmarks.quality_tasks.base import Cases, Program, Task
from benchmarks.quality_tasks.code import tested
from opto.trace import bundle


def full_name() -> Program:
    """A key that isn't there."""

    @bundle(trainable=True)
    def full_name(person: dict[str, str]) -> str:
        """Return first and last name of a person with a space between."""
        return person["name"]

    cases: Cases = [
        (({"first": "Ada", "last": "Lovelace"},), "Ada Lovelace"),
        (({"first": "Alan", "last": "Turing"},), "Alan Turing"),
    ]
    return tested(full_name, "full_name", cases)


def average() -> Program:
    """A division by zero."""

    @bundle(trainable=True)
    def average(numbers: list[float]) -> float:
        """Return the mean of the numbers, 0 for an empty list."""
        return sum(numbers) / len(numbers)

    cases: Cases = [(([],), 0), (([2, 4],), 3), (([5],), 5)]
    return tested(average, "average", cases)


def bill() -> Program:
    """Numbers that are text, some with a currency sign."""

    @bundle(trainable=True)
    def bill(prices: list[str]) -> float:
        """Return the sum of prices that are given as text, with or without a $ before them."""
        return sum(prices)  # type: ignore[arg-type]  # the mistake that is to be repaired

    cases: Cases = [((["3.5", "$2"],), 5.5), ((["$1", "$1.25"],), 2.25), (([],), 0)]
    return tested(bill, "bill", cases)


def steps() -> Program:
    """An index beyond the end."""

    @bundle(trainable=True)
    def steps(numbers: list[int]) -> list[int]:
        """Return the differences between each number and the one after it."""
        return [numbers[at + 1] - numbers[at] for at in range(len(numbers))]

    cases: Cases = [(([1, 4, 9],), [3, 5]), (([7],), []), (([],), []), (([5, 2],), [-3])]
    return tested(steps, "steps", cases)


FULL_NAME = """\
def full_name(person):
    return person["first"] + " " + person["last"]
"""
AVERAGE = """\
def average(numbers):
    return sum(numbers) / len(numbers) if numbers else 0
"""
BILL = """\
def bill(prices):
    return sum(float(price.lstrip("$")) for price in prices)
"""
STEPS = """\
def steps(numbers):
    return [numbers[at + 1] - numbers[at] for at in range(len(numbers) - 1)]
"""
REPAIR = (
    Task("full_name", "repair", full_name, {"full_name": FULL_NAME}),
    Task("average", "repair", average, {"average": AVERAGE}),
    Task("bill", "repair", bill, {"bill": BILL}),
    Task("steps", "repair", steps, {"steps": STEPS}),
)
