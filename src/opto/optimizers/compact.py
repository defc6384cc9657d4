"""The short form for small models: a question for each piece of code, for texts, for numbers.

Code is asked for in a fenced block, which small models write far more reliably than JSON; values by
a schema, from a table of what was tried, numbers and others apart, with worked examples as turns of
the conversation (docs/benchmarks/demo.md and quality.md have what this is worth). The texts are
``prompts/compact.*.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from opto.optimizers.bounds import Range, bounds_in
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
WIDE = 100  # whole numbers are enough for a fraction between bounds this far apart,
NEAR = 10  # unless the two values between which it must lie are closer than this


def compact_requests(
    problem: Problem,
    wanted: Mapping[str, Wanted],
    *,
    objective: str,
    refused: str,
    memory: Iterable[Trial],
    prompts: Prompts,
    schema: bool,
) -> list[Request]:
    """Return the questions to ask about a problem.

    Where the feedback names some of the variables, only those are asked about.

    Args:
        problem: the run and its feedback.
        wanted: the variables as the parser knows them, by name.
        objective: what is wanted, if it was said.
        refused: which replies couldn't be used, as text.
        memory: what was tried before, the oldest first.
        prompts: where the texts come from.
        schema: whether the model honours a schema.
    """
    words = {name: item.function or name for name, item in wanted.items()}
    tried = Tried(problem.variables, words, memory, problem.user_feedback)
    asked = {name: problem.variables[name] for name in tried.asked}
    code = {name: entry for name, entry in asked.items() if entry.kind == "code"}
    said = {"refused": refused, "feedback": problem.user_feedback}
    if code:  # the run isn't written out for nothing: finding its nearest steps takes time
        said["objective"] = objective or prompts.text("compact.objective")
        said["run"] = run_text(problem, wanted, ())
    questions = [_about_code(entry, wanted[name], said, prompts) for name, entry in code.items()]
    for entries in _groups({name: asked[name] for name in asked if name not in code}, tried):
        items = tuple(wanted[name] for name in entries)
        run = "" if all(map(is_number, entries.values())) else run_text(problem, wanted, entries)
        shown = {
            "objective": f"{objective}\n\n" if objective else "",
            "refused": refused,
            "program": f"{prompts.render('compact.program', run=run)}\n\n" if run else "",
            "tried": tried.table(list(entries)),
        }
        wished = _schema(entries, tried) if schema else None
        questions.append(_about_values(entries, items, shown, prompts, wished))
    return questions


def _groups(entries: Entries, tried: Tried) -> list[Entries]:
    """Divide variables into numbers and others, if what was said can be."""
    numbers = {name: entry for name, entry in entries.items() if is_number(entry)}
    others = {name: entry for name, entry in entries.items() if name not in numbers}
    divided = [others, numbers] if tried.apart else [entries]
    return [group for group in divided if group]


def _about_code(entry: Entry, item: Wanted, shown: Mapping[str, str], prompts: Prompts) -> Request:
    user = prompts.render(
        "compact.code.user",
        **shown,
        function=item.function or item.name,
        code=text_of(entry.data).strip(),
    )
    return Request(prompts.text("compact.code.system"), user, (item,), {"stop": [CLOSING_FENCE]})


def _about_values(
    entries: Entries,
    items: tuple[Wanted, ...],
    shown: Mapping[str, str],
    prompts: Prompts,
    schema: Mapping[str, Any] | None,
) -> Request:
    user = prompts.render("compact.values.user", **shown, variables="\n".join(_lines(entries)))
    wished = {"type": "json_object"} if schema is None else schema_format(schema, strict=False)
    kinds = {"numbers" if is_number(entry) else "texts" for entry in entries.values()}
    examples = [
        turn
        for kind in sorted(kinds, reverse=True)
        for turn in prompts.turns(f"compact.{kind}.examples")
    ]
    system = prompts.text("compact.values.system")
    return Request(system, user, items, {"response_format": wished}, tuple(examples))


def _schema(entries: Entries, tried: Tried) -> dict[str, Any]:
    """Return the schema of new values, each within its bounds."""
    schemas = schemas_of(entries)
    limits = {name: _limits(entry, tried.gap(name)) for name, entry in entries.items()}
    return schema_of_object({name: {**schemas[name], **limits[name]} for name in entries})


def _limits(entry: Entry, gap: tuple[str, str] | None) -> dict[str, Any]:
    """Return what a schema says of the bounds of a value; a grammar then keeps a model to them.

    Grammars of llama.cpp know bounds of whole numbers only; those are asked for where bounds lie so
    far apart that the steps between them hardly matter, until it is known more closely where to
    search.
    """
    bounds = bounds_in(entry.data, entry.constraint or "")
    if not isinstance(bounds, Range):
        return {"enum": list(bounds.values)} if bounds else {}
    low, high = bounds.low, bounds.high
    if isinstance(entry.data, int):
        return {"minimum": int(low), "maximum": int(high)}
    near = gap is not None and float(gap[1]) - float(gap[0]) < NEAR
    if near or not WIDE <= high - low < math.inf:
        return {"minimum": float(low), "maximum": float(high)}
    return {"type": "integer", "minimum": math.ceil(low), "maximum": math.floor(high)}


def _lines(entries: Entries) -> Iterator[str]:
    for name, entry in entries.items():
        hint = f": {entry.constraint}" if entry.constraint else ""
        yield f"{name} ({entry.kind}){hint}"


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
