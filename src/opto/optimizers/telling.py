"""Tells of operations without showing each: what repeats, what is far, how variables matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from opto.optimizers.layout import Layout
from opto.optimizers.repeats import Part, parts_of
from opto.optimizers.shortening import text_of

_MOST_ARGUMENTS = 12
_MOST_NAMES = 8
_MOST_DIFFERENCES = 6
_VALUE = 40  # characters of a value that differs between repetitions


def call_of(layout: Layout, place: int) -> tuple[str, list[int]]:
    """Return an operation as a line of code, and the values named in it.

    Of very many inputs the first and the last are shown, and all variables among them.
    """
    run, operation = layout.run, layout.order[place]
    sources, call = run.sources[operation], run.calls[run.call[operation]]
    half = _MOST_ARGUMENTS // 2
    many = len(sources) > _MOST_ARGUMENTS
    variables = set(run.variables) if many else ()
    texts: list[str] = []
    named = [run.results[operation]]
    before = -1
    for index, value in enumerate(sources):
        if many and half <= index < len(sources) - half and value not in variables:
            continue
        if index > before + 1:
            texts.append(f"... {index - before - 1} more ...")
        texts.append(f"{call.arguments[index]}={run.name(value)}")
        named.append(value)
        before = index
    return f"{run.name(named[0])} = {call.function}({', '.join(texts)})", named


class FoldedCode:
    """Lines of code in which repetitions are told.

    Attributes:
        lines: what to show.
        shown: the places of the operations that are shown as they are.
        named: the values named in their lines.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.lines: list[str] = []
        self.shown: list[int] = []
        self.named: set[int] = set()

    def add(self, part: Part, shift: int = 0) -> None:
        """Show a part; of what repeats the first and the last time."""
        if not part.body:
            text, named = call_of(self._layout, part.start + shift)
            self.lines.append(text)
            self.shown.append(part.start + shift)
            self.named.update(named)
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
        layout = self._layout
        first = part.start + shift
        second = first + part.period
        return any(
            first <= layout.place[value] < second
            for place in range(second, second + part.period)
            for value in layout.sources(place)
        )

    def _differences(self, part: Part, shift: int) -> Iterator[str]:
        """Tell the inputs that each repetition has of its own."""
        layout = self._layout
        first = part.start + shift
        for leaf in _leaves(part):
            at = leaf + shift
            arguments = layout.step(at).inputs
            for index, value in enumerate(layout.sources(at)):
                if value not in layout.inputs:
                    continue
                others = range(at + part.period, first + part.length - part.period, part.period)
                values = [layout.sources(place)[index] for place in others]
                if values[0] != value:
                    known = (layout.run.entry(v) for v in values if v in layout.inputs)
                    texts = [text_of(entry.data, _VALUE) for entry in known]
                    argument, function = arguments[index][0], layout.function(at)
                    yield f"{argument} of {function} is {_listed(texts)}"


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


class Kinds:
    """What kinds of operations there are and on what they work, counted once for a whole run."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        calls = layout.run.calls
        self._functions = list(dict.fromkeys(call.function for call in calls))
        self._function = [self._functions.index(call.function) for call in calls]
        self._labels = [f"results of {name}" for name in self._functions]
        self._kind = self._kinds()
        self._counts, self._pairs = self._counted(range(len(layout.order)))

    def told(self, shown: Collection[int], named: Collection[int]) -> Iterator[str]:
        """Tell of the operations that aren't shown: each kind once.

        Args:
            shown: the places of the operations that are, repetitions included.
            named: the values that are named in their lines.
        """
        counts, pairs = Counter(self._counts), Counter(self._pairs)
        seen, seen_pairs = self._counted(shown)
        counts.subtract(seen)
        pairs.subtract(seen_pairs)
        sources: dict[int, list[str]] = {}
        for pair, many in pairs.items():
            if many:
                function, kind = divmod(pair, len(self._labels))
                sources.setdefault(function, []).append(self._labels[kind])
        results = self._results(shown, named)
        yield f"# {sum(counts.values())} operations farther away are not shown one by one:"
        for function, many in counts.most_common():
            if many:
                name = self._functions[function]
                text = f"# {name} {many} times, on {_named(sources[function])}"
                found = results.get(name)
                yield f"{text}; among the results: {_named(found)}" if found else text

    def _results(self, shown: Collection[int], named: Collection[int]) -> dict[str, list[str]]:
        """Return the values that are named but whose making isn't shown, by function."""
        layout, apart = self._layout, set(shown)
        results: dict[str, list[str]] = {}
        for place, value in sorted((layout.place[value], value) for value in named):
            if place >= 0 and place not in apart:
                results.setdefault(layout.function(place), []).append(layout.run.name(value))
        return results

    def _kinds(self) -> list[int]:
        """Return the number of the label of each value, and complete the labels."""
        run, labels = self._layout.run, dict[str, int]()
        own = {value: name for name, value in self._layout.variables.items()}
        kinds: list[int] = []
        for value, by in enumerate(run.made):
            if by >= 0:
                kinds.append(self._function[run.call[by]])
                continue
            label = own.get(value) or f"inputs of type {run.entry(value).kind}"
            kinds.append(labels.setdefault(label, len(self._labels) + len(labels)))
        self._labels += labels
        return kinds

    def _counted(self, places: Iterable[int]) -> tuple[Counter[int], Counter[int]]:
        """Count the operations of each function, and what they work on."""
        run, order, width = self._layout.run, self._layout.order, len(self._labels)
        function, kind, call, sources = self._function, self._kind, run.call, run.sources
        operations = [order[place] for place in places]
        counts = Counter([function[call[operation]] for operation in operations])
        pairs = Counter(
            [
                function[call[operation]] * width + kind[value]
                for operation in operations
                for value in sources[operation]
            ]
        )
        return counts, pairs


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    left = len(names) - _MOST_NAMES
    return f"{shown} and {left} more" if left > 0 else shown


def ways_of(layout: Layout) -> Iterator[str]:
    """Tell for each variable the operations on its shortest way to an output."""
    towards = layout.next_towards_output()
    alike: dict[str, list[str]] = {}
    for name, value in layout.variables.items():
        if towards.get(value, -1) >= 0:
            alike.setdefault(_way(value, towards, layout), []).append(name)
    for way, variables in alike.items():
        reach = "reaches" if len(variables) == 1 else "reach"
        yield f"# {', '.join(variables)} {reach} {way}"


def _way(variable: int, towards: dict[int, int], layout: Layout) -> str:
    functions: list[str] = []
    value = variable
    while towards[value] >= 0:
        value = towards[value]
        functions.append(layout.function(layout.place[value]))
    return f"{layout.run.name(value)} through {', '.join(_brief(functions, parts_of(functions)))}"


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
