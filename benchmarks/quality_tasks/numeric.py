"""Numbers, by feedback that says in which direction to go."""

from __future__ import annotations

from benchmarks.quality_tasks.base import Outcome, Program, Task, direction, outcome, outside
from opto.trace import bundle, node


def hidden() -> Program:
    """A number that only "too low" and "too high" describe."""
    guess = node(50, name="guess", trainable=True, constraint="a whole number between 0 and 100")

    @bundle()
    def compare(guess: int) -> str:
        """Compare the guess with the hidden number."""
        return "found" if 70 <= guess <= 74 else "not found"

    def run() -> Outcome:
        value = guess.data
        return outcome(
            compare(guess), direction("guess", value, 70, 74), 1 - outside(value, 70, 74) / 20
        )

    return Program({"guess": guess}, run)


def oven() -> Program:
    """A number whose effect the operations of the program show."""
    celsius = node(20.0, name="celsius", trainable=True, constraint="between 0 and 300")

    def run() -> Outcome:
        fahrenheit = celsius * 1.8 + 32
        value = fahrenheit.data
        said = direction("The temperature in Fahrenheit", value, 350, 360)
        wanted = ["It must lie between 350 and 360."] if said else []
        return outcome(fahrenheit, [*said, *wanted], 1 - outside(value, 350, 360) / 50)

    return Program({"celsius": celsius}, run)


def servers() -> Program:
    """Two numbers, each with a direction of its own."""
    workers = node(2, name="workers", trainable=True, constraint="a whole number between 1 and 40")
    timeout = node(100, name="timeout", trainable=True, constraint="a whole number from 1 to 200")

    @bundle()
    def serve(workers: int, timeout: int) -> str:
        """Serve requests for an hour and report."""
        waiting = "long" if workers < 12 else "short"
        return f"the queue was {waiting}, requests were dropped after {timeout} seconds"

    def run() -> Outcome:
        count, seconds = workers.data, timeout.data
        faults = direction("workers", count, 12, 15) + direction("timeout", seconds, 20, 30)
        far = outside(count, 12, 15) / 10 + outside(seconds, 20, 30) / 10
        return outcome(serve(workers, timeout), faults, 0.9 - far)

    return Program({"workers": workers, "timeout": timeout}, run)


def price() -> Program:
    """A number, with how far off it is in words."""
    asked = node(100.0, name="price", trainable=True, constraint="between 0 and 500")

    @bundle()
    def sell(price: float) -> float:
        """Sell for a month at this price and return the profit."""
        return 40_000 - (price - 240) ** 2

    def run() -> Outcome:
        value = asked.data
        faults = direction("price", value, 230, 250)
        if faults:
            faults.append("It is far off." if outside(value, 230, 250) > 2 else "It is near.")
        return outcome(sell(asked), faults, 1 - outside(value, 230, 250) / 20)

    return Program({"price": asked}, run)


NUMBERS = (
    Task("hidden", "numbers", hidden, {"guess": 72}, {"guess": (0, 100)}),
    Task("oven", "numbers", oven, {"celsius": 179.5}, {"celsius": (0, 300)}),
    Task(
        "servers",
        "numbers",
        servers,
        {"workers": 13, "timeout": 25},
        {"workers": (1, 40), "timeout": (1, 200)},
    ),
    Task("price", "numbers", price, {"price": 240.0}, {"price": (0, 500)}),
)
