from __future__ import annotations

import base64
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.llm.secret import HIDDEN, ApiKey, public_url

KEY = "canary/with+odd=characters"


def test_a_key_shows_whether_it_is_set_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(ApiKey(KEY)) == "<ApiKey: set>"
    assert repr(ApiKey(variable="MY_KEY")) == "<ApiKey from MY_KEY: not set>"
    monkeypatch.setenv("MY_KEY", KEY)
    assert repr(ApiKey(variable="MY_KEY")) == "<ApiKey from MY_KEY: set>"
    assert ApiKey(variable="MY_KEY").reveal() == KEY


@pytest.mark.parametrize("given", [None, "", "  "])
def test_no_key(given: str | None) -> None:
    assert not ApiKey(given).reveal()


def test_whitespace_around_a_key_is_dropped() -> None:
    assert ApiKey(f" {KEY}\n").reveal() == KEY


def test_pickles_have_the_variable_and_copies_the_key() -> None:
    key = ApiKey(KEY, variable="MY_KEY")
    assert KEY.encode() not in pickle.dumps(key)
    again = pickle.loads(pickle.dumps(key))
    assert (again.variable, again.reveal()) == ("MY_KEY", None)
    assert copy.deepcopy(key).reveal() == copy.copy(key).reveal() == KEY


def test_it_is_found_in_other_forms() -> None:
    encoded = base64.b64encode(KEY.encode()).decode()
    text = f"{KEY} and canary%2Fwith%2Bodd%3Dcharacters and {encoded}"
    shown = ApiKey(KEY).redact(text)
    assert "canary" not in shown
    assert encoded.rstrip("=") not in shown


@pytest.mark.parametrize(
    "text", ["sk-abc123456", "sk-proj-ab**********wxyz", "Bearer abcdefgh", "gsk-0123456"]
)
def test_what_looks_like_a_key_is_hidden(text: str) -> None:
    assert HIDDEN in ApiKey().redact(f"wrong: {text}.")
    assert text.rsplit(maxsplit=1)[-1] not in ApiKey().redact(f"wrong: {text}.")


@pytest.mark.parametrize("text", ["a task-oriented desk", "the key is wrong", "risk-free"])
def test_words_stay(text: str) -> None:
    assert ApiKey(KEY).redact(text) == text


@given(st.text(min_size=8), st.text())
def test_no_text_around_it_saves_the_key(key: str, around: str) -> None:
    revealed = ApiKey(key).reveal()
    if revealed and revealed not in HIDDEN:
        shown = ApiKey(key).redact(around + revealed + around)
        assert revealed not in shown.replace(HIDDEN, "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h:8/v1?key=x#f", "https://h:8/v1"),
        ("https://h/v1", "https://h/v1"),
        ("nonsense?x", "nonsense"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert public_url(url) == shown
