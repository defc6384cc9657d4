"""A problem as the text that a model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

from opto.optimizers.problem import Entries, Problem
from opto.optimizers.prompts import render
from opto.optimizers.shortening import text_of

SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "instruction": "#Instruction",
        "code": "#Code",
        "documentation": "#Documentation",
        "variables": "#Variables",
        "constraints": "#Constraints",
        "inputs": "#Inputs",
        "others": "#Others",
        "outputs": "#Outputs",
        "feedback": "#Feedback",
    }
)


@dataclass(frozen=True)
class ProblemInstance:
    """The sections of a problem as text; as a whole it reads as `template` says."""

    instruction: str
    code: str
    documentation: str
    variables: str
    constraints: str
    inputs: str
    others: str
    outputs: str
    feedback: str
    template: str

    def __str__(self) -> str:
        sections = asdict(self)
        template = sections.pop("template")
        return render(template, sections, name="problem")


def instance_of(
    problem: Problem,
    *,
    objective: str,
    template: str,
    limit: int | None,
    mask: Iterable[str] = (),
    values: Callable[[Entries], str] | None = None,
    constraints: Callable[[Entries], str] | None = None,
) -> ProblemInstance:
    """Write out a problem.

    Args:
        problem: what to write.
        objective: what is wanted.
        template: how the sections are put together.
        limit: how many characters a value may have that isn't a variable; None for any.
        mask: names of sections to leave empty, with or without ``#``.
        values: writes values; None for `values_text`.
        constraints: writes constraints; None for `constraints_text`.
    """
    values, constraints = values or values_text, constraints or constraints_text
    sections = {
        "instruction": objective,
        "code": "\n".join(problem.code),
        "documentation": "\n".join(problem.documentation.values()),
        "variables": values(problem.variables),
        "constraints": constraints(problem.variables),
        "inputs": values(_shorter(problem.inputs, limit)),
        "others": values(_shorter(problem.others, limit)),
        "outputs": values(_shorter(problem.outputs, limit)),
        "feedback": problem.user_feedback,
    }
    hidden = {name.lstrip("# ").lower() for name in mask}
    return ProblemInstance(
        **{name: "" if name in hidden else text for name, text in sections.items()},
        template=template,
    )


def values_text(entries: Entries) -> str:
    """Write values: ``(int) x0=1``, ``(code) __code0:def f(x): ...``."""
    return "\n".join(
        f"({entry.kind}) {name}{':' if entry.kind == 'code' else '='}{text_of(entry.data)}"
        for name, entry in entries.items()
    )


def _shorter(entries: Entries, limit: int | None) -> Entries:
    """Put the text of long values in their place, with at most so many characters."""
    if limit is None:
        return entries
    return {
        name: replace(entry, data=text)
        if len(text := text_of(entry.data, limit)) >= limit
        else entry
        for name, entry in entries.items()
    }


def constraints_text(entries: Entries) -> str:
    """Write the constraints of those that have one."""
    return "\n".join(
        f"({entry.kind}) {name}: {entry.constraint}"
        for name, entry in entries.items()
        if entry.constraint
    )
