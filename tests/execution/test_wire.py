"""Plain data crosses with exact types; hostile bytes give one typed error and take no time."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import MalformedMessage, NotPlainData
from opto.execution.wire import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ITEMS,
    decode,
    encode,
    frame,
    length_of,
)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters())  # lone surrogates included
    | st.binary()
)
KEYS = st.recursive(
    LEAVES, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=4
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


def spelled(value: Any) -> str:
    """The value as text that tells types and all floats apart and knows no order of sets."""
    items: Any = value.items() if isinstance(value, dict) else value
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        parts = map(spelled, items)
        inner = ", ".join(sorted(parts) if isinstance(value, (set, frozenset)) else parts)
        return f"{type(value).__name__}({inner})"
    return f"{type(value).__name__} {value!r}"


@given(VALUES)
def test_values_come_back_with_their_types(value: Any) -> None:
    assert spelled(decode(encode(value))) == spelled(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        -0.0,
        10**5000,
        -(2**63),
        2**63,
        "\ud83d\ude00",  # two lone surrogates, not one character
        "\udcff",
        {1: "one", (2, 3): {4}},
        {"deep": [[[[()]]]]},
        True,
        b"\x00\xff",
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_other_formats_change(value: Any) -> None:
    back = decode(encode(value))

    assert type(back) is type(value)
    assert back == value or math.isnan(back)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<i4").reshape(2, 3),
        np.array([[1.5, math.inf]], dtype=">f8"),
        np.array(["a", "bc"]),
        np.array(True),
        np.zeros((0, 3)),
        np.array([1 + 2j]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_of_numbers_cross(array: Any) -> None:
    back = decode(encode([array]))[0]

    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert (back == array).all()
    assert back.flags.writeable


def test_numpy_scalars_stay_what_they_are() -> None:
    back = decode(encode([np.float64(2.5), np.int32(3), np.bool_(True)]))

    assert [type(item) for item in back] == [np.float64, np.int32, np.bool_]
    assert back == [2.5, 3, True]


class Text(str):
    __slots__ = ()


class Always(float):
    def __gt__(self, _: object) -> bool:
        return True


@pytest.mark.parametrize(
    "value",
    [
        Text("x"),
        Always(1),
        object(),
        len,
        np.array([object()], dtype=object),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        range(3),
        ValueError("x"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("around", [lambda v: v, lambda v: [{"k": (v,)}]])
def test_what_is_not_plain_is_refused(value: Any, around: Any) -> None:
    with pytest.raises(NotPlainData, match="plain data"):
        encode(around(value))


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_capped_without_recursion() -> None:
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(NotPlainData, match="deeper than 200"):
        encode(nested(100_000))
    myself: list[Any] = []
    myself.append(myself)
    with pytest.raises(NotPlainData, match="deeper than 200"):
        encode(myself)


@pytest.mark.parametrize(
    "value", ["x" * (MAX_BYTES + 1), b"x" * (MAX_BYTES + 1), [b"x" * (MAX_BYTES // 2)] * 3]
)
def test_size_is_capped(value: Any) -> None:
    with pytest.raises(NotPlainData, match="bytes"):
        encode(value)


def test_count_is_capped() -> None:
    with pytest.raises(NotPlainData, match=f"more than {MAX_ITEMS} items"):
        encode([None] * (MAX_ITEMS + 1))


# ---- hostile bytes -------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_one_error(data: bytes) -> None:
    try:
        value = decode(data)
    except MalformedMessage:
        return
    assert decode(encode(value)) is not None or value is None


@given(VALUES, st.data())
def test_damaged_messages_are_a_value_or_one_error(value: Any, data: st.DataObject) -> None:
    message = bytearray(encode(value))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for damaged in (bytes(message), bytes(message[:cut])):
        try:
            decode(damaged)
        except MalformedMessage:
            continue


def tagged(tag: str, count: int, rest: bytes = b"") -> bytes:
    return tag.encode() + struct.pack(">I", count) + rest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NN",
        b"?",
        tagged("l", 0xFFFFFFFF),
        tagged("D", 0x7FFFFFFF, b"N"),
        tagged("s", 5, b"abc"),
        tagged("s", 2, b"\xff\xfe"),
        tagged("I", 0xFFFFFFFF),
        tagged("S", 1, tagged("l", 0)),
        tagged("D", 2, b"TNTN"),
        tagged("S", 2, b"TT"),
        tagged("l", 1) * 100_000 + b"N",
        b"A" + encode("|O") + encode((1,)) + encode(b"12345678"),
        b"A" + encode("<f8") + encode((10**9,)) + encode(b"12345678"),
        b"A" + encode("<f8") + encode("no shape") + encode(b"12345678"),
        b"A" + encode(1) + encode(2) + encode(3),
        b"G" + encode("<f8") + encode(()) + encode(b""),
    ],
)
def test_forged_messages(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(data)


def test_a_bomb_of_empty_containers_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="more items"):
        decode(tagged("l", 2_500_000, tagged("l", 0) * 2_500_000))


@pytest.mark.parametrize("tag", ["S", "Z", "D"])
def test_keys_of_equal_hash_are_refused(tag: str) -> None:
    keys = [encode(number * (2**61 - 1)) for number in range(1000)]
    value = b"N" if tag == "D" else b""
    with pytest.raises(MalformedMessage, match="equal hashes"):
        decode(tagged(tag, len(keys), b"".join(key + value for key in keys)))


def test_frames_announce_their_length() -> None:
    assert length_of(frame(b"abc")[:4]) == 3
    with pytest.raises(MalformedMessage, match="over the limit"):
        length_of(b"\xff\xff\xff\xff")
    with pytest.raises(MalformedMessage, match="over the limit"):
        decode(b"N" * (MAX_BYTES + 1))
