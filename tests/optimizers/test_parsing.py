from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opto.errors import ProposalError
from opto.optimizers.names import Wanted
from opto.optimizers.parsing import Proposal, ReplyKeys, fenced_blocks, parse_reply

WANTED = (
    Wanted("x0", ("x:0",)),
    Wanted("a0", ("a:0",)),
    Wanted("b0", ("b:0",)),
    Wanted("__code0", ("__code:0",), function="f"),
)
NO_CODE = WANTED[:3]


def values(reply: str, wanted: tuple[Wanted, ...] = WANTED) -> dict[str, object]:
    return dict(parse_reply(reply, wanted).values)


def refusal(reply: str, wanted: tuple[Wanted, ...] = WANTED) -> str:
    with pytest.raises(ProposalError) as caught:
        parse_reply(reply, wanted)
    assert caught.value.reply == reply
    return caught.value.reason


@pytest.mark.covers("C02")
def test_c02_the_word_for_no_change_counts_only_as_the_whole_answer() -> None:
    reply = {"reasoning": "judge said 'Correct [TERMINATE]' before", "suggestion": {"x0": 5}}
    assert values(json.dumps(reply)) == {"x0": 5}
    assert values('{"suggestion": {"a0": "TERMINATE"}}') == {"a0": "TERMINATE"}


@pytest.mark.parametrize(
    "reply",
    [
        "TERMINATE",
        " **TERMINATE**.\n",
        "```\nTERMINATE\n```",
        '"TERMINATE"',
        '{"reasoning": "fine", "answer": "TERMINATE", "suggestion": {}}',
        '{"reasoning": "fine", "answer": "TERMINATE"}',
        '{"suggestion": "TERMINATE"}',
        '{"suggestion": null}',
        '{"suggestion": {}}',
        "<reasoning>fine</reasoning>\nTERMINATE",
        "<think>hm {</think>TERMINATE",
    ],
)
def test_no_change(reply: str) -> None:
    assert parse_reply(reply, WANTED).unchanged
    assert values(reply) == {}


@pytest.mark.covers("C03")
def test_c03_two_values_are_not_merged_into_one() -> None:
    reply = '{"reasoning": "bad "quotes"", "suggestion": {"a0": "one", "b0": "two"}}'
    assert values(reply) == {"a0": "one", "b0": "two"}


@pytest.mark.covers("C04")
def test_c04_fences_inside_a_value_belong_to_it() -> None:
    text = "Answer in ```json ... ``` please"
    assert values(json.dumps({"suggestion": {"a0": text}})) == {"a0": text}
    assert values(f"```json\n{json.dumps({'suggestion': {'a0': text}})}\n```") == {"a0": text}


@pytest.mark.covers("C15")
def test_c15_a_name_that_is_not_known_is_an_error_that_lists_the_known_ones() -> None:
    reason = refusal("<variable><name>X_0</name><value>5</value></variable>")
    assert "'X_0'" in reason
    assert "x0, a0, b0, __code0" in reason
    assert "'x1'" in refusal('{"suggestion": {"x0": 5, "x1": 6}}')


