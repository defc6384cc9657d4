from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from typing import Any

import pytest

from opto.llm.loop import BackgroundLoop

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def loop() -> Any:
    background = BackgroundLoop()
    yield background
    background.stop()


async def where() -> tuple[str, str]:
    await asyncio.sleep(0)
    return threading.current_thread().name, variable.get()


def test_work_runs_there_in_the_callers_context(loop: BackgroundLoop) -> None:
    variable.set("mine")
    assert loop.run(where()) == ("opto-llm-http", "mine")
    assert asyncio.run(loop.arun(where())) == ("opto-llm-http", "mine")


async def fails() -> None:
    message = "no"
    raise ValueError(message)


def test_errors_come_back(loop: BackgroundLoop) -> None:
    with pytest.raises(ValueError, match="no"):
        loop.run(fails())
    with pytest.raises(ValueError, match="no"):
        asyncio.run(loop.arun(fails()))


def test_it_can_be_stopped_and_used_again(loop: BackgroundLoop) -> None:
    loop.run(where())
    loop.stop()
    loop.stop()
    assert loop.run(where())[0] == "opto-llm-http"


def test_stopping_cancels_what_takes_long(loop: BackgroundLoop) -> None:
    cancelled = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    future = loop.submit(long())
    loop.stop()
    assert cancelled.is_set()
    assert future.cancelled()


def test_a_program_ends_cleanly_without_closing_anything() -> None:
    program = """
from opto.llm import OpenAICompatible
from opto.testing import ModelServer
server = ModelServer("fine").start()
llm = OpenAICompatible("m", server.url)
llm(messages=[{"role": "user", "content": "hi"}])
"""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    # Development mode tells of slow callbacks too, and any is slow on a busy machine.
    told = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    unclosed = [line for line in told if "opto" in line or "asyncio" in line]
    assert unclosed == []
