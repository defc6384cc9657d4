from __future__ import annotations

from typing import Any, Literal

import pytest

from opto.errors import ProposalError
from opto.optimizers.schemas import schema_of
from opto.optimizers.values import converted

pydantic = pytest.importorskip("pydantic")
Settings: Any = pydantic.create_model(
    "Settings", mode=(Literal["slow", "fast"], "slow"), count=(int, pydantic.Field(1, ge=0))
)


@pytest.mark.parametrize(
    "given",
    [{"mode": "fast"}, '{"mode": "fast"}', "{'mode': 'fast'}", {"mode": "fast", "count": 1}],
)
def test_fields_are_changed_and_the_others_stay(given: object) -> None:
    assert converted(given, Settings()) == Settings(mode="fast", count=1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "medium"}, "Settings refuses these fields"),
        ({"count": -1}, "Settings refuses these fields"),
        ({"pace": 1}, "expected one of the fields mode, count"),
        ("fast", "expected an object with the fields mode, count"),
        ([1], "expected an object with the fields"),
    ],
)
def test_what_the_model_refuses_is_refused(given: object, words: str) -> None:
    with pytest.raises(ProposalError, match=words):
        converted(given, Settings())


class Aliased(pydantic.BaseModel):  # type: ignore[misc, name-defined]  # pydantic may be missing
    inner: Any = None
    size: int = pydantic.Field(1, alias="theSize")


def test_fields_of_a_model_in_a_model_stay_as_well() -> None:
    current = Aliased(inner=Settings(mode="fast", count=3))
    value: Any = converted({"inner": {"count": 4}, "size": "5"}, current)
    assert value.inner == Settings(mode="fast", count=4)
    assert value.size == 5
    with pytest.raises(ProposalError, match="Settings refuses"):
        converted({"inner": {"count": -4}}, current)


def test_its_schema_is_an_object() -> None:
    assert schema_of(Settings()) == {"type": "object"}
