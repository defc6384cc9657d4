"""The operations of a run in the order in which one reads a program, with what repeats in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opto.optimizers.problem import Problem, Step
from opto.optimizers.repeats import Part, parts_of

MANY_USES = 16  # what is used more often is one thing, not one in each repetition


class Layout:
    """The steps of a problem, depth first: what was made for one result stands together.

    Attributes:
        problem: the problem.
        steps: the operations, each after those that it needs.
        position: where the operation stands that made a value, by the value's name.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.steps = _depth_first(problem)
        self.position = {step.output: index for index, step in enumerate(self.steps)}
        self.uses: dict[str, int] = {}
        for step in self.steps:
            for _, name in step.inputs:
                self.uses[name] = self.uses.get(name, 0) + 1

    def parts(self) -> list[Part]:
        """Return the steps and repetitions in order."""
        return parts_of([self._shape(index) for index in range(len(self.steps))])

    def _shape(self, index: int) -> tuple[object, ...]:
        """Return what an operation has in common with the same one in another repetition."""
        step = self.steps[index]
        shape: list[object] = [step.function]
        for argument, name in step.inputs:
            shape.append(argument)
            if self.uses[name] > MANY_USES or name in self.problem.variables:
                shape.append(name)
            else:
                made = self.position.get(name)
                shape.append(None if made is None else index - made)
        return tuple(shape)

    # ---- near and far ----------------------------------------------------------------------------

    def next_towards_output(self) -> dict[str, str]:
        """Return for each value the value made from it on the shortest way to an output."""
        towards: dict[str, str] = dict.fromkeys(self.problem.outputs, "")
        for name, _ in self.problem.feedbacks:
            towards.setdefault(name, "")
        queue = list(towards)
        for name in queue:  # grows while it is walked
            made = self.position.get(name)
            for _, source in () if made is None else self.steps[made].inputs:
                if source not in towards:
                    towards[source] = name
                    queue.append(source)
        return towards

    def near(self, parts: Sequence[Part]) -> Iterable[int]:
        """Yield the indices of parts, those nearest to outputs and variables first."""
        of_step = [index for index, part in enumerate(parts) for _ in range(part.length)]
        users: dict[str, list[int]] = {}
        for at, step in enumerate(self.steps):
            for _, name in step.inputs:
                listed = users.setdefault(name, [])
                if len(listed) < MANY_USES:
                    listed.append(of_step[at])
        made = [self.position[name] for name in self.problem.outputs if name in self.position]
        queue = [of_step[at] for at in made]
        for name in self.problem.variables:
            queue += users.get(name, [])[:2]
        seen: set[int] = set()
        for index in queue:  # grows while it is walked
            if index in seen:
                continue
            seen.add(index)
            yield index
            part = parts[index]
            ends = [part.start, part.start + part.length - 1]
            for at in dict.fromkeys(ends):
                step = self.steps[at]
                queue += [of_step[self.position[n]] for _, n in step.inputs if n in self.position]
                queue += users.get(step.output, ())


def _depth_first(problem: Problem) -> list[Step]:
    steps = problem.steps
    where = {step.output: index for index, step in enumerate(steps)}
    starts = [where[name] for name in problem.outputs if name in where]
    entered = bytearray(len(steps))  # 1: entered, 2: placed
    order: list[Step] = []
    for start in (*starts, *range(len(steps))):
        if entered[start]:
            continue
        stack = [start]
        while stack:
            index = stack[-1]
            if not entered[index]:
                entered[index] = 1
                for _, name in reversed(steps[index].inputs):
                    source = where.get(name)
                    if source is not None and not entered[source]:
                        stack.append(source)
                continue
            stack.pop()
            if entered[index] == 1:
                entered[index] = 2
                order.append(steps[index])
    return order
