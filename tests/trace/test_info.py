from __future__ import annotations

from typing import Any

from opto.trace import bundle
from tests.trace.helpers import node


@bundle()
def scale(x: int, factor: int = 2) -> int:
    """Scale."""
    return x * factor


def test_facts_of_a_call() -> None:
    info = scale(node(3)).info

    assert info["fun_name"] == info["_fun_name"] == "scale"
    assert info["doc"] == "Scale."
    assert info["source"].startswith("def scale(x: int, factor: int = 2)")
    assert info["output"] == 6
    assert info["external_dependencies"] == []
    assert (info["traceback"], info["error_comment"]) == (None, None)
    inputs = info["inputs"]
    assert [*inputs["args"], *inputs["kwargs"].values()] == [3, 2]


def test_facts_of_an_operator() -> None:
    info = (node(3) + 4).info

    assert (info["fun_name"], info["output"]) == ("add", 7)
    assert info["source"] is info["file"] is info["signature"] is None
    assert info["inputs"] == {"args": [3, 4], "kwargs": {}}


def test_facts_are_a_new_dict_each_time() -> None:
    made: Any = scale(1)
    made.info["inputs"]["args"].append("spoilt")

    assert "spoilt" not in made.info["inputs"]["args"]


def test_facts_of_a_root_are_what_was_given() -> None:
    assert node(1).info is None
