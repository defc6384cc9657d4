from __future__ import annotations

import pytest

from opto.errors import ProposalError
from opto.optimizers.names import Names, Wanted, folded, same, shown

NAMES = Names([Wanted("x0", ("x:0",)), Wanted("X1"), Wanted("x1"), Wanted("my prompt0")])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("x0", "x0"), ("X0", "x0"), (" x0 ", "x0"), ("`x0`", "x0"), ("x:0", "x0"), ("$x0", "x0"),
        ("x\u200b0", "x0"), ("\uff580", "x0"), ("My Prompt0", "my prompt0"), ("X1", "X1"),
        ("x1", "x1"), ("x 1", None), ("x_0", None), ("x", None), ("", None), ("x00", None),
    ],
)  # fmt: skip
def test_which_parameter_is_meant(given: str, meant: str | None) -> None:
    found = NAMES.find(given)
    assert (found.name if found else None) == meant


def test_unknown_names_are_listed_with_the_known_ones() -> None:
    with pytest.raises(ProposalError) as caught:
        NAMES.resolve([("x0", 1), ("z", 2), ("y" * 99, 3)], reply="r")
    assert "'z'" in caught.value.reason
    assert "y..." in caught.value.reason
    assert "x0, X1, x1, my prompt0" in caught.value.reason
    assert caught.value.reply == "r"


def test_a_parameter_named_twice() -> None:
    assert NAMES.resolve([("x0", 1), ("X0", 1)], reply="") == {"x0": 1}
    with pytest.raises(ProposalError, match="several different"):
        NAMES.resolve([("x0", 1), ("X0", True)], reply="")


def test_helpers() -> None:
    assert folded(" `A b`\u200d ") == "ab"
    assert shown("a") == "'a'"
    assert same([1], [1])
    assert not same(1, True)
