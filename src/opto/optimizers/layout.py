"""The operations of a run in the order in which one reads a program, with what repeats in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain

from opto.optimizers.problem import Problem
from opto.optimizers.repeats import Part, parts_of
from opto.optimizers.runs import Run, Step, Steps, run_of

MANY_USES = 16  # what is used more often is one thing, not one in each repetition


class Layout:
    """The operations of a problem, depth first: what was made for one result stands together.

    Attributes:
        problem: the problem.
        run: its run in numbers; values and operations are meant by their number.
        order: the operations, each after those that it needs. Places in it are what parts have.
        place: where the operation stands that made a value, -1 if none did.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.run = _run_of(problem)
        self.order = _depth_first(self.run)
        self.place = [-1] * len(self.run.made)
        results = self.run.results
        for place, operation in enumerate(self.order):
            self.place[results[operation]] = place
        self.variables = {self.run.name(value): value for value in self.run.variables}

    def sources(self, place: int) -> tuple[int, ...]:
        """Return the values that the operation at a place was given."""
        return self.run.sources[self.order[place]]

    def step(self, place: int) -> Step:
        """Return the operation at a place, with names."""
        return self.run.step(self.order[place])

    def function(self, place: int) -> str:
        """Return the name of the function at a place."""
        return self.run.calls[self.run.call[self.order[place]]].function

    @cached_property
    def inputs(self) -> frozenset[int]:
        """The values that were not made in the run, nor are variables."""
        return frozenset(self.run.inputs())

    @cached_property
    def parts(self) -> list[Part]:
        """The operations and repetitions in order."""
        return parts_of(self._shapes())

    def _shapes(self) -> list[int]:
        """Return what an operation has in common with the same one in another repetition.

        That is how it is called, and how far back each of its inputs was made, which is told in
        numbers: 0 for what wasn't made in the run, below 0 for what is the same in each repetition.
        """
        run, place = self.run, self.place
        same = self._same()
        numbers: dict[tuple[int, ...], int] = {}
        shapes: list[int] = []
        for at, operation in enumerate(self.order):
            shape = [run.call[operation]]
            for value in run.sources[operation]:
                if same[value]:
                    shape.append(-1 - value)
                else:
                    before = place[value]
                    shape.append(0 if before < 0 else at - before)
            shapes.append(numbers.setdefault(tuple(shape), len(numbers)))
        return shapes

    def _same(self) -> bytearray:
        """Tell the values that are one thing for all operations that use them."""
        uses = [0] * len(self.run.made)
        for value in chain.from_iterable(self.run.sources):
            uses[value] += 1
        same = bytearray(many > MANY_USES for many in uses)
        for value in self.run.variables:
            same[value] = 1
        return same

    # ---- near and far ----------------------------------------------------------------------------

    def next_towards_output(self) -> dict[int, int]:
        """Return for values the one made of each on the shortest way to an output, -1 for outputs.

        All variables that reach an output are among them.
        """
        towards: dict[int, int] = dict.fromkeys(self.run.outputs, -1)
        missing = set(self.run.variables) - towards.keys()
        queue = list(towards)
        for value in queue:  # grows while it is walked
            operation = self.run.made[value]
            if operation < 0:
                continue
            for source in self.run.sources[operation]:
                if source not in towards:
                    towards[source] = value
                    queue.append(source)
                    missing.discard(source)
            if not missing:
                break
        return towards

    @cached_property
    def _users(self) -> _Users:
        return _Users(self)

    def near(self, parts: Sequence[Part]) -> Iterable[int]:
        """Yield the indices of parts, those nearest to outputs and variables first."""
        of_place: list[int] = []
        for index, part in enumerate(parts):
            of_place += [index] * part.length
        users = self._users
        queue = [of_place[at] for at in map(self.place.__getitem__, self.run.outputs) if at >= 0]
        for value in self.run.variables:
            queue += [of_place[at] for at in users.of(value, 2)]
        seen = bytearray(len(parts))
        for index in queue:  # grows while it is walked
            if seen[index]:
                continue
            seen[index] = 1
            yield index
            part = parts[index]
            for at in dict.fromkeys((part.start, part.start + part.length - 1)):
                before = map(self.place.__getitem__, self.sources(at))
                queue += [of_place[place] for place in before if place >= 0]
                made = self.run.results[self.order[at]]
                queue += [of_place[place] for place in users.of(made, MANY_USES)]


class _Users:
    """Where values are used; a chain of places for each, in three lists for all."""

    def __init__(self, layout: Layout) -> None:
        self._first = [-1] * len(layout.run.made)
        self._place: list[int] = []
        self._next: list[int] = []
        first, places, following = self._first, self._place, self._next
        for place in range(len(layout.order) - 1, -1, -1):
            for value in layout.sources(place):
                following.append(first[value])
                first[value] = len(places)
                places.append(place)

    def of(self, value: int, most: int) -> list[int]:
        """Return the first places at which a value is used, at most so many."""
        found: list[int] = []
        link = self._first[value]
        while link >= 0 and len(found) < most:
            found.append(self._place[link])
            link = self._next[link]
        return found


def _run_of(problem: Problem) -> Run:
    if isinstance(problem.steps, Steps):
        return problem.steps.run
    entries = {**problem.variables, **problem.inputs, **problem.others, **problem.outputs}
    outputs = dict.fromkeys([*problem.outputs, *(name for name, _ in problem.feedbacks)])
    return run_of(problem.steps, problem.variables, outputs, entries)


def _depth_first(run: Run) -> list[int]:
    made, sources = run.made, run.sources
    entered = bytearray(len(sources))  # 1: entered, 2: placed
    order: list[int] = []
    starts = [made[value] for value in run.outputs if made[value] >= 0]
    for start in chain(starts, range(len(sources))):
        if entered[start]:
            continue
        stack = [start]
        while stack:
            operation = stack[-1]
            if entered[operation]:
                stack.pop()
                if entered[operation] == 1:
                    entered[operation] = 2
                    order.append(operation)
                continue
            entered[operation] = 1
            for value in reversed(sources[operation]):
                source = made[value]
                if source >= 0 and not entered[source]:
                    stack.append(source)
    return order
