from __future__ import annotations

from typing import Any

import pytest

from opto.errors import WrongType
from tests.trace.helpers import node


@pytest.mark.parametrize(
    ("given", "stored", "text", "tag"),
    [
        (None, "[Node] This is a node in a computational graph.", None, "Node"),
        ("What.", "[Node] What.", "What.", "Node"),
        ("[own] What.", "[own] What.", "What.", "own"),
        ("[own]", "[own]", None, "own"),
    ],
)
def test_descriptions(given: Any, stored: str, text: str | None, tag: str) -> None:
    x = node(1, description=given)

    assert (x.description, x._description) == (stored, stored)
    assert x.description_text == text
    assert x.op_name == tag


def test_descriptions_of_results_and_parameters() -> None:
    p = node(1, trainable=True, constraint="Below 3.")

    assert p.description.startswith("[ParameterNode] This is a ParameterNode")
    assert p._constraint == "Below 3."
    assert node(1)._constraint is None
    made = p + 1
    assert made.description_text == "This is an operator: x + y."
    with pytest.raises(WrongType, match="description must be a str or None, not int"):
        node(1, description=3)


def test_feedback_is_kept_by_the_child_it_came_through() -> None:
    p = node(1, trainable=True)
    child, other = p + 1, p + 2

    for through, said in ((child, "a"), (child, "b"), (other, "c")):
        p._add_feedback(through, said)

    assert p.feedback == {child: ["a", "b"], other: ["c"]}
    assert p._feedback == p.feedback
    p.zero_feedback()
    p.zero_feedback()
    assert p.feedback == {}


def test_dependencies_of_a_parameter_are_itself() -> None:
    p = node(1, trainable=True)

    assert p.parameter_dependencies == {p}
    assert p.expandable_dependencies == set()
    assert node(1).parameter_dependencies == set()
