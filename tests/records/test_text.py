from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opto.records import text
from tests.records.helpers import FLOATS, TEXTS, exact


@given(TEXTS)
@example("\ud800\udc00")
@example("a\r\nb\x85c\u2028d\u2029e\x0bf\x0cg\x1ch")
@example("  ")
@example("\\u0041")
def test_texts_in_quotes_come_back(value: str) -> None:
    written = text.quoted(value)

    assert text.unquoted(written) == value
    assert written.isprintable()


@given(TEXTS)
@example("")
@example("\n")
@example(" \n\t\n x \n")
@example("| a\n\\ b\n# c\n[d]")
def test_texts_in_blocks_come_back(value: str) -> None:
    lines = text.block(value)

    assert text.unblock(lines) == value
    assert all(line.replace("\t", "").isprintable() for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_block_shows_what_can_be_seen_and_marks_what_cannot() -> None:
    assert text.block("def f():\n\treturn 'é\\n'\n") == [
        "| def f():",
        "| \treturn 'é\\n'",
        "|",
    ]
    assert text.block("a \nb\u200bc\\") == ["\\ a\\u0020", "\\ b\\u200bc\\\\"]


@given(st.integers())
@example(10**5000)
@example(-(2**128))
def test_whole_numbers_come_back(value: int) -> None:
    assert text.as_integer(text.integer(value)) == value


@given(FLOATS)
@example(-0.0)
@example(math.inf)
@example(5e-324)
@example(1e16)
def test_numbers_come_back_to_the_bit(value: float) -> None:
    assert exact(text.as_real(text.real(value))) == exact(value)


@pytest.mark.parametrize("written", ['"', '"a', '"a" b', '"\\q"', '"\\u12"', '"\\U00110000"', "a"])
def test_what_is_no_text_in_quotes_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        text.unquoted(written)


@pytest.mark.parametrize("line", ["", "a", "|a", "\\", "\\ \\", "\\ \\x41", " | a"])
def test_what_is_no_line_of_a_block_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        text.unblock([line])


@pytest.mark.parametrize(
    "token", ["", "+1", "01", "1_0", "٣", "0X1", "1" * 60, "1.0", "--1", "1\n"]
)
def test_what_is_no_whole_number_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="no whole number"):
        text.as_integer(token)


@pytest.mark.parametrize(
    "token",
    ["", "1", "1.", ".5", "1e5", "Infinity", "-nan", "nan:7ff0000000000000", "1.0_0", "٣.٣"],
)
def test_what_is_no_number_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        text.as_real(token)
