"""Faults of the original with bundled methods: none may be ours."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from opto.trace import bundle


@pytest.mark.covers("A36")
def test_methods_of_one_operator_name_are_two() -> None:
    class Actor:
        @bundle("[act] one")
        def first(self) -> int:
            return 1

        @bundle("[act] two")
        def second(self) -> int:
            return 2

    actor = Actor()

    assert (actor.first().data, actor.second().data, actor.first().data) == (1, 2, 1)


@pytest.mark.covers("A37", "S5.9.4")
def test_class_methods_do_not_disturb_instances() -> None:
    class Maker:
        @bundle()
        def get(self) -> Any:
            return self

        @classmethod
        @bundle()
        def make(cls) -> Any:
            return cls

    assert Maker.make().data is Maker
    maker = Maker()
    assert maker.get().data is maker
    assert maker.make().data is Maker
    other = Maker()
    assert other.get().data is other


@pytest.mark.covers("A38")
def test_a_bundle_over_a_static_method() -> None:
    class Plain:
        @bundle()
        @staticmethod
        def below(x: int) -> int:
            return x

        @staticmethod
        @bundle()
        def above(x: int) -> int:
            return x

    for place in (Plain, Plain()):
        assert place.below(1).data == 1
        assert place.above(2).data == 2
        assert list(place.below(1).inputs) == ["x"]


@pytest.mark.covers("A38")
def test_a_bundle_over_a_class_method() -> None:
    class Maker:
        @bundle()
        @classmethod
        def make(cls) -> Any:
            return cls

    assert Maker.make().data is Maker
    assert Maker().make().data is Maker


class Slotted:
    """No place to keep anything."""

    __slots__ = ()

    @bundle()
    def get(self) -> Any:
        return self

    @bundle(trainable=True)
    def learn(self) -> int:
        return 1


@dataclass(frozen=True)
class Frozen:
    """Nothing may be set."""

    value: int = 1

    @bundle()
    def get(self) -> Any:
        return self

    @bundle(trainable=True)
    def learn(self) -> int:
        return self.value


@pytest.mark.covers("A38")
@pytest.mark.parametrize("make", [Slotted, Frozen])
def test_methods_of_classes_that_keep_nothing(make: Any) -> None:
    made, other = make(), make()

    assert made.get().data is made
    assert other.get().data is other
    assert made.learn().data == 1
    assert made == make() or make is Slotted


@pytest.mark.covers("A39")
def test_shallow_copies_have_methods_of_their_own() -> None:
    class Holder:
        def __init__(self) -> None:
            self.value = 1

        @bundle()
        def get(self) -> int:
            return self.value

    holder = Holder()
    assert holder.get().data == 1
    twin = copy.copy(holder)
    twin.value = 2

    assert twin.get().data == 2
    assert holder.get().data == 1
    assert twin.get().inputs["self"].data is twin


@pytest.mark.covers("A39")
def test_deep_copies_have_methods_of_their_own() -> None:
    class Holder:
        def __init__(self) -> None:
            self.value = 1

        @bundle(trainable=True)
        def get(self) -> int:
            return self.value

    holder = Holder()
    assert holder.get().data == 1
    twin = copy.deepcopy(holder)
    twin.value = 2

    assert twin.get().data == 2
    assert holder.get().data == 1
    assert twin.get.parameter is not holder.get.parameter


@pytest.mark.covers("A88")
@pytest.mark.parametrize("decorator", [staticmethod, classmethod, property])
def test_other_decorators_above_a_method_do_not_matter(decorator: Any) -> None:
    class Mixed:
        @decorator  # type: ignore[untyped-decorator]  # any of three
        def first(self) -> int:
            return 1

        @bundle()
        def second(self) -> int:
            return 2

        @bundle(trainable=True)
        def third(self) -> int:
            return 3

    assert Mixed().second().data == 2
    assert Mixed().third().data == 3


@pytest.mark.covers("A89")
@pytest.mark.parametrize("trainable", [False, True])
def test_class_attributes_that_cannot_be_copied_do_not_matter(trainable: bool) -> None:
    class Locked:
        lock = threading.Lock()

        @bundle(trainable=trainable)
        def locked(self) -> bool:
            with self.lock:
                return self.lock.locked()

    assert Locked().locked().data is True


@pytest.mark.covers("A90")
def test_instances_share_what_the_class_has() -> None:
    class Shared:
        table: ClassVar = [0, 1, 2]

        @bundle()
        def get(self) -> Any:
            return self.table

    assert Shared().get().data is Shared.table


def label(decorated: Any) -> Any:
    """A decorator that leaves the function as it is."""
    return decorated


@pytest.mark.covers("A88", "A50")
def test_bundled_properties() -> None:
    class Known:
        @property
        @label
        @bundle()
        def score(self) -> int:
            return 7

    assert Known().score.data == 7
