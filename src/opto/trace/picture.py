"""Pictures of graphs: DOT text, and SVG drawn here, so no other program is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from opto.trace import graph
from opto.trace.abstract import LEARNS, sources_of

IDENTITY_OPERATORS = ("identity", "clone")
_CHARACTER, _LINE, _GAP_X, _GAP_Y, _PAD = 7.2, 16, 28, 44, 10


class NodeVizStyleGuide:
    """What a box of a picture says and how it looks.

    Args:
        print_limit: how many characters of description and value are shown.
    """

    def __init__(self, style: str = "default", print_limit: int = 100) -> None:
        self.style, self.print_limit = style, print_limit

    def get_attrs(self, node: Any) -> dict[str, str]:
        """Return the attributes of the box in DOT's terms."""
        return {
            "label": self.get_label(node),
            "shape": self.get_node_shape(node),
            "fillcolor": self.get_color(node),
            "style": self.get_style(node),
        }

    def get_label(self, node: Any) -> str:
        """Return name, description and value, shortened."""
        content = node._data
        if isinstance(content, dict) and "content" in content:
            content = content["content"]
        lines = (node.py_name, self._short(node.description), self._short(str(content)))
        return "\n".join(lines)

    def _short(self, text: str) -> str:
        return text if len(text) <= self.print_limit else f"{text[: self.print_limit]}..."

    def get_node_shape(self, node: Any) -> str:
        """Return "box" for a parameter, else "ellipse"."""
        return "box" if _is_parameter(node) else "ellipse"

    def get_color(self, node: Any) -> str:
        """Return the colour of the inside ("" for none)."""
        if _is_failure(node):
            return "firebrick1"
        return "lightgray" if _is_parameter(node) else ""

    def get_style(self, node: Any) -> str:
        """Return how box and border are drawn."""
        return "filled,solid" if self.get_color(node) else "solid"


class NodeVizStyleGuideColorful(NodeVizStyleGuide):
    """The same with colours for each kind of node."""

    def get_attrs(self, node: Any) -> dict[str, str]:
        """Return the attributes of the box in DOT's terms, border included."""
        border = {"penwidth": "1.2", "color": self.get_border_color(node)}
        return {**super().get_attrs(node), **border}

    def get_color(self, node: Any) -> str:
        """Return the colour of the inside."""
        if _is_failure(node):
            return "firebrick1"
        return "#FFE5E5" if _is_parameter(node) else "#DEEBF6"

    def get_border_color(self, node: Any) -> str:
        """Return the colour of the border."""
        return "#FF7E79" if _is_parameter(node) else "#5C9BD5"


class Box(NamedTuple):
    """One node of a picture: its attributes and the number of its row, inputs at 0."""

    name: str
    attrs: dict[str, str]
    row: int


class Picture:
    """A drawn graph.

    Attributes:
        boxes: the nodes, inputs first.
        arrows: pairs of names, from an input to a result.
        reverse: whether arrows are drawn the other way.
    """

    def __init__(
        self, boxes: Sequence[Box], arrows: Sequence[tuple[str, str]], *, reverse: bool = False
    ) -> None:
        self.boxes, self.arrows, self.reverse = tuple(boxes), tuple(arrows), reverse

    @property
    def source(self) -> str:
        """The graph in the DOT language."""
        lines = ["digraph {"]
        for box in self.boxes:
            attrs = " ".join(f'{key}="{_quoted(text)}"' for key, text in box.attrs.items())
            lines.append(f'    "{_quoted(box.name)}" [{attrs}]')
        for tail, head in self.arrows:
            ends = (head, tail) if self.reverse else (tail, head)
            lines.append(f'    "{_quoted(ends[0])}" -> "{_quoted(ends[1])}"')
        return "\n".join([*lines, "}"]) + "\n"

    def svg(self) -> str:
        """Return the picture as SVG, rows from inputs at the top to outputs at the bottom."""
        return _svg(self)

    _repr_svg_ = svg

    def render(self, filename: object = "graph.svg") -> str:
        """Write the picture and return the path: SVG, or DOT text for ``.dot`` and ``.gv``."""
        path = str(filename)
        if not path.endswith((".svg", ".dot", ".gv")):
            path += ".svg"
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes 7 ms to import
            file.write(self.svg() if path.endswith(".svg") else self.source)
        return path

    def __str__(self) -> str:
        return self.source


