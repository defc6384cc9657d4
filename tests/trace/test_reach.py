from __future__ import annotations

import pytest
from hypothesis import given

from opto.errors import AlreadyPropagated
from opto.trace.abstract import SEEN
from opto.trace.reach import learning_sources, reached, reached_in_order
from tests.strategies import Shape, build, shapes


@given(shapes())
def test_what_feedback_passes(shape: Shape) -> None:
    nodes, below = build(shape)
    output = nodes[-1]
    place = {id(made): index for index, made in enumerate(nodes)}

    (passed, last), ordered = reached(output), reached_in_order(output)

    wanted = {index for index in above(shape) if below[index] and nodes[index].parents}
    assert {place[id(made)] for made in passed} == wanted | {len(nodes) - 1}
    assert [id(made) for made in passed] == list({id(made): 0 for made in passed})
    beside = [made for made in passed if any(not p.parents for p in learning_sources(made))]
    assert [id(made) for made in last] == [id(made) for made in beside]
    assert not any(made._flags & SEEN for made in nodes)
    assert {id(made) for made in ordered} == {id(made) for made in passed}
    position = {id(made): index for index, made in enumerate(ordered)}
    for made in ordered:
        for parent in learning_sources(made):
            assert position.get(id(parent), len(ordered)) > position[id(made)]


def above(shape: Shape) -> set[int]:
    """Indices of the last node and what it was made from."""
    roots = len(shape.learns)
    found, stack = set[int](), [roots + len(shape.results) - 1]
    while stack:
        index = stack.pop()
        if index not in found:
            found.add(index)
            stack.extend(shape.results[index - roots] if index >= roots else ())
    return found


@given(shapes())
def test_what_was_consumed_stops_both(shape: Shape) -> None:
    nodes, _ = build(shape)
    nodes[-1].backward("say")

    for walk in (reached, reached_in_order):
        with pytest.raises(AlreadyPropagated, match="retain_graph=True"):
            walk(nodes[-1])
    assert not any(made._flags & SEEN for made in nodes)
