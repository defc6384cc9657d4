from __future__ import annotations

import pytest

from opto.errors import InvalidArgument
from opto.trace import GRAPH, new_scope, node
from opto.trace.naming import Graph


def test_the_graph_counts_names() -> None:
    x, y = node(1, name="x"), node(2, name="x")
    z = x + y

    assert len(GRAPH) == 3
    assert GRAPH.count("x") == 2
    assert str(GRAPH) == "add: 1\nx: 2"
    assert z.name == "add:0"
    with pytest.raises(InvalidArgument, match="no node called 'w' was made; base names: add, x"):
        GRAPH.count("w")


def test_living_nodes_are_found_by_name() -> None:
    x = node(1, name="x")
    y = x + 1

    assert GRAPH.get("x:0") is x
    assert GRAPH.get("add:0") is y
    assert any(root is x for root in GRAPH.roots)
    assert not any(root is y for root in GRAPH.roots)
    del y
    with pytest.raises(InvalidArgument, match="no living node is called 'add:0'"):
        GRAPH.get("add:0")


def test_nodes_of_another_scope_are_not_ours() -> None:
    with new_scope():
        other = node(1, name="x")

    with pytest.raises(InvalidArgument):
        GRAPH.get(other.name)


def test_registering_gives_a_new_number() -> None:
    x = node(1, name="x")

    GRAPH.register(x)

    assert x.name == "x:1"


def test_the_flags_of_later_versions_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "LEGACY_GRAPH_BEHAVIOR", True)
    monkeypatch.setattr(GRAPH, "ALLOW_NESTED_GRAPHS", True)

    assert (node(1) + 1).data == 2
