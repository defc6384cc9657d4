from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from opto.llm import OpenAICompatible
from opto.llm.connections import Connections
from opto.testing import Fault, ModelServer

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "https://example.org/v1"])
def test_a_client_sends_few_requests_at_once_and_a_rush_leaves_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rush() -> None:
        connections = Connections(url)
        await connections.open()
        with ExitStack() as sent:
            clients = [sent.enter_context(connections.one()) for _ in range(20)]
            assert [clients.count(client) for client in dict.fromkeys(clients)] == [8, 8, 4]
            await connections.trim()
        with connections.one() as client:
            assert client is clients[0]
        await connections.trim()  # not at once: the next rush may be near
        assert len(connections._clients) == 3
        monkeypatch.setattr("opto.llm.connections._IDLE_SECONDS", 0.0)
        await connections.trim()
        assert [few.client for few in connections._clients] == [clients[0]]
        assert all(client.is_closed == (client is not clients[0]) for client in clients)
        await connections.close()
        assert clients[0].is_closed

    asyncio.run(rush())


def test_connections_of_a_rush_are_kept_for_the_next() -> None:
    async def rush(llm: OpenAICompatible) -> None:
        await asyncio.gather(*(llm.acall(messages=MESSAGES) for _ in range(20)))

    with ModelServer(Fault(delay=0.05)) as server:
        llm = OpenAICompatible("m", server.url)
        for _ in range(3):
            asyncio.run(rush(llm))
        assert server.connections <= 20
        llm.close()