@pytest.mark.covers("C16")
def test_c16_an_answer_that_is_no_json_is_an_error() -> None:
    assert "no JSON" in refusal("sorry", NO_CODE)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('Sure!\n```json\n{"suggestion": {"x0": 5}}\n```\nHope {it} helps', {"x0": 5}),
        ("{'suggestion': {'x0': 5, 'a0': None, 'b0': True,},}", {"x0": 5, "a0": None, "b0": True}),
        (
            '{"suggestion": {"x0": 5, // five\n /* and */ "a0": "line\nbreak" # no\n}}',
            {"x0": 5, "a0": "line\nbreak"},
        ),
        (
            '{"suggestion": {"a0": "\\d+ \\_ \\u0041 \\ud83d\\ude00"}}',
            {"a0": "\\d+ \\_ A \U0001f600"},
        ),
        ("{suggestion: {x0: -1.5e3}}", {"x0": -1500.0}),
        ("{“suggestion”: {“a0”: “hi”}}", {"a0": "hi"}),
        ('{"x0": 5, "reasoning": "whole object"}', {"x0": 5}),
        ('{"Suggestion ": {" X0": "5"}}', {"x0": "5"}),
        ('{"suggestion": {"x:0": 5}}', {"x0": 5}),
        ('{"suggestion": {"x\u200b0": 5}}', {"x0": 5}),
        (
            '{"suggestion": {"`a0`": "\u05e9\u05dc\u05d5\u200d"}}',
            {"a0": "\u05e9\u05dc\u05d5\u200d"},
        ),
        ('{"suggestion": {"x0": 5}', {"x0": 5}),
        ('```json\n{"suggestion": {"x0": 5}\n```', {"x0": 5}),
        ('{"suggestion": {"x0": 5}} and {"suggestion": {"a0": "6"}}', {"x0": 5, "a0": "6"}),
        ('{"suggestion": {"x0": 5}} again {"suggestion": {"x0": 5}}', {"x0": 5}),
        ('I saw {"y": 1} and {x}. {"suggestion": {"x0": 5}}', {"x0": 5}),
        ('{"suggestion": [{"name": "x0", "value": 3}]}', {"x0": 3}),
        ('{"suggestion": {"a0": "Say "yes" or "no""}}', {"a0": 'Say "yes" or "no"'}),
        (
            '{"suggestion": {"a0": ["x", "y"], "x0": {"k": [1, 2]}}}',
            {"a0": ["x", "y"], "x0": {"k": [1, 2]}},
        ),
        (
            '{"suggestion": {"a0": "<variable><name>b0</name><value>1</value></variable>"}}',
            {"a0": "<variable><name>b0</name><value>1</value></variable>"},
        ),
        ('<think>{"suggestion": {"x0": 3}}</think>{"suggestion": {"x0": 4}}', {"x0": 4}),
        ('{"suggestion": {"a0": """two\nlines"""}}', {"a0": "two\nlines"}),
        (
            '{"suggestion": {"__code0": ```python\ndef f():\n    return "\\n"\n```}}',
            {"__code0": 'def f():\n    return "\\n"\n'},
        ),
    ],
)
def test_json_as_models_write_it(reply: str, expected: dict[str, object]) -> None:
    assert values(reply) == expected


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        (" \n\u200b", "empty"),
        ('{"suggestion": {"x0": 5', "can't be read"),
        ('{"suggestion": {"x0": 5, "a0": "ab', "isn't closed"),
        ('{"x0": 5', "cut off"),
        ('{"reasoning": "and so on", "answer": "5"}', "no 'suggestion'"),
        ('{"suggestion": "x0 = 5"}', "must be an object"),
        ('{"suggestion": {"x0": 5}} no: {"suggestion": {"x0": 6}}', "several different values"),
        ('{"suggestion": {"x0": 5, "X0": 6}}', "several different values"),
        ('{"suggestion": {"x0": 5, "x0": 6}}', "twice"),
        ('{"suggestion": {"x0": 1/2}}', "can't be read"),
        ('{"suggestion": {"x0": five}}', "can't be read"),
        ('{"suggestion": {"x0": ...}}', "can't be read"),
        ('{"suggestion": {"x0": ' + "9" * 5000 + "}}", "not a number"),
        ('{"suggestion": {"x0": ' + "[" * 1000 + "]" * 1000 + "}}", "too deep"),
        ("<think>and so on", "ends before its answer"),
        ('{"suggestion": {"x0": 5}} <variable><name>a0</name><value>1</value></variable>',
         "both JSON and"),
        ("<variable><name>a0</name><value>half", "isn't closed"),
        ("<variable><value>1</value></variable>", "no <name>"),
        ("<variable><name>a0</name><value>1</value></variable><variable>x0=5</variable>",
         "don't fit together"),
        ('<variable><name>a0</name><value>1</value></variable> {"suggestion": {"a0": 2}}',
         "several different values"),
    ],
)  # fmt: skip
def test_what_has_no_certain_reading_is_refused(reply: str, why: str) -> None:
    assert why in refusal(reply, NO_CODE)


def test_own_keys() -> None:
    keys = ReplyKeys(reasoning="why", answer=None, suggestion="new")
    proposal = parse_reply('{"why": "because", "new": {"x0": 1}}', WANTED, keys=keys)
    assert proposal == Proposal({"x0": 1}, "because")


def test_a_parameter_may_be_called_like_a_key() -> None:
    wanted = [Wanted("suggestion"), Wanted("reasoning")]
    assert values('{"suggestion": {"suggestion": "a"}}', tuple(wanted)) == {
        "suggestion": {"suggestion": "a"}
    }


@pytest.mark.parametrize("reply", [None, 3, {"suggestion": {}}])
def test_a_reply_that_is_no_text(reply: object) -> None:
    with pytest.raises(ProposalError, match="not text"):
        parse_reply(reply, WANTED)


# ---- tagged --------------------------------------------------------------------------------------


def test_tagged() -> None:
    reply = """I think.
<reasoning>Maybe {"x0": 7}?</reasoning>
<variable>
<name>x0</name>
<value>
5
</value>
</variable>
```xml
<Variable name="a0" type="str"><value>if a < b & "c": <b>bold</b> </value></Variable>
```"""
    proposal = parse_reply(reply, WANTED)
    assert dict(proposal.values) == {"x0": "5", "a0": 'if a < b & "c": <b>bold</b>'}
    assert proposal.reasoning == 'Maybe {"x0": 7}?'


def test_tags_inside_a_value_are_its_text() -> None:
    inner = "<variable><name>b0</name><value>1</value></variable>"
    reply = f"<variable><name>a0</name><value>{inner}</value></variable>"
    assert values(reply) == {"a0": inner}


def test_json_after_reasoning_tags() -> None:
    assert values('<reasoning>so</reasoning>{"suggestion": {"x0": 1}}') == {"x0": 1}


# ---- code blocks ---------------------------------------------------------------------------------

