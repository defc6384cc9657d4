"""A step as people read it: the problem, the feedback, the reasoning, and what was changed."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from opto.errors import InvalidArgument, ProposalError, UsageError
from opto.optimizers.names import Names
from opto.optimizers.parsing import extract
from opto.optimizers.shortening import text_of

_BOX = "border-left:4px solid {};padding:4px 12px;margin:8px 0;white-space:pre-wrap"
_COLOURS = {"Problem": "#5C9BD5", "Feedback": "#FF7E79", "Reasoning": "#9AC29A", "Change": "#888"}


@dataclass(frozen=True)
class StepView:
    """One step of an optimizer; notebooks show it as HTML, ``str`` gives it for the terminal.

    Attributes:
        number: which step it was, from 0.
        sections: title and text, in order.
    """

    number: int
    sections: Mapping[str, str]

    def __str__(self) -> str:
        parts = [f"Step {self.number}", "=" * 32]
        for title, text in self.sections.items():
            parts += [f"--- {title}", text, ""]
        return "\n".join(parts).rstrip()

    def _repr_html_(self) -> str:
        boxes = "".join(
            f'<div style="{_BOX.format(_COLOURS[title])}"><b>{title}</b>\n{escape(text)}</div>'
            for title, text in self.sections.items()
        )
        return f"<div><h4>Step {self.number}</h4>{boxes}</div>"


def view_of(
    optimizer: Any, number: int, *, with_problem: bool = True, with_change: bool = True
) -> StepView:
    """Return a step that an optimizer of the OptoPrime family has made.

    Args:
        optimizer: the optimizer.
        number: which step, from 0; negative numbers count from the last.
        with_problem: show the problem as the model saw it.
        with_change: show the reasoning and what was changed.

    Raises:
        UsageError: the optimizer keeps no `summary_log`.
        InvalidArgument: it has not made that step.
    """
    steps: list[dict[str, Any]] | None = getattr(optimizer, "summary_log", None)
    if steps is None:
        kind = type(optimizer).__name__
        message = f"{kind} keeps no summary_log; use an OptoPrime with log=True"
        raise UsageError(message)
    if not -len(steps) <= number < len(steps):
        message = f"there is no step {number}; {len(steps)} were made"
        raise InvalidArgument(message)
    step = steps[number]
    sections: dict[str, str] = {}
    if with_problem:
        sections["Problem"] = str(step["problem_instance"])
    sections["Feedback"] = step["summary"].user_feedback
    if with_change:
        reply = _reply(optimizer, steps, number % len(steps))
        sections["Reasoning"] = reply["reasoning"] or "(none)"
        changes = _changes(step["summary"].variables, reply["variables"])
        sections["Change"] = "\n".join(changes) or "(nothing was changed)"
    return StepView(number % len(steps), sections)


def show(view: StepView) -> None:
    """Show a step in the notebook, or write it to the terminal."""
    if "IPython" in sys.modules:
        display = importlib.import_module("IPython.display").display
        display(view)
    else:
        sys.stdout.write(f"{view}\n")


def _reply(optimizer: Any, steps: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """Return reasoning and values of the last reply of a step."""
    asked = str(steps[number]["problem_instance"])
    replies = [entry for entry in optimizer.log if asked in entry["user_prompt"]]
    if not replies and len(optimizer.log) == len(steps):  # another form shows less of the problem
        replies = [optimizer.log[number]]
    if not replies:
        return {"reasoning": "", "variables": {}}
    text = replies[-1]["response"]
    try:
        values = optimizer.read(text, optimizer.wanted())
    except ProposalError as error:
        return {"reasoning": f"{text}\n\nThis was refused: {error.reason}", "variables": {}}
    return {"reasoning": _reasoning(optimizer, text), "variables": values}


def _reasoning(optimizer: Any, text: str) -> str:
    symbols = getattr(optimizer, "optimizer_prompt_symbol_set", None)
    if symbols is not None:
        return str(symbols.output_response_extractor(text)["reasoning"])
    return extract(text, Names(optimizer.wanted()), keys=optimizer._keys).reasoning


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name, value in after.items():
        old = text_of(before[name].data) if name in before else ""
        new = text_of(value)
        if old == new:
            continue
        if "\n" in old or "\n" in new:
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), name, f"{name} (new)", lineterm=""
            )
            yield "\n".join(lines)
        else:
            yield f"{name}: {old} → {new}"
