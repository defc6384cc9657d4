from __future__ import annotations

from opto.optimizers.parsing import ReplyKeys
from opto.optimizers.problem import Entry
from opto.optimizers.requests import Request, reply_format, schema_format


def test_a_request_is_a_value() -> None:
    assert Request("s", "u") == Request("s", "u")
    assert Request("s", "u").options == {}


def test_schema_format() -> None:
    assert schema_format({"type": "object"}, strict=True) == {
        "type": "json_schema",
        "json_schema": {"name": "proposal", "strict": True, "schema": {"type": "object"}},
    }


def test_a_model_without_schemas_is_asked_for_json() -> None:
    asked = reply_format({"x0": Entry(1, None, "int")}, ReplyKeys(), schema=False)
    assert asked == {"response_format": {"type": "json_object"}}


def test_the_schema_of_a_reply_has_its_keys() -> None:
    entries = {"x0": Entry(1, None, "int"), "s0": Entry("a", None, "str")}
    asked = reply_format(entries, ReplyKeys("why", None, "values"), schema=True)
    schema = asked["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["why", "values"]
    assert list(schema["properties"]["values"]["properties"]) == ["x0", "s0"]
    assert schema["properties"]["values"]["required"] == [], "of several, one may be left out"
