from __future__ import annotations

import pytest

from opto.optimizers.names import Wanted
from opto.optimizers.parsing import ReplyKeys, parse_reply
from opto.optimizers.worked_example import EXAMPLE, REASONING, json_answer, tagged_answer

KEYS = ReplyKeys("why", None, "values")


@pytest.mark.parametrize(
    ("answer", "keys"),
    [(json_answer(ReplyKeys()), None), (json_answer(KEYS), KEYS), (tagged_answer(), None)],
)
def test_the_example_can_be_read(answer: str, keys: ReplyKeys | None) -> None:
    found = parse_reply(answer, [Wanted(name) for name in EXAMPLE.variables], keys=keys)
    assert {name: str(value) for name, value in found.values.items()} == {"a0": "9"}
    assert found.reasoning == REASONING


def test_an_answer_is_left_out_where_none_is_wanted() -> None:
    assert '"answer"' in json_answer(ReplyKeys())
    assert '"answer"' not in json_answer(KEYS)
