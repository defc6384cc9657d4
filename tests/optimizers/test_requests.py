from __future__ import annotations

from opto.optimizers.requests import Request, schema_format


def test_a_request_is_a_value() -> None:
    assert Request("s", "u") == Request("s", "u")
    assert Request("s", "u").options == {}


def test_schema_format() -> None:
    assert schema_format({"type": "object"}, strict=True) == {
        "type": "json_schema",
        "json_schema": {"name": "proposal", "strict": True, "schema": {"type": "object"}},
    }
