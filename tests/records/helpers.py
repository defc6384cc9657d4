"""What the tests of records share."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from opto.trace import Module
from opto.trace.containers import Seq
from opto.trace.nodes import ParameterNode


def bits(data: bytes) -> float:
    found: float = struct.unpack(">d", data)[0]
    return found


SURROGATES = st.characters(codec=None, categories=["Cs", "Zl", "Zp", "Cc", "Lu", "So", "Zs", "Cf"])
TEXTS = st.text(st.one_of(st.characters(codec="utf-8"), SURROGATES, st.sampled_from('\n\r\\"| #')))
FLOATS = st.one_of(st.floats(), st.binary(min_size=8, max_size=8).map(bits))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**60), max_value=10**60),
    FLOATS,
    st.complex_numbers(),
    TEXTS,
    st.binary(max_size=80),
)
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner)), max_leaves=5
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(HASHABLE),
        st.frozensets(HASHABLE),
        st.dictionaries(HASHABLE, inner),
    ),
    max_leaves=20,
)


def exact(value: Any) -> Any:
    """Something that is equal for values that are the same to the last bit, types included."""
    kind = type(value)
    if kind is float:
        return kind, struct.pack(">d", value)
    if kind is complex:
        return kind, exact(value.real), exact(value.imag)
    if kind in {list, tuple}:
        return kind, [exact(item) for item in value]
    if kind in {set, frozenset}:
        return kind, sorted(repr(exact(item)) for item in value)
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    return kind, value


class Agent(Module):
    """A module with parameters of several kinds, at several depths."""

    def __init__(self, prompt: str = "Be brief.") -> None:
        self.prompt = ParameterNode(
            prompt, name="prompt", description="what the model is told", constraint="one sentence"
        )
        self.tools = Seq(ParameterNode(3, name="count"), ParameterNode([1.5, None], name="weights"))

    @property
    def values(self) -> list[Any]:
        return [parameter._data for parameter in self.parameters()]


def one(value: Any) -> Module:
    """A module with one parameter, x."""
    made = Module()
    made.x = ParameterNode(value, name="x")
    return made


def saved(value: Any, folder: Path) -> bytes:
    one(value).save(folder / "x.txt")
    return (folder / "x.txt").read_bytes()


def names(folder: Path) -> list[str]:
    """What is in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