CODE = "def f(x):\n    return x"


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{CODE}\n```",
        f"Here you are:\n```\n{CODE}\n```\nIt works.",
        f"```python\n{CODE}\n",
        CODE,
        f"```python\nprint(1)\n```\nor\n```py\n{CODE}\n```\n",
        f"~~~python\n{CODE}\n~~~",
    ],
)
def test_a_block_of_code(reply: str) -> None:
    assert values(reply) == {"__code0": CODE}


def test_a_fence_inside_the_code_of_a_longer_fence() -> None:
    code = 'def f():\n    return """\n```\n"""'
    assert values(f"````python\n{code}\n````") == {"__code0": code}


def test_several_blocks_that_differ() -> None:
    reply = f"```\n{CODE}\n```\n```\n{CODE} + 1\n```"
    assert "several different blocks" in refusal(reply)


def test_blocks_are_not_read_where_no_code_or_more_than_one_is_wanted() -> None:
    reply = f"```python\n{CODE}\n```"
    refusal(reply, NO_CODE)
    refusal(reply, (*WANTED, Wanted("__code1", function="g")))


def test_fenced_blocks() -> None:
    assert fenced_blocks("a\n```x\n1\n```\nb\n```\n2\n```") == ["1\n", "2\n"]


# ---- properties ----------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    ['{"suggestion": {', '"x0": ', '"a0": ', "5", '"', "'", "}", "]", "[", ",", ":", "\\", "\n",
     "<variable>", "<name>x0</name>", "<value>", "</value>", "</variable>", "<reasoning>", "```",
     "python\n", "def f():\n", " return 1", "TERMINATE", "null", '"""', "//", "\u200b", "\ud800"]
)  # fmt: skip
NOISE = st.one_of(st.text(), st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join))


@settings(deadline=None)
@given(NOISE)
@example('{"suggestion": {"x0": "\\ud800"}}')
def test_nothing_but_proposal_errors(reply: str) -> None:
    try:
        proposal = parse_reply(reply, WANTED)
    except ProposalError:
        return
    assert set(proposal.values) <= {item.name for item in WANTED}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["x0", "a0", "b0"]), PLAIN), st.text(), st.booleans())
def test_every_valid_reply_is_read_as_it_is(
    suggestion: dict[str, object], reasoning: str, ascii_only: bool
) -> None:
    reply = json.dumps(
        {"reasoning": reasoning, "suggestion": suggestion}, ensure_ascii=ascii_only, indent=1
    )
    fenced = f"Well:\n```json\n{reply}\n```\nThat's it."
    for text in (reply, fenced, reply[:-1]):
        proposal = parse_reply(text, WANTED)
        assert json.dumps(dict(proposal.values)) == json.dumps(suggestion)
        assert proposal.reasoning == reasoning


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["x0", "a0"]), st.text(max_size=20), min_size=1), st.data())
def test_a_cut_reply_gives_the_whole_proposal_or_none(
    suggestion: dict[str, object], data: st.DataObject
) -> None:
    reply = json.dumps({"suggestion": suggestion, "reasoning": "why"})
    cut = data.draw(st.integers(0, len(reply)))
    try:
        proposal = parse_reply(reply[:cut], NO_CODE)
    except ProposalError:
        return
    assert dict(proposal.values) == suggestion


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["x0", "a0"]), st.text(max_size=20), min_size=1))
def test_python_literals_are_read_as_python_does(suggestion: dict[str, object]) -> None:
    reply = repr({"reasoning": "it's so", "suggestion": suggestion})
    try:
        proposal = parse_reply(reply, NO_CODE)
    except ProposalError:
        return
    assert {k: str(v) for k, v in proposal.values.items()} == suggestion


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["x0", "a0"]), st.text(), min_size=1))
def test_every_tagged_reply_is_read_as_it_is_or_refused(suggestion: dict[str, str]) -> None:
    reply = "\n".join(
        f"<variable>\n<name>{name}</name>\n<value>\n{value}\n</value>\n</variable>"
        for name, value in suggestion.items()
    )
    assert values(reply, NO_CODE) == {name: value.strip() for name, value in suggestion.items()}


@pytest.mark.parametrize(
    "reply",
    [
        "{" * 1_000_000,
        '{"a":' * 200_000,
        '{"' * 500_000,
        "[" * 1_000_000,
        "```\n" * 250_000,
        "<variable><name>x0</name><value>" * 30_000,
        "<reasoning>" * 90_000,
        '{"suggestion": {"a0": "' + '","' * 330_000,
        '{"suggestion": {"a0": /*' * 40_000,
        "x" * 1_000_000,
    ],
    ids=range(10),
)
def test_a_megabyte_of_nonsense_is_refused(reply: str) -> None:
    refusal(reply)


def test_a_megabyte_of_text_is_read() -> None:
    text = 'a "quoted" \\ line\n' * 60_000
    assert values(json.dumps({"suggestion": {"a0": text}})) == {"a0": text}
    assert values(f"<variable><name>a0</name><value>{text}</value></variable>") == {
        "a0": text.strip()
    }
