"""Tables of a run's results, and their place in the page on performance."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.plan import KINDS, SHAPES

Result = Mapping[str, Any]
BLANK = "–"
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
MOST_GROWTH = 13
LEAST_CHAIN = 500
MOST_BYTES = 400
LESS_BYTES = 5

ROWS: tuple[tuple[str, str, int | None], ...] = (
    ("op_nodes", "`x + y`, both nodes", 50),
    ("op_constant", "`x + 1.0`", 50),
    ("op_chain", "`y = y + x`, 1,000 times, all kept", 50),
    ("op_chain_constant", "`y = y + 1.0`, 1,000 times, all kept", 50),
    ("op_concat", "string `+`", 50),
    ("op_getitem", "`items[1]`", 50),
    ("op_upper", "`s.upper()`", 50),
    ("op_less", "`x < y`", 50),
    ("op_stopped", "`x + y` under `stop_tracing`", None),
    ("node", "`node(1.0)`", None),
    ("node_trainable", "`node(1.0, trainable=True)`", None),
    ("bundle_nodes", "bundle, two nodes", 30),
    ("bundle_raw", "bundle, two raw values", 30),
    ("bundle_defaults", "bundle, two nodes and two defaults", 30),
    ("bundle_star", "bundle, 100 nodes as `*args`", None),
    ("method", "bundled method", 30),
    ("method_first", "new instance and its first call", None),
    ("async", "async bundle, awaited", 30),
    ("trainable", "trainable bundle, code unchanged", 40),
    ("trainable_method", "trainable method, code unchanged", 40),
    ("trainable_long", "trainable bundle of sixty lines", 40),
    ("raises", "bundle that raises", 50),
    ("raises_read", "the same, its annotated source read", None),
    ("decorate", "decorating one of 50 functions of a file", 20),
    ("decorate_trainable", "the same, trainable", 20),
    ("parameters", "`parameters()` of 100", None),
)
LABELS = {
    "node": "`node(1.5)`",
    "op_nodes": "`x + y`",
    "op_constant": "`x + 1.0` (its constant too)",
    "bundle_nodes": "bundle, two nodes",
}


class Figures:
    """Medians out of the samples."""

    def __init__(self, result: Result) -> None:
        """Keep the samples."""
        self.samples: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = result["samples"]

    def values(self, key: str, subject: str, name: str) -> list[float]:
        """All samples of one figure; empty where the subject failed or wasn't asked."""
        taken = self.samples.get(key, {}).get(subject, [])
        if any("error" in sample for sample in taken):
            return []
        return [float(sample[name]) for sample in taken]

    def median(self, key: str, subject: str, name: str) -> float | None:
        """The median of one figure."""
        values = self.values(key, subject, name)
        return statistics.median(values) if values else None

    def ratio(self, key: str, name: str) -> float | None:
        """How many times the original's median is that of ours."""
        return divided(self.median(key, "original", name), self.median(key, "ours", name))

    def spread(self, key: str, subject: str, name: str) -> str:
        """The range of the samples in per cent of their median."""
        values = self.values(key, subject, name)
        if len(values) < 2 or not statistics.median(values):
            return BLANK
        return f"{100 * (max(values) - min(values)) / statistics.median(values):.0f} %"


def divided(above: float | None, below: float | None) -> float | None:
    """A quotient, None where a part is missing."""
    return above / below if above is not None and below else None


def seconds(value: float | None) -> str:
    """A time in the unit that suits it."""
    if value is None:
        return BLANK
    scale, unit = next((pair for pair in UNITS if value >= pair[0]), UNITS[-1])
    return f"{value / scale:.3g} {unit}"


def times(value: float | None) -> str:
    """A ratio."""
    if value is None:
        return BLANK
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"


def count(value: float | None) -> str:
    """A whole number."""
    return BLANK if value is None else f"{value:,.0f}"


