from __future__ import annotations

import pytest

from opto.optimizers.utils import (
    extract_first_top_level_block,
    extract_reasoning_and_remainder,
    extract_top_level_blocks,
    extract_xml_like_data,
    print_color,
    strip_nested_blocks,
    truncate_expression,
)


def variable(name: str, value: str) -> str:
    return f"<variable><name>{name}</name><value>{value}</value></variable>"


@pytest.mark.parametrize(
    ("text", "reasoning", "variables"),
    [
        ("no tags at all", "", {}),
        (f"<reasoning> r </reasoning>{variable('a', ' 1 ')}", "r", {"a": "1"}),
        (variable("a", "1") + variable("a", "2"), "", {"a": "2"}),
        (variable("a", ""), "", {"a": ""}),
        (variable(" ", "1"), "", {}),
        ("<variable><name>a</name></variable>", "", {}),
        ("<variable><value>1</value></variable>", "", {}),
        ("<reasoning>all the rest", "all the rest", {}),
        (variable("a", variable("b", "2")), "", {"a": variable("b", "2")}),
        (variable("a", "<reasoning>r</reasoning>"), "", {"a": "<reasoning>r</reasoning>"}),
        ("<variable><value>1</value><name>a</name></variable>", "", {"a": "1"}),
        ("<variable><name>a</name><value>1</value>", "", {}),
    ],
)
def test_tagged_text(text: str, reasoning: str, variables: dict[str, str]) -> None:
    assert extract_xml_like_data(text) == {"reasoning": reasoning, "variables": variables}


def test_other_tags() -> None:
    text = "<why>r</why><v><n>a</n><d>1</d></v>"
    found = extract_xml_like_data(text, "why", "v", "n", "d")
    assert found == {"reasoning": "r", "variables": {"a": "1"}}


def test_blocks() -> None:
    text = "x<a>1<a>2</a></a>y<a>3</a></a>z"
    assert extract_top_level_blocks(text, "a") == ["1<a>2</a>", "3"]
    assert extract_first_top_level_block(text, "a") == "1<a>2</a>"
    assert extract_first_top_level_block(text, "b") is None
    assert strip_nested_blocks(text, "a") == "xy</a>z"
    assert extract_reasoning_and_remainder("a <reasoning>b</reasoning> c") == ("b", "a  c")


def test_cut() -> None:
    assert truncate_expression([1, 2], 100) == "[1, 2]"
    assert truncate_expression("abcdef", 3) == "abc...(skipped due to length limit)"


def test_colours_are_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    print_color("hello", "red")
    assert capsys.readouterr().out == "hello\n"
