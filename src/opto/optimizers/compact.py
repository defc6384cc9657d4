"""The short form for small models: a question for each piece of code, for texts, for numbers.

Code is asked for in a fenced block, which small models write far more reliably than JSON; values by
a schema, from a table of what was tried, numbers and others apart, with worked examples as turns of
the conversation. A text that still isn't right is asked for by turns from that table beside the
run, and from all that was ever said of it alone, since a small model repeats the words that it sees
(docs/adr/0018, docs/benchmarks/demo.md and quality.md have what this is worth). The prompts are
``prompts/compact.*.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opto.optimizers.bounds import Bounds, Range, bounds_in
from opto.optimizers.folding import nearest_first
from opto.optimizers.memory import Trial
from opto.optimizers.names import Wanted
from opto.optimizers.problem import Entries, Entry, Problem, Step
from opto.optimizers.prompts import Prompts
from opto.optimizers.requests import Request, schema_format
from opto.optimizers.schemas import schema_of_object, schemas_of
from opto.optimizers.shortening import text_of
from opto.optimizers.tried import Tried, is_number

CLOSING_FENCE = "\n```\n"
MOST_STEPS = 12
VALUE_LIMIT = 200
WITH_RUN = 3  # a text that was tried is shown with its run in one of so many steps
WIDE = 100  # whole numbers are enough for a fraction between bounds this far apart,
NEAR = 10  # unless the two values between which it must lie are closer than this


@dataclass(frozen=True)
class CompactForm:
    """Asks about a problem in the short form.

    Where the feedback names some of the variables, only those are asked about.

    Args:
        problem: the run and its feedback.
        wanted: the variables as the parser knows them, by name.
        memory: what was tried before, the oldest first.
        prompts: where the texts come from.
        objective: what is wanted, if it was said.
        refused: which replies couldn't be used, as text.
        schema: whether the model honours a schema.
    """

    problem: Problem
    wanted: Mapping[str, Wanted]
    memory: Iterable[Trial]
    prompts: Prompts
    objective: str = ""
    refused: str = ""
    schema: bool = False

    @cached_property
    def tried(self) -> Tried:
        """What was tried of the variables."""
        return Tried.of(self.problem, self.wanted.values(), self.memory)

    def requests(self, step: int) -> list[Request]:
        """Return the questions of a step, the first of which is 1."""
        groups: dict[str, dict[str, Entry]] = {}
        for name in self.tried.asked:
            groups.setdefault(self._kind(name, step), {})[name] = self.problem.variables[name]
        ask = {
            "code": self._about_code,
            "values": self._about_values,
            "numbers": self._about_values,
            "texts": self._about_texts,
        }
        return [one for kind in ask if kind in groups for one in ask[kind](groups[kind])]

    def _kind(self, name: str, step: int) -> str:
        """Return which question a variable belongs to; numbers have one if what was said can be."""
        entry = self.problem.variables[name]
        if entry.kind == "code":
            return "code"
        if step % WITH_RUN != 1 and self.tried.is_tried_text(name) and _bounds(entry) is None:
            return "texts"
        return "numbers" if self.tried.apart and is_number(entry) else "values"

    def _about_code(self, code: Entries) -> Iterator[Request]:
        system = self.prompts.text("compact.code.system")
        run = run_text(self.problem, self.wanted, ())
        for name, entry in code.items():
            item = self.wanted[name]
            user = self.prompts.render(
                "compact.code.user",
                objective=self.objective or self.prompts.text("compact.objective"),
                refused=self.refused,
                run=run,
                feedback=self.problem.user_feedback,
                function=item.function or name,
                code=text_of(entry.data).strip(),
            )
            yield Request(system, user, (item,), {"stop": [CLOSING_FENCE]})

    def _about_values(self, entries: Entries) -> Iterator[Request]:
        kinds = {"numbers" if is_number(entry) else "values" for entry in entries.values()}
        run = run_text(self.problem, self.wanted, entries) if "values" in kinds else ""
        program = f"{self.prompts.render('compact.program', run=run)}\n\n" if run else ""
        user = self.prompts.render(
            "compact.values.user",
            **self._shown,
            program=program,
            variables="\n".join(_line(name, entry) for name, entry in entries.items()),
            tried=self.tried.table(list(entries)),
        )
        yield self._request("values", user, entries, sorted(kinds, reverse=True))

    def _about_texts(self, texts: Entries) -> Iterator[Request]:
        blocks = [
            f"{_line(name, entry)}\n{self.tried.demands(name)}" for name, entry in texts.items()
        ]
        user = self.prompts.render("compact.texts.user", **self._shown, texts="\n\n".join(blocks))
        yield self._request("texts", user, texts, ["texts"])

    @property
    def _shown(self) -> dict[str, str]:
        objective = f"{self.objective}\n\n" if self.objective else ""
        return {"objective": objective, "refused": self.refused}

    def _request(self, name: str, user: str, entries: Entries, kinds: Sequence[str]) -> Request:
        examples = [
            turn for kind in kinds for turn in self.prompts.turns(f"compact.{kind}.examples")
        ]
        items = tuple(self.wanted[name] for name in entries)
        system = self.prompts.text(f"compact.{name}.system")
        return Request(system, user, items, self._format(entries), tuple(examples))

    def _format(self, entries: Entries) -> dict[str, Any]:
        """Return the option that asks for new values, each within its bounds."""
        if not self.schema:
            return {"response_format": {"type": "json_object"}}
        schemas = schemas_of(entries)
        limits = {name: _limits(entry, self.tried.gap(name)) for name, entry in entries.items()}
        wished = schema_of_object({name: {**schemas[name], **limits[name]} for name in entries})
        return {"response_format": schema_format(wished, strict=False)}


def _limits(entry: Entry, gap: tuple[str, str] | None) -> dict[str, Any]:
    """Return what a schema says of the bounds of a value; a grammar then keeps a model to them.

    Grammars of llama.cpp know bounds of whole numbers only; those are asked for where bounds lie so
    far apart that the steps between them hardly matter, until it is known more closely where to
    search.
    """
    bounds = _bounds(entry)
    if not isinstance(bounds, Range):
        return {"enum": list(bounds.values)} if bounds else {}
    low, high = bounds.low, bounds.high
    if isinstance(entry.data, int):
        return {"minimum": int(low), "maximum": int(high)}
    near = gap is not None and float(gap[1]) - float(gap[0]) < NEAR
    if near or not WIDE <= high - low < math.inf:
        return {"minimum": float(low), "maximum": float(high)}
    return {"type": "integer", "minimum": math.ceil(low), "maximum": math.floor(high)}


def _bounds(entry: Entry) -> Bounds | None:
    return bounds_in(entry.data, entry.constraint or "")


def _line(name: str, entry: Entry) -> str:
    hint = f": {entry.constraint}" if entry.constraint else ""
    return f"{name} ({entry.kind}){hint}"


def run_text(problem: Problem, wanted: Mapping[str, Wanted], named: Collection[str]) -> str:
    """Write the run with its values: ``f(x=1) returned 2``, the nearest steps alone.

    Args:
        problem: the run.
        wanted: the variables, by name; code is called by the name of its function.
        named: the variables that stand there by their names, not their values.
    """
    values = {**problem.variables, **problem.inputs, **problem.others, **problem.outputs}
    kept = set(nearest_first(problem)[:MOST_STEPS])
    steps = [step for index, step in enumerate(problem.steps) if index in kept]
    return "\n".join(_call(step, values, wanted, named) for step in steps)


def _call(step: Step, values: Entries, wanted: Mapping[str, Wanted], named: Collection[str]) -> str:
    function = step.function
    arguments: list[str] = []
    for argument, name in step.inputs:
        entry = values.get(name)
        if entry is not None and entry.kind == "code":
            item = wanted.get(name)
            function = (item.function if item else None) or function
        elif argument != "self":
            arguments.append(f"{argument}={_shown(name, entry, named)}")
    result = values.get(step.output)
    failed = result is not None and step.output.startswith("exception")
    verb = "raised" if failed else "returned"
    shown = "" if result is None else _brief(result.data)
    return f"{function}({', '.join(arguments)}) {verb} {shown}"


def _shown(name: str, entry: Entry | None, named: Collection[str]) -> str:
    return name if entry is None or name in named else _brief(entry.data)


def _brief(value: object) -> str:
    return (
        repr(text_of(value, VALUE_LIMIT)) if isinstance(value, str) else text_of(value, VALUE_LIMIT)
    )