def verdict(value: float | None, reach: float | None, *, at_most: bool = False) -> str:
    """What was to be reached, and whether it was."""
    if reach is None:
        return ""
    sign = "<" if at_most else "≥"
    if value is None:
        return f"{sign} {reach:g}: not measured"
    good = value < reach if at_most else value >= reach
    return f"{sign} {reach:g}: {'yes' if good else '**no**'}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def against(figures: Figures, name: str, reach: float | None) -> str:
    """Both verdicts on an operation: against the original, and against torch where it ran."""
    key = f"micro/{name}/gc-off"
    said = verdict(figures.ratio(key, "seconds"), reach)
    mine, torch = (figures.median(key, who, "seconds") for who in ("ours", "torch"))
    if mine is None or torch is None:
        return said
    return f"{said}; under torch: {'yes' if mine < torch else '**no**'}"


def operations(figures: Figures) -> str:
    """The cost of single operations."""
    rows = []
    for name, label, reach in ROWS:
        key = f"micro/{name}/gc-off"
        if key not in figures.samples:
            continue
        ratio = figures.ratio(key, "seconds")
        four = [figures.median(key, who, "seconds") for who in ("original", "ours")]
        more = [figures.median(key, who, "seconds") for who in ("torch", "plain")]
        gc_on = figures.median(f"micro/{name}/gc-on", "ours", "seconds")
        spreads = [figures.spread(key, who, "seconds") for who in ("original", "ours")]
        cells = [label, *map(seconds, four), times(ratio), against(figures, name, reach)]
        rows.append([*cells, seconds(gc_on), *map(seconds, more), " / ".join(spreads)])
    head = ["CPU time of one", "original", "ours", "cheaper", "reach", "ours, gc on", "torch"]
    return table([*head, "plain Python", "spread"], rows)


def backward(figures: Figures) -> str:
    """Backward of both on the graphs that both are asked for."""
    rows = []
    for key, subjects in figures.samples.items():
        if not key.startswith("backward/") or "original" not in subjects:
            continue
        _, shape, n, parameters, _collector = key.split("/")
        long = shape == "long_chain"
        ratio = figures.ratio(key, "backward")
        pair = [figures.median(key, who, "backward") for who in ("original", "ours")]
        read = [figures.median(key, who, "read") for who in ("original", "ours")]
        cells = [shape.replace("_", " "), f"{int(n):,}", parameters, *map(seconds, pair)]
        cells += [times(ratio), verdict(ratio, LEAST_CHAIN) if long else ""]
        rows.append([*cells, *map(seconds, read), times(figures.ratio(key, "read"))])
    alone = figures.median("torch_chain", "torch", "backward")
    if alone is not None:
        rows.append(["chain of torch", "1,000", "1", seconds(alone), *[BLANK] * 6])
    head = ["shape", "operations", "parameters", "original", "ours", "faster", "reach"]
    return table([*head, "reading, original", "reading, ours", "faster"], rows)


def linearity(figures: Figures) -> str:
    """How ours grows from the smaller to the larger size."""
    graphs = [key.split("/") for key in figures.samples if key.startswith("backward/")]
    sizes = sorted({int(parts[2]) for parts in graphs if parts[1] == SHAPES[0]})[-2:]
    rows = []
    for parameters in sorted({int(parts[3]) for parts in graphs}):
        for shape in SHAPES:
            rows.append(_growth(figures, shape, sizes, parameters))
    small, large = (f"{size:,}" for size in (sizes if len(sizes) > 1 else (0, 0)))
    head = ["shape", "parameters", f"backward, {small}", large, "ratio", "reach", "ratio, gc on"]
    return table([*head, f"reading, {large}", "ratio", f"building, {large}", "ratio"], rows)


def _growth(figures: Figures, shape: str, sizes: Sequence[int], parameters: int) -> list[str]:
    def pair(name: str, collector: str = "gc-off") -> tuple[float | None, float | None]:
        keys = [f"backward/{shape}/{size}/{parameters}/{collector}" for size in sizes]
        small, large = (figures.median(key, "ours", name) for key in keys)
        return small, large

    small, large = pair("backward")
    growth = divided(large, small)
    cells = [shape.replace("_", " "), str(parameters), seconds(small), seconds(large)]
    cells += [times(growth), verdict(growth, MOST_GROWTH, at_most=True)]
    cells.append(times(divided(*pair("backward", "gc-on")[::-1])))
    for name in ("read", "build"):
        small, large = pair(name)
        scale = 1 if name == "read" else sizes[1] / sizes[0]
        whole = large * sizes[1] if name == "build" and large is not None else large
        growth = divided(large, small)
        cells += [seconds(whole), times(growth * scale if growth is not None else None)]
    return cells


