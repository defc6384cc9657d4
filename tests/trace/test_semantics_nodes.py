"""SEMANTICS §2 and §3: what nodes are, called and show."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from opto.errors import UsageError
from opto.trace import GRAPH, Node, ParameterNode, bundle, name_scope, new_scope
from opto.trace import nodes as nodes_module
from opto.trace.nodes import ExceptionNode, get_op_name
from tests.trace.helpers import names, node, same_nodes

# ---- node() --------------------------------------------------------------------------------------


@pytest.mark.covers("S2.1", "S23.5")
def test_node_takes_what_it_always_took() -> None:
    made = node(1, "count", True, "how many", "positive")

    assert isinstance(made, ParameterNode)
    assert (made.name, made.data, made.trainable) == ("count:0", 1, True)
    assert made.description == "[ParameterNode] how many"
    assert made._constraint == "positive"
    assert node(data=2, name="n").name == "n:0"


@pytest.mark.covers("S2.2", "S22.1")
@pytest.mark.parametrize("trainable", [False, True])
def test_a_description_is_a_text(trainable: bool) -> None:
    with pytest.raises(AssertionError, match="description must be a str or None, not int"):
        node(1, description=3, trainable=trainable)


@pytest.mark.covers("S2.3")
def test_a_node_stays_that_node() -> None:
    x = node(1)

    assert node(x) is x
    with pytest.warns(UserWarning, match="Name n is ignored because data is already a Node."):
        assert node(x, name="n") is x


@pytest.mark.covers("S2.4")
def test_a_parameter_of_a_node_shares_its_value_only() -> None:
    x = node([1], name="x")

    made = node(x, trainable=True)

    assert made is not x
    assert made.data is x.data
    assert (made.name, made.parents, x.children) == ("x:1", [], [])
    assert node(x, name="y", trainable=True).name == "y:0"


@pytest.mark.covers("S2.5", "S24.6")
@pytest.mark.parametrize("data", [[1], {"a": 1}, {1}, None, len, int, np.ones(2), object()])
def test_values_are_kept_as_they_are(data: Any) -> None:
    assert node(data).data is data
    assert node(data, trainable=True).data is data
    assert isinstance(hash(node(data)), int)


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.covers("S2.6")
def test_names_count_for_each_base() -> None:
    made = [node(1), node(2), node("a"), node(None), node(len), node(1, name="int")]

    assert names(made) == [
        "int:0", "int:1", "str:0", "NoneType:0", "builtin_function_or_method:0", "int:2",
    ]  # fmt: skip
    GRAPH.clear()
    assert node(1).name == "int:0"


@pytest.mark.covers("S2.7")
def test_a_node_made_of_a_node() -> None:
    x = node([1], name="x")

    made = Node(x)

    assert made.data is x.data
    assert (made.name, made.parents) == ("x:1", [])


@pytest.mark.covers("S2.8")
@pytest.mark.parametrize("name", ["a.b", "f.<locals>.g", "path/to", "ü", ""])
def test_names_may_be_almost_anything(name: str) -> None:
    assert node(1, name=name).name == f"{name}:0"


@pytest.mark.covers("S2.9")
def test_name_scopes() -> None:
    with name_scope("outer"):
        outer = node(1)
        with name_scope("inner"):
            inner = node(1) + 1
    nodes_module.NAME_SCOPES.append("listed")
    listed = node(1)
    nodes_module.NAME_SCOPES.pop()

    assert (outer.name, inner.name, listed.name) == ("outer/int:0", "inner/add:0", "listed/int:0")
    assert node(1).name == "int:0"


@pytest.mark.covers("S2.10")
def test_python_name_and_number() -> None:
    made = node(1, name="x")

    assert (made.py_name, made.id) == ("x0", "0")


@pytest.mark.covers("S2.11")
def test_names_are_unique_across_a_hundred_threads() -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(node(0, name="n").name for _ in range(10)))
        for _ in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == len(set(made)) == 1000


@pytest.mark.covers("S2.12")
def test_results_are_named_after_what_made_them() -> None:
    @bundle(trainable=True)
    def learn(x: Any) -> Any:
        return x

    @bundle("[plan.next] Plan.")
    def plan(x: Any) -> Any:
        return x

    x, text = node([1]), node("a")
    made = [x + x, text + "b", x[0], x.getattr("append"), node(len)(x), x.clone(), plan(1)]
    made += [learn(1), learn(1)]

    assert names(made) == [
        "add:0", "concat:0", "getitem:0", "node_getattr:0", "call:0", "clone:0", "plan.next:0",
        "eval:0", "eval:1",
    ]  # fmt: skip
    assert learn.parameter is not None
    assert learn.parameter.name == "__code:0"


@pytest.mark.covers("S2.13", "S7.1.4")
def test_the_source_of_feedback() -> None:
    x = node("a", trainable=True)
    x.backward("better")

    (oracle,) = x.feedback
    assert oracle.data == "FEEDBACK_ORACLE"
    assert node("b").name == "str:1"


# ---- GRAPH ---------------------------------------------------------------------------------------


@pytest.mark.covers("S2.14", "S5.6.3")
def test_the_switch_and_the_count() -> None:
    assert GRAPH.TRACE is True
    assert len(GRAPH) == 0
    x = node(1)
    GRAPH.register(x)

    assert (x.name, len(GRAPH)) == ("int:1", 2)
    assert "int" in str(GRAPH)
    GRAPH.TRACE = False
    try:
        assert (x + 1).parents == []
    finally:
        GRAPH.TRACE = True
    GRAPH.clear()
    assert len(GRAPH) == 0


@pytest.mark.covers("S2.15", "S23.3")
def test_nodes_alive_are_found() -> None:
    x = node(1, name="x")
    y = x + 1

    assert GRAPH.get("x:0") is x
    assert GRAPH.get("add:0") is y
    assert any(made is x for made in GRAPH.roots)
    assert not any(made is y for made in GRAPH.roots)
    assert GRAPH.count("x") == 1
    with pytest.raises(UsageError, match="x:9"):
        GRAPH.get("x:9")
    with pytest.raises(AssertionError, match="nothing"):
        GRAPH.count("nothing")


@pytest.mark.covers("S2.15")
def test_graphs_of_other_scopes_are_not_mixed() -> None:
    x = node(1, name="x")
    with new_scope():
        inner = node(1, name="x")
        assert GRAPH.get("x:0") is inner

    assert GRAPH.get("x:0") is x


@pytest.mark.covers("S2.16", "S23.2")
def test_flags_of_later_versions_exist() -> None:
    assert GRAPH.LEGACY_GRAPH_BEHAVIOR is False
    assert GRAPH.ALLOW_NESTED_GRAPHS is False


@pytest.mark.covers("S2.17")
def test_nodes_survive_a_clear() -> None:
    x = node(1, name="x", trainable=True)
    y = x + 1
    GRAPH.clear()

    assert (y.name, y.data) == ("add:0", 2)
    (y + 1).backward("f")
    assert len(x.feedback) == 1
    assert node(1, name="x").name == "x:0"


# ---- what a node knows ---------------------------------------------------------------------------


@pytest.mark.covers("S3.1")
def test_the_constructor() -> None:
    made: Node[str] = Node("a", name="n", description="letter", constraint="short", info={"k": 1})

    assert (made.name, made.data, made.info) == ("n:0", "a", {"k": 1})
    assert (made.trainable, made._constraint) == (False, "short")
    assert Node[str] is not None


@pytest.mark.covers("S3.2", "S3.3")
def test_properties() -> None:
    x = node(1, name="x", trainable=True)
    one = node(1, name="one")
    y = x + one
    z = y * x

    assert same_nodes(y.parents, [x, one])
    assert same_nodes(x.children, [y, z])
    assert (x.level, y.level, z.level) == (0, 1, 2)
    assert (x.is_root, y.is_root, x.is_leaf, z.is_leaf) == (True, False, False, True)
    assert (z.type, z.feedback, z.op_name) == (int, {}, "multiply")
    assert same_nodes(z.parameter_dependencies, [x])
    assert same_nodes(x.parameter_dependencies, [x])
    assert one.parameter_dependencies == set()
    assert z.expandable_dependencies == set()
    assert (z._backwarded, x._backwarded) == (False, False)
    for name in ("data", "parents", "children", "name", "py_name", "id", "level", "type"):
        with pytest.raises(AttributeError):
            setattr(z, name, 1)


@pytest.mark.covers("S3.4")
def test_values_are_set() -> None:
    x = node(1, trainable=True)

    x._set(node(5))
    assert x.data == 5
    x._set([6])
    assert x.data == [6]
    x._data = 7
    assert x.data == 7


@pytest.mark.covers("S3.5")
def test_heap_order_is_by_level() -> None:
    x = node(9)
    y = x + 1

    assert (y.lt(x), x.lt(y), x.gt(y), y.gt(x)) == (True, False, True, False)
    assert not x.lt(x)


@pytest.mark.covers("S3.6", "S3.7", "S3.8", "S23.1")
def test_descriptions() -> None:
    plain, learning = node(1), node(1, trainable=True)
    given, tagged = node(1, description="x"), node(1, description="[mine] x")

    assert plain.description == "[Node] This is a node in a computational graph."
    assert (
        learning.description == "[ParameterNode] This is a ParameterNode in a computational graph."
    )
    assert (given.description, given._description) == ("[Node] x", "[Node] x")
    assert node(1, trainable=True, description="x").description == "[ParameterNode] x"
    assert (tagged.description, tagged.op_name) == ("[mine] x", "mine")
    assert (given.description_text, plain.description_text) == ("x", None)
    assert (given.op_name, learning.op_name) == ("Node", "ParameterNode")


@pytest.mark.covers("S3.9", "S22.1")
def test_operator_names_in_descriptions() -> None:
    assert get_op_name("[a.b] text") == "a.b"
    with pytest.raises(AssertionError, match="str"):
        get_op_name(3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match=r"\[name\]"):
        get_op_name("no tag")


@pytest.mark.covers("S3.10", "S23.5")
def test_constraints() -> None:
    assert node(1)._constraint is None
    assert node(1, trainable=True, constraint="even")._constraint == "even"


@pytest.mark.covers("S3.11")
def test_printing() -> None:
    x = node(1)

    assert str(x) == "Node: (int:0, dtype=<class 'int'>, data=1)"
    assert str(node(1, trainable=True)).startswith("ParameterNode: (int:1,")
    assert str(x + 1).startswith("MessageNode: (add:0,")
    failed = ExceptionNode(ValueError("v"), inputs=[x], description="[f] fails")
    assert str(failed).startswith("MessageNode: (f:0,")
    assert repr(x).startswith("<opto.trace.")
