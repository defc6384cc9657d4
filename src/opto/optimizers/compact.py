"""The short form for small models: one question for each piece of code, one for all other values.

Code is asked for in a fenced block, which small models write far more reliably than JSON; values by
a schema. The texts are ``prompts/compact.*.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opto.optimizers.folding import nearest_first
from opto.optimizers.names import Wanted
from opto.optimizers.problem import Entries, Entry, Problem, Step
from opto.optimizers.prompts import Prompts
from opto.optimizers.requests import Request, schema_format
from opto.optimizers.schemas import schema_of_object, schemas_of
from opto.optimizers.shortening import text_of

MOST_STEPS = 12
VALUE_LIMIT = 200


def compact_requests(
    problem: Problem,
    wanted: Mapping[str, Wanted],
    *,
    objective: str,
    past: str,
    prompts: Prompts,
    schema: bool,
) -> list[Request]:
    """Return the questions to ask about a problem.

    Args:
        problem: the run and its feedback.
        wanted: the variables as the parser knows them, by name.
        objective: what is wanted.
        past: what was tried or refused before, as text.
        prompts: where the texts come from.
        schema: whether the model honours a schema.
    """
    shown = {
        "objective": objective,
        "run": run_text(problem, wanted),
        "feedback": problem.user_feedback,
        "past": past,
    }
    code = {name: entry for name, entry in problem.variables.items() if entry.kind == "code"}
    values = {name: entry for name, entry in problem.variables.items() if name not in code}
    questions = [_about_code(entry, wanted[name], shown, prompts) for name, entry in code.items()]
    if values:
        items = tuple(wanted[name] for name in values)
        questions.append(_about_values(values, items, shown, prompts, schema=schema))
    return questions


def _about_code(entry: Entry, item: Wanted, shown: Mapping[str, str], prompts: Prompts) -> Request:
    user = prompts.render(
        "compact.code.user",
        **shown,
        function=item.function or item.name,
        code=text_of(entry.data).strip(),
    )
    return Request(prompts.text("compact.code.system"), user, (item,))


def _about_values(
    entries: Entries,
    items: tuple[Wanted, ...],
    shown: Mapping[str, str],
    prompts: Prompts,
    *,
    schema: bool,
) -> Request:
    user = prompts.render("compact.values.user", **shown, variables="\n".join(_lines(entries)))
    wished = schema_format(schema_of_object(schemas_of(entries)), strict=False)
    options = {"response_format": wished if schema else {"type": "json_object"}}
    return Request(prompts.text("compact.values.system"), user, items, options)


def _lines(entries: Entries) -> Iterator[str]:
    for name, entry in entries.items():
        hint = f"  # {entry.constraint}" if entry.constraint else ""
        text = repr(entry.data) if isinstance(entry.data, str) else text_of(entry.data)
        yield f"{name} = {text}{hint}"


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
        else:
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
