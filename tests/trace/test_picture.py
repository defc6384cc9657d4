from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace.nodes import NodeVizStyleGuide, NodeVizStyleGuideColorful
from opto.trace.picture import Picture, draw
from tests.strategies import Shape, build, shapes
from tests.trace.helpers import node

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: Picture) -> list[str]:
    root = ElementTree.fromstring(picture.svg())
    return [element.text or "" for element in root.iter(f"{SVG}tspan")]


def lines(picture: Picture) -> int:
    return len(list(ElementTree.fromstring(picture.svg()).iter(f"{SVG}line")))


@given(shapes(results=6))
def test_every_node_and_edge_is_drawn_once(shape: Shape) -> None:
    nodes, _ = build(shape)

    picture = draw([nodes[-1]])

    names = [box.name for box in picture.boxes]
    assert len(set(names)) == len(names)
    assert names[-1] == nodes[-1].py_name
    row = {box.name: box.row for box in picture.boxes}
    assert all(row[tail] < row[head] for tail, head in picture.arrows)
    edges = {(p.py_name, made.py_name) for made in nodes for p in made.parents}
    assert set(picture.arrows) == {edge for edge in edges if edge[1] in row}
    assert len(texts(picture)) >= 3 * len(names)
    assert lines(picture) == len(picture.arrows)


@given(st.text(min_size=1))
def test_any_text_can_be_drawn(text: str) -> None:
    printable = "".join(c for c in text if c.isprintable())

    picture = draw([node(printable, description="[Node] <&\"'\\")])

    assert any("<&\"'\\" in shown for shown in texts(picture))
    assert picture.source.startswith("digraph {\n")


def test_copies_are_left_out_of_simple_pictures() -> None:
    p = node(1, trainable=True, name="p")
    out = p.clone().clone() + 1

    simple, full = draw([out]), draw([out], simple=False)

    assert ("p0", "add0") in simple.arrows
    assert not any(box.name.startswith("clone") for box in simple.boxes)
    assert ("p0", "clone0") in full.arrows
    assert ("clone0", "clone1") in full.arrows


def test_arrows_can_be_turned() -> None:
    out = node(1, name="x") + 1

    picture = out.backward(visualize=True, reverse_plot=True)

    assert '"add0" -> "x0"' in picture.source
    assert str(picture) == picture.source
    assert picture._repr_svg_() == picture.svg()


def test_what_a_box_says_and_how_it_looks() -> None:
    p = node("v" * 200, name="p", trainable=True, description="What it is.")
    with pytest.raises(ZeroDivisionError) as caught:
        _ = node(1) / 0
    error: Any = caught.value
    plain, colourful = NodeVizStyleGuide(print_limit=5), NodeVizStyleGuideColorful()

    assert plain.get_attrs(p) == {
        "label": "p0\n[Para...\nvvvvv...",
        "shape": "box",
        "fillcolor": "lightgray",
        "style": "filled,solid",
    }
    assert plain.get_style(node(1)) == "solid"
    assert plain.get_color(error.exception_node) == "firebrick1"
    assert colourful.get_color(error.exception_node) == "firebrick1"
    assert colourful.get_attrs(node(1))["color"] == "#5C9BD5"
    assert colourful.get_attrs(p)["fillcolor"] == "#FFE5E5"
    assert colourful.get_attrs(p)["color"] == "#FF7E79"
    assert plain.get_label(node({"content": "said"})).endswith("\nsaid")


def test_pictures_are_written_without_another_program(tmp_path: Path) -> None:
    picture = draw([node(1) + 1])

    paths = [picture.render(tmp_path / name) for name in ("a.svg", "a.dot", "a.gv", "plain")]

    assert [Path(path).name for path in paths] == ["a.svg", "a.dot", "a.gv", "plain.svg"]
    assert Path(paths[0]).read_text("utf-8") == picture.svg()
    assert Path(paths[1]).read_text("utf-8") == picture.source
    assert (tmp_path / "plain.svg").read_text("utf-8").startswith("<svg")


def test_an_empty_picture() -> None:
    assert draw([]).source == "digraph {\n}\n"
    assert ElementTree.fromstring(draw([]).svg()).tag == f"{SVG}svg"


def test_parts_of_graphs_are_drawn_alone() -> None:
    p = node(1, trainable=True, name="p")
    middle = p + 1
    out = middle * 2

    picture = draw([middle, out], only=True)

    assert {box.name for box in picture.boxes} == {"add0", "multiply0"}
    assert picture.arrows == (("add0", "multiply0"),)
