"""A model that answers the prompts of the snippets, by rules that a reader could check."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from opto.testing import ModelServer, Request

SORT = '''def strange_sort_list(lst):
    """Take the minimum, then the maximum of what is left, and so on."""
    lst, result = sorted(lst), []
    while lst:
        result.append(lst.pop(0))
        lst.reverse()
    return result'''
SHOUT = '''def shout(text):
    """Say it so that nobody can miss it."""
    return text.upper() + "!"'''
GREET = '''def greet(self, lang, user_name):
    """Produce a greeting based on the language"""
    greeting = {"es": "Hola", "en": "Hello"}[lang]
    return f"{greeting}, {user_name}!"'''
DECIDE = '''def decide_lang(self, response):
    """Map the language into a variable"""
    return response'''
CODE = {"strange_sort_list": SORT, "shout": SHOUT, "greet": GREET, "decide_lang": DECIDE}


def improve(messages: Sequence[Mapping[str, Any]]) -> str:
    """Answer an optimizer's prompt with better code, and the sales agent's with its facts."""
    prompt = "\n".join(str(message["content"]) for message in messages)
    if "Decide the language" in prompt and "#Variables" not in prompt:
        return "es" if "Hola" in prompt else "en"
    if "Extract name" in prompt and "#Variables" not in prompt:
        return "Juan"
    wanted = {
        name: CODE[function]
        for name, function in re.findall(r"(__code\d+)\s*:?\s*(?:\n\s*)*def (\w+)\(", prompt)
        if function in CODE
    }
    return json.dumps({"reasoning": "It must do what it says.", "suggestion": wanted})


def answer(request: Request) -> str:
    return improve(request.body["messages"])


@contextmanager
def model_at_hand(monkeypatch: pytest.MonkeyPatch) -> Generator[ModelServer]:
    """A server as default model, as if the reader had set a URL and a key."""
    with ModelServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield server
