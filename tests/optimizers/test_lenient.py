from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers.lenient import Found, Loose, Malformed, read_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON), st.text(), st.booleans())
def test_json_is_read_as_json(value: dict[str, object], after: str, compact: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if compact else None)
    assert read_object(f"x{text}{after}", 1) == Found(value, len(text) + 1)


NAMES = st.text("abc_", min_size=1)
SIMPLE = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab c.\n"),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, SIMPLE, min_size=1))
def test_python_is_read_as_python(value: dict[str, object]) -> None:
    text = repr(value)
    assert read_object(text, 0).value == ast.literal_eval(text)


@given(st.text("{}[]\"',:\\ a1\n`/#*"))
def test_nothing_but_malformed(text: str) -> None:
    try:
        found = read_object("{" + text, 0)
    except Malformed as error:
        assert 0 <= error.position <= len(text) + 1  # noqa: PT017 - or it wasn't raised
    else:
        assert 0 < found.end <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 'it's'}", "it's"),
        ('{"a": "b", /* c */}', "b"),
        ('{"a": "b" // c\n}', "b"),
        ('{"a": (1, 2,)}', [1, 2]),
        ('{a: `b "c" d`}', 'b "c" d'),
        ('{"a": "b\\\nc"}', "b\nc"),
        ('{"a": "\\x41\\u0042\\U00000043\\q"}', "ABC\\q"),
        ("{\"a\": '''x\n\"y\"'''}", 'x\n"y"'),
        ('{"a": """x\\ny"""}', "x\ny"),
        ('{"a": +1.5}', 1.5),
        ('{"a": 1_000}', 1000),
        ('{"a": -Infinity}', float("-inf")),
        ('{"a": {"b": "x = {"k": "v", "n": 1}"}}', None),
        ('{"a": [1 2]}', None),
        ('{"a": 007x}', None),
        ('{"a" 1}', None),
        ("{1: 2}", None),
    ],
)
def test_dialects(text: str, value: object) -> None:
    if value is None:
        with pytest.raises(Malformed):
            read_object(text, 0)
    else:
        assert read_object(text, 0).value == {"a": value}


def test_quotes_that_could_mean_something_else_are_marked() -> None:
    loose = read_object('{"a": "one" + "two"}', 0).value["a"]
    assert isinstance(loose, Loose)
    quoted = read_object('{"a": "Say "yes"."}', 0).value["a"]
    assert quoted == 'Say "yes".'
    assert not isinstance(quoted, Loose)


def test_keys_read_before_the_fault_are_told() -> None:
    with pytest.raises(Malformed) as caught:
        read_object('{"a": 1, "b": {"c": ?}}', 0)
    assert caught.value.keys == ("a", "b")


def test_an_object_without_its_end() -> None:
    assert read_object('{"a": {"b": 1}', 0) == Found({"a": {"b": 1}}, 14, closed=False)
    assert not read_object("{a: 1, ", 0).closed
    with pytest.raises(Malformed):
        read_object("{a: ", 0)


def test_a_key_given_twice() -> None:
    assert read_object('{"a": 1, "a": 1}', 0).value == {"a": 1}
    with pytest.raises(Malformed, match="twice") as caught:
        read_object('{"a": 1, "a": 2}', 0)
    assert "a" in caught.value.keys
    with pytest.raises(Malformed, match="twice"):
        read_object('{"s": {"a": 1, "a": true}}', 0)