def memory(figures: Figures) -> str:
    """Bytes per operation, the loop, and the imports."""
    rows = []
    for kind in KINDS:
        key = f"memory/{kind}"
        pair = [figures.median(key, who, "bytes") for who in ("original", "ours")]
        left = [figures.median(key, who, "left") for who in ("original", "ours")]
        held = [figures.median(f"resident/{kind}", who, "bytes") for who in ("original", "ours")]
        ratio = figures.ratio(key, "bytes")
        judged = [verdict(pair[1], MOST_BYTES, at_most=True), verdict(ratio, LESS_BYTES)]
        reach = "; ".join(judged) if kind.startswith(("op", "bundle")) else ""
        cells = [LABELS[kind], *map(count, pair), times(ratio), reach]
        rows.append([*cells, *map(count, left), *map(count, held)])
    head = ["bytes beyond the value", "original", "ours", "less", "reach", "left when dropped"]
    return table([*head, "ours", "resident, original", "ours"], rows)


def loop(figures: Figures) -> str:
    """Resident memory of build, backward, drop."""
    rows = []
    for who in ("original", "ours"):
        early, late = (figures.median("loop", who, name) for name in ("after_100", "after_all"))
        growth = figures.median("loop", who, "growth")
        mega = [BLANK if value is None else f"{value / 1e6:.1f} MB" for value in (early, late)]
        rows.append([who, *mega, BLANK if growth is None else f"{growth:,.1f} B"])
    return table(["build, backward, drop", "after 100", "at the end", "growth an iteration"], rows)


def imports(figures: Figures) -> str:
    """CPU time of importing."""
    rows = []
    for module in ("opto", "opto.trace", "torch"):
        names = ("original", "ours", "torch")
        cells = [figures.median(f"import/{module}", who, "import") for who in names]
        rows.append([f"`import {module}`", *map(seconds, cells)])
    return table(["CPU time", "original", "ours", "torch"], rows)


def setting(result: Result) -> str:
    """One paragraph: when, where, how."""
    facts = result["circumstances"]
    return (
        f"{facts['date']}, commit `{facts['commit']}`, {facts['implementation']} "
        f"{facts['python']}, {facts['machine']}, {facts['processor']}, {facts['cores']} cores, "
        f"load {facts['load']} at the start; medians of {facts['rounds']} interleaved rounds; "
        f"subjects: {', '.join(facts['subjects'])}."
    )


TABLES: Mapping[str, Callable[[Figures], str]] = {
    "operations": operations,
    "backward": backward,
    "linearity": linearity,
    "memory": memory,
    "loop": loop,
    "imports": imports,
}


def tables(result: Result) -> dict[str, str]:
    """All tables by the name of their marker."""
    figures = Figures(result)
    return {"setting": setting(result)} | {name: make(figures) for name, make in TABLES.items()}


def fill(page: str, made: Mapping[str, str]) -> str:
    """The page with each table between its markers `<!-- bench:NAME -->` and `<!-- /bench -->`."""
    for name, text in made.items():
        pattern = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench -->)", re.DOTALL)
        block = f"{text}\n"
        page, found = pattern.subn(lambda match: match[1] + block + match[2], page)  # noqa: B023
        if found != 1:
            raise ValueError(f"the page has {found} places for the table {name!r}, not one")
    return page


def failures(result: Result) -> list[str]:
    """What ours could not do, with the error."""
    return [
        f"{key}: {sample['error']}"
        for key, subjects in result["samples"].items()
        for sample in subjects.get("ours", [])
        if "error" in sample
    ]
