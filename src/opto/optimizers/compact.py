"""The short form for small models: one question for each piece of code, one for all other values.

Code is asked for in a fenced block, which small models write far more reliably than JSON; values by
a schema, from a table of what was tried (docs/benchmarks/demo.md has what each of this is worth).
The texts are ``prompts/compact.*.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from opto.optimizers.tried import table_of

CLOSING_FENCE = "\n```\n"
MOST_STEPS = 12
VALUE_LIMIT = 200


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

    Args:
        problem: the run and its feedback.
        wanted: the variables as the parser knows them, by name.
        objective: what is wanted.
        refused: which replies couldn't be used, as text.
        memory: what was tried before, the oldest first.
        prompts: where the texts come from.
        schema: whether the model honours a schema.
    """
    shown = {
        "objective": objective,
        "run": run_text(problem, wanted),
        "refused": refused,
    }
    code = {name: entry for name, entry in problem.variables.items() if entry.kind == "code"}
    values = {name: entry for name, entry in problem.variables.items() if name not in code}
    said = {**shown, "feedback": problem.user_feedback}
    questions = [_about_code(entry, wanted[name], said, prompts) for name, entry in code.items()]
    if values:
        items = tuple(wanted[name] for name in values)
        table = {**shown, "tried": table_of(values, memory, problem.user_feedback)}
        questions.append(_about_values(values, items, table, prompts, schema=schema))
    return questions


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
    *,
    schema: bool,
) -> Request:
    user = prompts.render("compact.values.user", **shown, variables="\n".join(_lines(entries)))
    schemas = {
        name: {**schema, **_limits(entries[name])} for name, schema in schemas_of(entries).items()
    }
    wished = schema_format(schema_of_object(schemas), strict=False)
    options = {"response_format": wished if schema else {"type": "json_object"}}
    return Request(prompts.text("compact.values.system"), user, items, options)


def _limits(entry: Entry) -> dict[str, Any]:
    """Return what a schema says of the bounds of a value; a grammar then keeps a model to them."""
    bounds = bounds_in(entry.data, entry.constraint or "")
    if isinstance(bounds, Range):
        kind = int if isinstance(entry.data, int) else float
        return {"minimum": kind(bounds.low), "maximum": kind(bounds.high)}
    return {"enum": list(bounds.values)} if bounds else {}


def _lines(entries: Entries) -> Iterator[str]:
    for name, entry in entries.items():
        hint = f": {entry.constraint}" if entry.constraint else ""
        yield f"{name} ({entry.kind}){hint}"


def run_text(problem: Problem, wanted: Mapping[str, Wanted]) -> str:
    """Write the run with its values: ``f(x=1) returned 2``, the nearest steps alone."""
    values = {**problem.variables, **problem.inputs, **problem.others, **problem.outputs}
    kept = set(nearest_first(problem)[:MOST_STEPS])
    steps = [step for index, step in enumerate(problem.steps) if index in kept]
    return "\n".join(_call(step, values, wanted) for step in steps)


def _call(step: Step, values: Entries, wanted: Mapping[str, Wanted]) -> str:
    function = step.function
    arguments: list[str] = []
    for argument, name in step.inputs:
        entry = values.get(name)
        if entry is not None and entry.kind == "code":
            item = wanted.get(name)
            function = (item.function if item else None) or function
        elif argument != "self":
            arguments.append(f"{argument}={_shown(name, entry, wanted)}")
    result = values.get(step.output)
    failed = result is not None and step.output.startswith("exception")
    verb = "raised" if failed else "returned"
    shown = "" if result is None else _brief(result.data)
    return f"{function}({', '.join(arguments)}) {verb} {shown}"


def _shown(name: str, entry: Entry | None, wanted: Mapping[str, Wanted]) -> str:
    if entry is None:
        return name
    return name if name in wanted else _brief(entry.data)


def _brief(value: object) -> str:
    return (
        repr(text_of(value, VALUE_LIMIT)) if isinstance(value, str) else text_of(value, VALUE_LIMIT)
    )
