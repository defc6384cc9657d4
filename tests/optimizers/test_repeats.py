from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers.repeats import Part, parts_of


def written(parts: list[Part] | tuple[Part, ...], text: str) -> str:
    """The parts as ``a4(bc)d``."""
    return "".join(
        f"{part.times}({written(part.body, text)})" if part.body else text[part.start]
        for part in parts
    )


def unfolded(part: Part) -> Iterator[Part]:
    """The items that a part stands for, in order."""
    if not part.body:
        yield part
    for time in range(part.times if part.body else 0):
        shift = time * part.period
        for item in part.body:
            for leaf in unfolded(item):
                yield Part(leaf.start + shift)


def test_what_repeats_is_found() -> None:
    for text, expected in {
        "abc": "abc",
        "aaa": "aaa",
        "aaaa": "4(a)",
        "xababababy": "x4(ab)y",
        "abac" * 6: "a5(baca)bac",
        "aaaaabbbbb": "5(a)5(b)",
    }.items():
        assert written(parts_of(text), text) == expected


def test_repetitions_within_repetitions() -> None:
    inner = "x" + "ab" * 5 + "y"
    text = "s" + inner * 6 + "e"
    assert written(parts_of(text), text) == "s6(x5(ab)y)e"


@given(st.text("abc", max_size=80))
def test_nothing_is_lost(text: str) -> None:
    found = [leaf for part in parts_of(text) for leaf in unfolded(part)]
    assert "".join(text[leaf.start] for leaf in found) == text
    assert [sum(part.length for part in parts_of(text))] == [len(text)]


def test_long_sequences_take_linear_time() -> None:
    text = ("ab" * 1000 + "c") * 50
    parts = parts_of(text)
    assert sum(part.length for part in parts) == len(text)
    assert len(parts) < 10
