"""Tells of operations without showing each: what repeats, what is far, how variables matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from opto.optimizers.layout import Layout
from opto.optimizers.problem import Step
from opto.optimizers.repeats import Part, parts_of
from opto.optimizers.shortening import text_of

_MOST_ARGUMENTS = 12
_MOST_NAMES = 8
_MOST_DIFFERENCES = 6
_VALUE = 40  # characters of a value that differs between repetitions


def call_of(step: Step, variables: Collection[str]) -> tuple[str, list[str]]:
    """Return an operation as a line of code, and the names in it.

    Of very many inputs the first and the last are shown, and all variables among them.
    """
    inputs = step.inputs
    if len(inputs) <= _MOST_ARGUMENTS:
        return step.text, [step.output, *(name for _, name in inputs)]
    half = _MOST_ARGUMENTS // 2
    kept = [
        (index, pair)
        for index, pair in enumerate(inputs)
        if index < half or index >= len(inputs) - half or pair[1] in variables
    ]
    texts: list[str] = []
    before = -1
    for index, (argument, name) in kept:
        if index > before + 1:
            texts.append(f"... {index - before - 1} more ...")
        texts.append(f"{argument}={name}")
        before = index
    text = f"{step.output} = {step.function}({', '.join(texts)})"
    return text, [step.output, *(name for _, (_, name) in kept)]


class FoldedCode:
    """Lines of code in which repetitions are told.

    Attributes:
        lines: what to show.
        steps: the operations that are shown as they are.
        named: the names in their lines.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.lines: list[str] = []
        self.steps: list[Step] = []
        self.named: set[str] = set()

    def add(self, part: Part, shift: int = 0) -> None:
        """Show a part; of what repeats the first and the last time."""
        if not part.body:
            step = self._layout.steps[part.start + shift]
            text, names = call_of(step, self._layout.problem.variables)
            self.lines.append(text)
            self.steps.append(step)
            self.named.update(names)
            return
        for item in part.body:
            self.add(item, shift)
        self.lines += self._note(part, shift)
        for item in part.body:
            self.add(item, shift + part.length - part.period)

    def _note(self, part: Part, shift: int) -> Iterator[str]:
        many = "operation" if part.period == 1 else f"{part.period} operations"
        on = "the results of the time before" if self._carries(part, shift) else "inputs of its own"
        yield f"# ... the {many} above {part.times - 2} times more, each time on {on};"
        for count, text in enumerate(self._differences(part, shift)):
            if count == _MOST_DIFFERENCES:
                yield "#     more inputs differ;"
                break
            yield f"#     {text};"
        yield "# and the last time:"

    def _carries(self, part: Part, shift: int) -> bool:
        """Whether a repetition uses results of the one before."""
        steps, position = self._layout.steps, self._layout.position
        second = part.start + shift + part.period
        first = part.start + shift
        return any(
            first <= position.get(name, -1) < second
            for step in steps[second : second + part.period]
            for _, name in step.inputs
        )

    def _differences(self, part: Part, shift: int) -> Iterator[str]:
        """Tell the inputs that each repetition has of its own."""
        layout, inputs = self._layout, self._layout.problem.inputs
        first = part.start + shift
        for at in _leaves(part):
            step = layout.steps[at + shift]
            offset = at + shift - first
            for index, (argument, name) in enumerate(step.inputs):
                if name not in inputs:
                    continue
                names = [
                    layout.steps[first + time * part.period + offset].inputs[index][1]
                    for time in range(1, part.times - 1)
                ]
                if names[0] != name:
                    texts = [text_of(inputs[n].data, _VALUE) for n in names if n in inputs]
                    yield f"{argument} of {step.function} is {_listed(texts)}"


def _leaves(part: Part) -> Iterator[int]:
    """Yield the positions of the operations that are shown of a part's first time."""
    for item in part.body:
        if item.body:
            yield from _leaves(item)
        else:
            yield item.start


def _listed(texts: Sequence[str]) -> str:
    """Tell values: all if they are few, else the first and the last."""
    counts = Counter(texts)
    if len(counts) == 1:
        return texts[0]
    if len(texts) <= 4:
        return ", ".join(texts)
    if len(counts) <= 4:
        return ", ".join(f"{text} ({many} times)" for text, many in counts.most_common())
    return f"{', '.join(texts[:3])}, ... {texts[-1]} ({len(counts)} different values)"


def kinds_of(steps: Iterable[Step], layout: Layout, named: Collection[str]) -> Iterator[str]:
    """Tell of operations that aren't shown: each kind once, with what it works on."""
    counts: Counter[str] = Counter()
    sources: dict[str, dict[str, None]] = {}
    results: dict[str, list[str]] = {}
    for step in steps:
        counts[step.function] += 1
        known = sources.setdefault(step.function, {})
        for _, name in step.inputs:
            known[_kind(name, layout)] = None
        if step.output in named:
            results.setdefault(step.function, []).append(step.output)
    yield f"# {counts.total()} operations farther away are not shown one by one:"
    for function, many in counts.most_common():
        text = f"# {function} {many} times, on {_named(list(sources[function]))}"
        if function in results:
            text += f"; among the results: {_named(results[function])}"
        yield text


def _kind(name: str, layout: Layout) -> str:
    problem = layout.problem
    if name in problem.variables:
        return name
    made = layout.position.get(name)
    if made is not None:
        return f"results of {layout.steps[made].function}"
    entry = problem.inputs.get(name)
    return f"inputs of type {entry.kind}" if entry else name


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    left = len(names) - _MOST_NAMES
    return f"{shown} and {left} more" if left > 0 else shown


def ways_of(layout: Layout) -> Iterator[str]:
    """Tell for each variable the operations on its shortest way to an output."""
    towards = layout.next_towards_output()
    alike: dict[str, list[str]] = {}
    for variable in layout.problem.variables:
        if towards.get(variable):
            alike.setdefault(_way(variable, towards, layout), []).append(variable)
    for way, variables in alike.items():
        reach = "reaches" if len(variables) == 1 else "reach"
        yield f"# {', '.join(variables)} {reach} {way}"


def _way(variable: str, towards: dict[str, str], layout: Layout) -> str:
    functions: list[str] = []
    name = variable
    while towards[name]:
        name = towards[name]
        functions.append(layout.steps[layout.position[name]].function)
    return f"{name} through {', '.join(_brief(functions, parts_of(functions)))}"


def _brief(functions: Sequence[str], parts: Sequence[Part]) -> Iterator[str]:
    shown = parts if len(parts) <= 2 * _MOST_NAMES else parts[:_MOST_NAMES]
    for part in shown:
        if part.body:
            inner = ", ".join(_brief(functions, part.body))
            yield f"{part.times} times ({inner})"
        else:
            yield functions[part.start]
    if len(shown) < len(parts):
        rest = parts[_MOST_NAMES:-_MOST_NAMES]
        yield f"... {sum(part.length for part in rest)} more ..."
        yield from _brief(functions, parts[-_MOST_NAMES:])
