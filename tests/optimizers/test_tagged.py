from __future__ import annotations

import pytest

from opto.errors import ProposalError
from opto.optimizers.tagged import Tagged, first_tag, read_tagged


def variable(name: str, value: str) -> str:
    return f"<variable>\n<name>{name}</name>\n<value>\n{value}\n</value>\n</variable>"


def test_reasoning_variables_and_the_rest() -> None:
    reply = f"Hm.\n<reasoning>\nwhy\n</reasoning>\n{variable('a', '1')}\n{variable('b', '')}\nDone."
    assert read_tagged(reply) == Tagged("why", (("a", "1"), ("b", "")), "Hm.\n\n\n\nDone.")
    assert first_tag(reply) == 4
    assert first_tag("no <variable> here") == len("no <variable> here")


@pytest.mark.parametrize(
    "value",
    [
        "if a < b and c > d:\n    return '<b>'",
        "<variable>\n<name>x</name><value>1</value></variable>",
        "<value>inner</value> and more",
        "<reasoning>not mine</reasoning>",
        "```python\nx\n```",
        "<value>1</value><constraint>any</constraint> and more",
    ],
)
def test_values_are_taken_as_they_stand(value: str) -> None:
    assert read_tagged(variable("a", value)).variables == (("a", value),)


@pytest.mark.parametrize(
    "reply",
    [
        "<variable><value>1</value><name>a</name></variable>",
        "<VARIABLE><Name> a </Name><VALUE>1</VALUE></VARIABLE>",
        '<variable name="a" type="int"><value>1</value></variable>',
        "<variable><name>a</name><value>1</value>",
        "<variable><name>a</name><value><![CDATA[1]]></value></variable>",
        "<variable><name>a</name><value>1</value>\n<constraint>\nx < 5\n</constraint>\n</variable>",
        "<variable><name>a</name><value>1</value><constraint>up to 5</constraint>",
        "<variable><name>a</name><value>\n1\n</variable>\n",
        "<reasoning>never closed <variable><name>a</name><value>1</value></variable>",
    ],
)
def test_variations(reply: str) -> None:
    assert read_tagged(reply).variables == (("a", "1"),)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("<variable><name>a</name><value>1", "isn't closed"),
        ("<variable><name>a</name><value>1</variable> and more", "isn't closed"),
        ("<variable><name>a</name><value>1<value>2</variable>", "isn't closed"),
        ("<variable><name>a</name>1</variable>", "needs"),
        ("<variable><value>1</value></variable>", "no <name>"),
        ("<variable><name> </name><value>1</value></variable>", "no <name>"),
        (f"{variable('a', '1')}<variable>b=2</variable>", "don't fit"),
        (f"{variable('a', 'x = </value></variable>')}", "don't fit"),
    ],
)
def test_what_is_broken(reply: str, why: str) -> None:
    with pytest.raises(ProposalError) as caught:
        read_tagged(reply)
    assert why in caught.value.reason
