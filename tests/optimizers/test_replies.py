"""Replies as models send them: what is read of each, or that it is refused.

tests/data/replies has one JSON object a line: what is odd about the reply, the reply, and what it
proposes (null: it must be refused). Those in local.jsonl were recorded from a local model of half a
billion parameters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opto.errors import ProposalError
from opto.optimizers.names import Wanted
from opto.optimizers.parsing import parse_reply

FOLDER = Path(__file__).resolve().parents[1] / "data" / "replies"
WANTED = (Wanted("x0", ("x:0",)), Wanted("s0", ("s:0",)), Wanted("__code0", (), "f"))


def corpus() -> list[Any]:
    return [
        pytest.param(entry["reply"], entry["expect"], id=f"{path.stem}: {entry['what']}")
        for path in sorted(FOLDER.glob("*.jsonl"))
        for entry in map(json.loads, path.read_text("utf-8").splitlines())
    ]


@pytest.mark.parametrize(("reply", "expected"), corpus())
def test_reply(reply: str, expected: dict[str, object] | None) -> None:
    if expected is None:
        with pytest.raises(ProposalError) as caught:
            parse_reply(reply, WANTED)
        assert caught.value.reason
        assert caught.value.reply == reply
    else:
        values = parse_reply(reply, WANTED).values
        assert json.dumps(values) == json.dumps(expected)


def test_the_corpus_is_large() -> None:
    assert len(corpus()) >= 200
    names = [entry.id for entry in corpus()]
    assert len(set(names)) == len(names)
