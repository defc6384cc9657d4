from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from opto.optimizers.problem import Entry
from opto.optimizers.schemas import closed, schema_of, schema_of_object, schemas_of


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Settings:
    mode: Literal["slow", "fast"] = "slow"
    size: int = 1
    either: int | str = 1
    names: list[str] = field(default_factory=list[str])
    hidden: int = field(default=0, init=False)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (True, {"type": "boolean"}),
        (1, {"type": "integer"}),
        (1.0, {"type": "number"}),
        ("a", {"type": "string"}),
        ([1, 2], {"type": "array", "items": {"type": "integer"}}),
        (([1],), {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ([1, "a"], {"type": "array", "items": {}}),
        ([], {"type": "array", "items": {}}),
        ({"a": 1}, {"type": "object"}),
        (Colour.RED, {"type": "string", "enum": ["RED", "BLUE"]}),
        (np.zeros((1, 2)), schema_of([[0.0, 0.0]])),
        (None, {}),
    ],
)
def test_schemas(value: Any, schema: dict[str, Any]) -> None:
    assert schema_of(value) == schema


def test_objects() -> None:
    entries = {"x0": Entry(1, None, "int"), "__code0": Entry("def f(): ...", None, "code")}
    schema = schema_of_object(schemas_of(entries))
    assert schema == {
        "type": "object",
        "properties": {"x0": {"type": "integer"}, "__code0": {"type": "string"}},
        "required": ["x0", "__code0"],
        "additionalProperties": False,
    }
    assert schema_of_object(schemas_of(entries), required=[])["required"] == []


def test_whether_a_schema_leaves_nothing_open() -> None:
    assert closed(schema_of_object({"a": schema_of([1])}))
    assert not closed(schema_of_object({"a": schema_of([])}))
    assert not closed(schema_of_object({"a": schema_of(None)}))
    assert not closed(schema_of_object({"a": schema_of({"b": 1})})), "any key is allowed in it"
    assert not closed(schema_of_object({"a": schema_of(Settings())})), "fields may be left out"


def test_of_a_dataclass_some_fields_may_be_given() -> None:
    assert schema_of(Settings()) == {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "enum": ["slow", "fast"]},
            "size": {"type": "integer"},
            "either": {},
            "names": {},
        },
        "required": [],
        "additionalProperties": False,
    }
