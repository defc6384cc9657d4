from __future__ import annotations

import weakref
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opto.trace import node
from opto.trace.children import Children, adopt, disown, living


@given(st.lists(st.booleans(), max_size=60))
def test_the_living_are_listed_oldest_first(kept: list[bool]) -> None:
    parent = node(0)
    alive: list[Any] = []
    for keep in kept:
        alive.extend([parent + 1][:keep])

    assert living(parent) == parent.children
    assert [id(found) for found in living(parent)] == [id(one) for one in alive]


def test_the_dead_are_swept_out() -> None:
    parent = node(0)
    keep = parent + 1

    for _ in range(1_000):
        assert (parent + 1).data == 1

    assert isinstance(parent._children, Children)
    assert len(parent._children) <= 130
    assert [id(child) for child in parent.children] == [id(keep)]


def test_the_limit_grows_with_what_is_alive() -> None:
    parent = node(0)
    kept = [parent + 1 for _ in range(100)]

    assert isinstance(parent._children, Children)
    assert parent._children.limit >= len(kept)
    assert len(parent.children) == 100


def test_a_child_that_uses_its_parent_twice_is_one_child() -> None:
    parent = node(2)
    child = parent * parent

    assert [id(found) for found in parent.children] == [id(child)]
    adopt(parent, weakref.ref(child))
    assert len(parent.children) == 1


def test_disowning() -> None:
    parent = node(2)
    one, two = parent + 1, parent + 2
    other = node(0)

    disown(parent, one)
    assert [id(found) for found in parent.children] == [id(two)]
    disown(other, one)
    assert other.children == []
    lone = other + 1
    disown(other, two)
    assert [id(found) for found in other.children] == [id(lone)]
    disown(other, lone)
    assert other.children == []


def test_adopting_grows_from_one_to_many() -> None:
    parent, nodes = node(0), [node(index) for index in range(40)]

    for child in nodes:
        adopt(parent, weakref.ref(child))
        adopt(parent, weakref.ref(child))

    assert [id(found) for found in living(parent)] == [id(child) for child in nodes]
