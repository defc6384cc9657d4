"""What `TextGrad` asks of one operation or one value, kept to the room that the model leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from opto.optimizers.backprop import Way
from opto.optimizers.budget import Budget
from opto.optimizers.folding import CHARACTERS_PER_TOKEN, LIMITS
from opto.optimizers.problem import Problem, Step
from opto.optimizers.prompts import Prompts
from opto.optimizers.shortening import shortened, text_of

Question: TypeAlias = "tuple[str, str]"
MOST_INPUTS = 12  # of an operation are shown, and those asked about


class Questions:
    """Writes the questions about a problem.

    Values that aren't parameters get shorter where there is no room, then the feedback and at last
    the parameters; each says how long it is.

    Args:
        problem: the run and its feedback.
        prompts: where the texts come from.
        budget: how long a question may be.
        print_limit: how many characters of a value to show that isn't a parameter.
    """

    def __init__(
        self, problem: Problem, prompts: Prompts, budget: Budget, print_limit: int
    ) -> None:
        self.problem, self.prompts = problem, prompts
        self.print_limit = print_limit
        self._tokens, self._count = budget.problem, budget.count
        parts = (problem.variables, problem.inputs, problem.others, problem.outputs)
        self._values = {name: entry for part in parts for name, entry in part.items()}

    @property
    def most(self) -> int:
        """How many characters of feedback on one value are taken at most."""
        return self._tokens * CHARACTERS_PER_TOKEN // 2

    def backward(self, way: Way, feedback: str) -> Question:
        """Ask for the feedback on inputs of an operation."""
        system = self.prompts.text("textgrad.backward.system")
        tokens = self._tokens - self._count(system)
        user = ""
        for limit, whole in self._limits():
            user = self._backward(way, feedback, limit, whole)
            if self._count(user) <= tokens:
                break
        return system, user

    def _limits(self) -> Iterator[tuple[int, int | None]]:
        """Yield how long other values, and feedback and parameters may be, ever shorter."""
        shorter = [limit for limit in LIMITS if limit < self.print_limit]
        for limit in (self.print_limit, *shorter):
            yield limit, None
        for part in (8, 16, 32, 64):
            yield LIMITS[-1], max(self._tokens * CHARACTERS_PER_TOKEN // part, LIMITS[-1])

    def _backward(self, way: Way, feedback: str, limit: int, whole: int | None) -> str:
        operation = self._operation(way.step, way.inputs, feedback, limit, whole)
        question = self._asked(way.inputs)
        return self.prompts.render("textgrad.backward.user", operation=operation, question=question)

    def _operation(
        self,
        step: Step,
        names: Sequence[str],
        feedback: str,
        limit: int,
        whole: int | None,
        above: str | None = None,
    ) -> str:
        """Write an operation with its values and the feedback on its result.

        Args:
            step: the operation.
            names: inputs that are shown however many there are.
            feedback: on the result.
            limit: how many characters of other values to show.
            whole: how many of parameters and feedback; None for all.
            above: a parameter whose value stands above already.
        """
        shown = shown_inputs(step, names)
        return self.prompts.render(
            "textgrad.operation",
            call=call_text(step, shown),
            documentation=self.problem.documentation.get(step.function, ""),
            inputs="\n".join(
                f"{name} = the value above" if name == above else self.value(name, limit, whole)
                for name in dict.fromkeys(step.inputs[at][1] for at in shown)
            ),
            output=self.value(step.output, limit, whole),
            feedback=feedback if whole is None else shortened(feedback, whole),
        )

    def _asked(self, names: Sequence[str]) -> str:
        """Write what is asked about inputs; the form has the name of each, for small models."""
        render = self.prompts.render
        if len(names) == 1:
            return render("textgrad.backward.one", name=names[0])
        form = "\n".join(render("textgrad.backward.form", name=name) for name in names)
        return render("textgrad.backward.several", names=", ".join(names), form=form)

    def uses(self, name: str, said: Sequence[tuple[Step, str]]) -> str:
        """Show operations that a variable was used in, with the feedback on their results."""
        texts: list[str] = []
        for limit, whole in self._limits():
            texts = [
                self._operation(step, (name,), feedback, limit, whole, above=name)
                for step, feedback in said
            ]
            if sum(map(self._count, texts)) <= self._tokens // 2:
                break
        return "\n\n".join(dict.fromkeys(texts))

    def summary(self, name: str, texts: Sequence[str]) -> Question:
        """Ask for a summary of feedbacks on one value."""
        user = self.prompts.render(
            "textgrad.aggregate.user",
            value=self.value(name, min(self.print_limit, self.most // 4), self.most // 4),
            feedback="\n".join(f"- {text}" for text in texts),
        )
        return self.prompts.text("textgrad.aggregate.system"), user

    def value(self, name: str, limit: int, whole: int | None) -> str:
        """Write a value; parameters may have `whole` characters, others `limit`."""
        entry = self._values.get(name)
        if entry is None:
            return name
        most = whole if name in self.problem.variables else limit
        return f"{name} = {text_of(entry.data, most)}"


def groups_of(texts: Sequence[str], most: int) -> list[list[str]]:
    """Divide texts into groups of at most so many characters; one too long is shortened."""
    groups: list[list[str]] = []
    room = 0
    for text in texts:
        cut = shortened(text, most)
        if not groups or len(cut) > room:
            groups.append([])
            room = most
        groups[-1].append(cut)
        room -= len(cut)
    return groups


def shown_inputs(step: Step, asked: Collection[str]) -> list[int]:
    """Return which inputs of an operation to show: those asked about, the first and the last."""
    count = len(step.inputs)
    half = MOST_INPUTS // 2
    if count <= MOST_INPUTS:
        return list(range(count))
    return [
        at
        for at, (_, name) in enumerate(step.inputs)
        if at < half or at >= count - half or name in asked
    ]


def call_text(step: Step, shown: Sequence[int]) -> str:
    """Write an operation with these of its inputs."""
    if len(shown) == len(step.inputs):
        return step.text
    texts: list[str] = []
    before = -1
    for at in (*shown, len(step.inputs)):
        if at > before + 1:
            texts.append(f"... {at - before - 1} more ...")
        if at < len(step.inputs):
            argument, name = step.inputs[at]
            texts.append(f"{argument}={name}")
        before = at
    return f"{step.output} = {step.function}({', '.join(texts)})"
