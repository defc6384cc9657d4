"""A step as people read it: the problem, the feedback, the reasoning, and what was changed."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from opto.errors import InvalidArgument, ProposalError, UsageError
from opto.optimizers.names import Names
from opto.optimizers.parsing import extract
from opto.optimizers.shortening import text_of

_COLOURS = {"Problem": "#5C9BD5", "Feedback": "#E4605A", "Reasoning": "#6FA66F", "Change": "#888"}
_FRAME = "border-left:4px solid {};padding:2px 12px;margin:8px 0"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.45 ui-monospace,monospace"
_ADDED, _REMOVED = "background:rgba(70,160,70,.18)", "background:rgba(220,80,80,.18)"
_LONG = 12  # lines; a problem with more is folded up


@dataclass(frozen=True)
class StepView:
    """One step of an optimizer; notebooks show it as HTML, ``str`` gives it for the terminal.

    Attributes:
        number: which step it was, from 0.
        sections: title and text, in order.
        optimizer: what kind of optimizer made it.
    """

    number: int
    sections: Mapping[str, str]
    optimizer: str = ""

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"Step {self.number}" + (f" of {self.optimizer}" if self.optimizer else "")

    def __str__(self) -> str:
        parts = [self.title, "=" * 32]
        for title, text in self.sections.items():
            parts += [f"--- {title}", text, ""]
        return "\n".join(parts).rstrip()

    def _repr_html_(self) -> str:
        boxes = "".join(_box(title, text) for title, text in self.sections.items())
        return f'<div><h4 style="margin:4px 0">{escape(self.title)}</h4>{boxes}</div>'


def _box(title: str, text: str) -> str:
    frame = _FRAME.format(_COLOURS.get(title, "#888"))
    lines = text.split("\n")
    body = "\n".join(map(_line, lines)) if title == "Change" else escape(text)
    shown = f'<div style="{_TEXT}">{body}</div>'
    if title != "Problem":
        return f'<div style="{frame}"><b>{title}</b>{shown}</div>'
    opened = "" if len(lines) > _LONG else " open"
    size = f" <small>({len(lines)} lines)</small>" if len(lines) > _LONG else ""
    summary = f"<summary><b>{title}</b>{size}</summary>"
    return f'<details style="{frame}"{opened}>{summary}{shown}</details>'


def _line(line: str) -> str:
    if line.startswith(("+++ ", "--- ")):
        return f"<b>{escape(line)}</b>"
    style = {"+": _ADDED, "-": _REMOVED}.get(line[:1])
    return f'<span style="{style}">{escape(line)}</span>' if style else escape(line)


def view_of(
    optimizer: Any, number: int, *, with_problem: bool = True, with_change: bool = True
) -> StepView:
    """Return a step that an optimizer has made.

    Args:
        optimizer: the optimizer.
        number: which step, from 0; negative numbers count from the last.
        with_problem: show the problem as it was shown to the model.
        with_change: show the reasoning and what was changed.

    Raises:
        UsageError: the optimizer keeps no `summary_log`.
        InvalidArgument: it has not made that step.
    """
    kind = type(optimizer).__name__
    steps: list[dict[str, Any]] | None = getattr(optimizer, "summary_log", None)
    if steps is None:
        message = f"{kind} keeps no summary_log; make it with log=True"
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
        refused = f"This was refused: {step['refused']}" if "refused" in step else ""
        why = filter(None, (reason_of(optimizer, step), refused))
        sections["Reasoning"] = "\n\n".join(why) or "(none)"
        changes = _changes(step["summary"].variables, step.get("update", {}))
        sections["Change"] = "\n".join(changes) or "(nothing was changed)"
    return StepView(number % len(steps), sections, kind)


def show(view: StepView) -> None:
    """Show a step in the notebook, or write it to the terminal."""
    if "IPython" in sys.modules:
        display = importlib.import_module("IPython.display").display
        display(view)
    else:
        sys.stdout.write(f"{view}\n")


def reason_of(optimizer: Any, step: Mapping[str, Any]) -> str:
    """Return why a step was made: what was noted, or what the reply said that was used."""
    if noted := str(step.get("reasoning", "")):
        return noted
    calls = slice(step.get("first_call"), step.get("calls_until"))
    replies = [str(entry["response"]) for entry in (getattr(optimizer, "log", None) or [])[calls]]
    if "refused" in step:
        return replies[-1] if replies else ""
    return _said(optimizer, replies, step.get("update", {}))


def _said(optimizer: Any, replies: Sequence[str], update: Mapping[str, Any]) -> str:
    """Return the reasoning of the reply that gave these values, else of any."""
    wanted = {name: text_of(value) for name, value in update.items()}
    found: list[str] = []
    for reply in reversed(replies):
        try:
            values = optimizer.read(reply, optimizer.wanted())
            reasoning = _reasoning_of(optimizer, reply)
        except ProposalError:  # one of several that was no good
            continue
        if {name: text_of(value) for name, value in values.items()}.items() <= wanted.items():
            return reasoning
        found.append(reasoning)
    return found[0] if found else ""


def _reasoning_of(optimizer: Any, text: str) -> str:
    symbols = getattr(optimizer, "optimizer_prompt_symbol_set", None)
    if symbols is not None:
        return str(symbols.output_response_extractor(text)["reasoning"])
    return extract(
        text, Names(optimizer.wanted()), keys=getattr(optimizer, "_keys", None)
    ).reasoning


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
