from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from opto.errors import AuthenticationFailed
from opto.llm import OpenAICompatible, usage
from opto.testing import Fault, ModelServer

MESSAGES = [{"role": "user", "content": "a private matter"}]
KEY = "sk-canary-otel-0123456789"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Any:
    trace = pytest.importorskip("opentelemetry.trace")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter.get_finished_spans


def test_a_call_is_a_span(spans: Any) -> None:
    with ModelServer("fine") as server:
        llm = OpenAICompatible("m", server.url, api_key=KEY)
        llm(messages=MESSAGES, temperature=0.5)
        with usage():
            asyncio.run(llm.acall(messages=MESSAGES, max_tokens=5))
        llm.close()
    first, second = spans()
    assert first.name == second.name == "chat m"
    assert dict(first.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.model": "served",
        "gen_ai.response.id": "chatcmpl-served",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 1,
    }
    assert second.attributes["gen_ai.request.max_tokens"] == 5


def test_a_failure_is_noted_without_secrets(spans: Any) -> None:
    with ModelServer(Fault(401, body={"error": {"message": f"bad key {KEY}"}})) as server:
        llm = OpenAICompatible("m", server.url, api_key=KEY)
        with pytest.raises(AuthenticationFailed):
            llm(messages=MESSAGES)
        llm.close()
    (span,) = spans()
    assert span.attributes["error.type"] == "AuthenticationFailed"
    assert not span.status.is_ok
    assert KEY not in span.to_json()
    assert "private" not in span.to_json()


def test_nothing_is_loaded_for_it() -> None:
    code = (
        "import sys; from opto.testing import ScriptedModel\n"
        "ScriptedModel('x')(messages=[]); sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