def draw(
    nodes: Sequence[Any],
    *,
    simple: bool = True,
    reverse: bool = False,
    limit: int = 100,
    only: bool = False,
) -> Picture:
    """Return a picture of `nodes` and what they were made from.

    Args:
        nodes: where to start.
        simple: leave out copies; their inputs are shown in their place.
        reverse: turn the arrows round.
        limit: how many characters of a value are shown.
        only: show no node but `nodes`.
    """
    style = NodeVizStyleGuideColorful(print_limit=limit)
    allowed = {id(node) for node in nodes} if only else None

    def shown(node: Any) -> tuple[Any, ...]:
        found: dict[int, Any] = {}
        stack = list(reversed(sources_of(node)))
        while stack:
            parent = stack.pop()
            if allowed is not None and id(parent) not in allowed:
                continue
            if simple and parent._op is not None and parent._op.name in IDENTITY_OPERATORS:
                stack.extend(reversed(sources_of(parent)))
            else:
                found[id(parent)] = parent
        return tuple(found.values())

    order = graph.inputs_first(nodes, shown)
    rows = _rows(order, shown)
    boxes = [Box(node.py_name, style.get_attrs(node), rows[id(node)]) for node in order]
    arrows = [(parent.py_name, node.py_name) for node in order for parent in shown(node)]
    return Picture(boxes, arrows, reverse=reverse)


def _rows(order: list[Any], shown: Callable[[Any], tuple[Any, ...]]) -> dict[int, int]:
    """Return the row of each node by ``id``: its level, for an input just above its first use."""
    rows = graph.levels(order, shown)
    first_use: dict[int, int] = {}
    for node in order:
        for parent in shown(node):
            used = rows[id(node)]
            first_use[id(parent)] = min(used, first_use.get(id(parent), used))
    above = {key: row - 1 for key, row in first_use.items() if rows[key] == 0}
    return {**rows, **above}


def _is_parameter(node: Any) -> bool:
    return bool(node._flags & LEARNS) and not node._inputs


def _is_failure(node: Any) -> bool:
    return hasattr(node, "exception_text")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Place(NamedTuple):
    left: float
    top: float
    width: float
    height: float


def _svg(picture: Picture) -> str:
    places, width, height = _layout(picture)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"',
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12"',
        ' xml:space="preserve">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"',
        ' markerHeight="8" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#555"/>',
        "</marker></defs>",
    ]
    for tail, head in picture.arrows:
        parts.append(_svg_arrow(places[tail], places[head], reverse=picture.reverse))
    parts.extend(_svg_box(box, places[box.name]) for box in picture.boxes)
    return "\n".join([*parts, "</svg>"])


def _layout(picture: Picture) -> tuple[dict[str, _Place], float, float]:
    rows: dict[int, list[Box]] = {}
    for box in picture.boxes:
        rows.setdefault(box.row, []).append(box)
    places: dict[str, _Place] = {}
    top, width = float(_PAD), 0.0
    for number in sorted(rows):
        left, tallest = float(_PAD), 0.0
        for box in rows[number]:
            lines = box.attrs["label"].split("\n")
            wide = max(len(line) for line in lines) * _CHARACTER + 2 * _PAD
            tall = len(lines) * _LINE + 2 * _PAD
            places[box.name] = _Place(left, top, wide, tall)
            left += wide + _GAP_X
            tallest = max(tallest, tall)
        width = max(width, left - _GAP_X + _PAD)
        top += tallest + _GAP_Y
    return places, width, top - _GAP_Y + _PAD if places else float(2 * _PAD)


def _svg_arrow(tail: _Place, head: _Place, *, reverse: bool) -> str:
    x1, y1 = tail.left + tail.width / 2, tail.top + tail.height
    x2, y2 = head.left + head.width / 2, head.top
    if reverse:
        x1, y1, x2, y2 = x2, y2, x1, y1
    line = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {line} stroke="#555" marker-end="url(#arrow)"/>'


def _svg_box(box: Box, place: _Place) -> str:
    attrs = box.attrs
    colors = f'fill="{attrs["fillcolor"] or "none"}" stroke="{attrs.get("color", "#333")}"'
    corner = 2 if attrs["shape"] == "box" else 14
    rect = (
        f'<rect x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="{corner}" {colors}/>'
    )
    x, y = place.left + _PAD, place.top + _PAD + 12
    lines = [
        f'<tspan x="{x:.1f}" y="{y + index * _LINE:.1f}">{_escaped(line)}</tspan>'
        for index, line in enumerate(attrs["label"].split("\n"))
    ]
    return f"<g>{rect}<text>{''.join(lines)}</text></g>"
