"""Clients of the official libraries, real ones where they are installed, over real HTTP."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import json
import pickle
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from opto.errors import (
    AuthenticationFailed,
    BadResponse,
    ContextTooLong,
    Disconnected,
    InvalidArgument,
    ModelError,
    RateLimited,
    ServerError,
    Timeout,
    UsageError,
)
from opto.llm import (
    LLM,
    AnthropicClient,
    Completion,
    GeminiClient,
    OpenAIClient,
    RetryPolicy,
    usage,
)
from opto.llm.client_kinds import kind_of_client
from opto.llm.clients import ClientModel
from opto.llm.content import tool_call
from opto.llm.loop import OWN_LOOP
from opto.llm.own import as_model
from opto.testing import Fault, ModelServer
from opto.testing.dialects import candidates_json, message_json
from opto.testing.replies import completion_json

KEY = "sk-canary-brought-123456"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
QUICK = RetryPolicy(max_attempts=2, base_delay=0.01)

Asked = Callable[..., Completion]


def openai_client(url: str) -> Any:
    return importlib.import_module("openai").OpenAI(base_url=url, api_key=KEY)


def async_openai_client(url: str) -> Any:
    return importlib.import_module("openai").AsyncOpenAI(base_url=url, api_key=KEY)


def azure_client(url: str) -> Any:
    library = importlib.import_module("openai")
    return library.AzureOpenAI(base_url=url, api_key=KEY, api_version="2024-10-21")


def anthropic_client(url: str) -> Any:
    library = importlib.import_module("anthropic")
    return library.Anthropic(base_url=url.removesuffix("/v1"), api_key=KEY)


def async_anthropic_client(url: str) -> Any:
    library = importlib.import_module("anthropic")
    return library.AsyncAnthropic(base_url=url.removesuffix("/v1"), api_key=KEY)


def google_client(url: str) -> Any:
    genai = importlib.import_module("google.genai")
    return genai.Client(api_key=KEY, http_options={"base_url": url})


MAKERS = {
    "openai": (openai_client, async_openai_client, azure_client),
    "anthropic": (anthropic_client, async_anthropic_client),
    "google.genai": (google_client,),
}


@pytest.fixture(
    params=[(library, maker) for library, makers in MAKERS.items() for maker in makers],
    ids=lambda param: param[1].__name__,
)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    library, maker = request.param
    pytest.importorskip(library)
    made: list[Any] = []

    def making(url: str) -> Any:
        made.append(maker(url))
        return made[-1]

    yield making
    for client in made:
        beside = [client.aio.aclose()] if hasattr(client, "aio") else []
        for closing in (client.close(), *beside):
            if inspect.isawaitable(closing):
                OWN_LOOP.run(awaited(closing))


async def awaited(thing: Any) -> Any:
    return await thing


def sync(llm: ClientModel, **options: Any) -> Completion:
    return llm(messages=MESSAGES, **options)


def asynchronous(llm: ClientModel, **options: Any) -> Completion:
    return asyncio.run(llm.acall(messages=MESSAGES, **options))


both = pytest.mark.parametrize("ask", [sync, asynchronous])


def adapted(client: Any, **settings: Any) -> ClientModel:
    kind = kind_of_client(client)
    assert kind is not None
    chosen: dict[str, Any] = {"retry": QUICK, "timeout": 20.0, **settings}
    return kind(client, "m", **chosen)


@both
def test_it_answers(make: Callable[[str], Any], ask: Asked) -> None:
    with ModelServer("fine") as server, usage() as spent:
        llm = adapted(make(server.url))
        reply = ask(llm, max_tokens=5, temperature=0.5, stop=None)
        assert (reply.text, reply.usage.total_tokens) == ("fine", 8)
        assert ask(llm).text == "fine"
        assert KEY not in repr(llm)
    assert (spent.calls, spent.usage.total_tokens) == (2, 16)
    assert llm.model_name == "m"


def body(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error"}}


FAULTS: dict[str, tuple[Fault, type[ModelError], int]] = {
    "401 that echoes the key": (Fault(401, body=body(f"bad {KEY}")), AuthenticationFailed, 1),
    "429 with a long wait": (Fault(429, {"retry-after": "3600"}), RateLimited, 1),
    "429 for ever": (Fault(429), RateLimited, 2),
    "503 for ever": (Fault(503), ServerError, 2),
    "context": (Fault(400, body=body("prompt is too long: 9 tokens > 5")), ContextTooLong, 1),
    "HTML": (Fault(body="<html>"), BadResponse, 2),
    "an empty object": (Fault(body={}), BadResponse, 2),
    "reset": (Fault(reset="before"), Disconnected, 2),
    "cut off": (Fault(half=True), Disconnected, 2),
}


@both
@pytest.mark.parametrize(("fault", "kind", "attempts"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(
    fault: Fault,
    kind: type[ModelError],
    attempts: int,
    ask: Asked,
    make: Callable[[str], Any],
) -> None:
    with ModelServer(fault) as server:
        with pytest.raises(kind) as caught:
            ask(adapted(make(server.url)))
        assert type(caught.value) is kind
        assert caught.value.attempts == attempts == len(server.requests)
    assert caught.value.model == "m"
    assert KEY not in str(caught.value) + repr(vars(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@both
def test_a_fault_that_passes_is_survived(make: Callable[[str], Any], ask: Asked) -> None:
    with ModelServer([Fault(500), "fine"]) as server:
        assert ask(adapted(make(server.url))).text == "fine"


@both
def test_silence_ends_at_the_deadline(make: Callable[[str], Any], ask: Asked) -> None:
    with ModelServer(Fault(delay=60.0)) as server, pytest.raises(Timeout):
        ask(adapted(make(server.url), timeout=0.5))


def test_a_schema_and_a_tool_go_through(make: Callable[[str], Any]) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "hi"}, picture]}]
    with ModelServer("fine") as server:
        llm = adapted(make(server.url))
        llm(messages=asked, response_format=form)
        llm(messages=asked, tools=[tool], tool_choice="auto")
        first, second = (repr(request.body) for request in server.requests)
    assert "integer" in first
    assert "integer" in second
    assert "iVBORw0KGgo=" in first


def test_llm_takes_a_client(make: Callable[[str], Any]) -> None:
    with ModelServer("fine") as server:
        client = make(server.url)
        llm = LLM(client, model="named", temperature=0.5)
        assert llm(messages=MESSAGES).text == "fine"
        assert llm.model_name == "named"
        assert llm.choose().why == "its client was passed"
        lost = pickle.loads(pickle.dumps(llm))
    assert KEY.encode() not in pickle.dumps(llm)
    with pytest.raises(UsageError, match="a pickle holds none"):
        lost(messages=MESSAGES)


def test_azure_wants_a_deployment() -> None:
    pytest.importorskip("openai")
    with pytest.raises(UsageError, match="name the deployment"):
        OpenAIClient(azure_client("http://127.0.0.1:1/v1"))


# ---- clients of that shape -----------------------------------------------------------------------


def openai_like(create: Any) -> Any:
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))


def test_clients_are_known_by_their_shape() -> None:
    def create(**_: Any) -> Any:
        return completion_json("fine")

    shapes = {
        OpenAIClient: openai_like(create),
        AnthropicClient: SimpleNamespace(messages=SimpleNamespace(create=create)),
        GeminiClient: SimpleNamespace(models=SimpleNamespace(generate_content=create)),
    }
    for kind, client in shapes.items():
        assert kind_of_client(client) is kind
        assert type(as_model(client)) is kind
    others: list[Any] = [None, "gpt-4o", [], {}, SimpleNamespace(), MagicMock(), create]
    for other in others:
        assert kind_of_client(other) is None


def test_replies_of_any_shape_are_read() -> None:
    taken: list[dict[str, Any]] = []

    def create(**arguments: Any) -> Any:
        taken.append(arguments)
        return completion_json("fine")

    assert OpenAIClient(openai_like(create))(messages=MESSAGES, top_k=3).text == "fine"
    assert taken[0]["model"] == "gpt-4o"
    assert taken[0]["top_k"] == 3
    message = SimpleNamespace(model_dump=lambda **_: message_json("fine"))
    anthropic = SimpleNamespace(messages=SimpleNamespace(create=lambda **_: message))
    assert AnthropicClient(anthropic)(messages=MESSAGES).text == "fine"
    models = SimpleNamespace(generate_content=lambda **_: candidates_json("fine"))
    assert GeminiClient(SimpleNamespace(models=models))(messages=MESSAGES).text == "fine"
    with pytest.raises(BadResponse):
        OpenAIClient(openai_like(lambda **_: 3), max_attempts=1)(messages=MESSAGES)


def test_several_answers_of_anthropic_are_several_requests() -> None:
    texts = iter("ab")
    messages = SimpleNamespace(create=lambda **_: SimpleNamespace(model_dump=dump))

    def dump(**_: Any) -> Any:
        return message_json(next(texts))

    reply = AnthropicClient(SimpleNamespace(messages=messages))(messages=MESSAGES, n=2)
    assert [choice.message.content for choice in reply.choices] == ["a", "b"]
    assert reply.usage.prompt_tokens == 14


def test_an_asynchronous_method_is_awaited() -> None:
    async def create(**_: Any) -> Any:
        await asyncio.sleep(0)
        return completion_json("fine")

    llm = OpenAIClient(openai_like(create))
    assert sync(llm).text == "fine"
    assert asynchronous(llm).text == "fine"


def test_mistakes_of_the_caller_stay_as_they_are() -> None:
    def create(**_: Any) -> Any:
        message = "no such argument"
        raise TypeError(message)

    with pytest.raises(TypeError, match="no such argument"):
        OpenAIClient(openai_like(create))(messages=MESSAGES)


@pytest.mark.parametrize(
    ("raised", "kind"), [(TimeoutError("x"), Timeout), (ConnectionResetError("x"), Disconnected)]
)
def test_errors_of_python_are_understood(raised: Exception, kind: type[ModelError]) -> None:
    def create(**_: Any) -> Any:
        raise raised

    with pytest.raises(kind):
        OpenAIClient(openai_like(create), max_attempts=1)(messages=MESSAGES)


def test_it_says_what_it_can() -> None:
    def create(**_: Any) -> Any:
        """Is never called."""

    own = SimpleNamespace(**vars(openai_like(create)), base_url="https://api.openai.com/v1/")
    assert OpenAIClient(own).abilities.json_schema
    assert not OpenAIClient(openai_like(create)).abilities.json_schema
    assert AnthropicClient(SimpleNamespace()).abilities.tools
    assert GeminiClient(SimpleNamespace()).abilities.json_object


class Refused(Exception):
    """What the libraries raise for a status."""

    __module__ = "anthropic._exceptions"

    def __init__(self, status: int, said: Any) -> None:
        super().__init__("refused")
        self.response = SimpleNamespace(
            status_code=status, headers={"Retry-After": "3600"}, content=json.dumps(said).encode()
        )


class LibraryTimeoutError(Exception):
    __module__ = "openai"


class LibraryConnectionError(Exception):
    __module__ = "google.genai"


def raising(error: Exception) -> Any:
    def create(**_: Any) -> Any:
        raise error

    return create


def shaped(create: Any) -> list[ClientModel]:
    return [
        OpenAIClient(openai_like(create), max_attempts=1),
        AnthropicClient(SimpleNamespace(messages=SimpleNamespace(create=create)), max_attempts=1),
        GeminiClient(
            SimpleNamespace(models=SimpleNamespace(generate_content=create)), max_attempts=1
        ),
    ]


@both
@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (Refused(429, {"error": {"message": "slow"}}), RateLimited),
        (Refused(400, {"error": {"message": "prompt is too long"}}), ContextTooLong),
        (LibraryTimeoutError("x"), Timeout),
        (LibraryConnectionError("x"), Disconnected),
        (json.JSONDecodeError("x", "y", 0), BadResponse),
    ],
)
def test_errors_of_the_libraries_are_understood(
    raised: Exception, kind: type[ModelError], ask: Asked
) -> None:
    for llm in shaped(raising(raised)):
        with pytest.raises(kind) as caught:
            ask(llm)
        assert type(caught.value) is kind
        assert caught.value.__context__ is None


def test_an_answer_that_was_no_refusal_explains_no_error() -> None:
    fine = Refused(200, completion_json("fine"))
    with pytest.raises(Refused):
        OpenAIClient(openai_like(raising(fine)))(messages=MESSAGES)


def test_a_body_that_cant_be_read_leaves_the_status() -> None:
    class Response:
        status_code, headers = 503, dict[str, str]()

        @property
        def content(self) -> bytes:
            message = "not read"
            raise RuntimeError(message)

    error = Refused(503, {})
    error.response = Response()  # type: ignore[assignment]  # of the same shape
    with pytest.raises(ServerError):
        OpenAIClient(openai_like(raising(error)), max_attempts=1)(messages=MESSAGES)


def test_options_that_a_method_doesnt_name_go_in_its_body() -> None:
    def create(*, model: str, messages: Any, timeout: float, extra_body: Any = None) -> Any:
        assert (model, timeout > 0, len(messages)) == ("o3", True, 2)
        return completion_json(json.dumps(extra_body))

    client = SimpleNamespace(**vars(openai_like(create)), base_url="https://api.openai.com/v1")
    reply = OpenAIClient(client, "o3")(messages=MESSAGES, max_tokens=5, top_k=1)
    assert json.loads(reply.text) == {"max_completion_tokens": 5, "top_k": 1}


def test_googles_library_is_given_bytes() -> None:
    given: list[Any] = []

    def generate(**arguments: Any) -> Any:
        given.append(arguments)
        return candidates_json("fine")

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVA="}}
    call = tool_call("opto-call-1", "look", {}, {"google": {"thought_signature": "c2ln"}})
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    models = SimpleNamespace(generate_content=generate)
    llm = GeminiClient(SimpleNamespace(models=models), "m")
    assert llm(messages=messages, max_tokens=5).text == "fine"
    user, assistant = given[0]["contents"]
    assert user["parts"][0]["inlineData"]["data"] == b"\x89P"
    assert assistant["parts"][0]["thoughtSignature"] == b"sig"
    assert given[0]["config"]["maxOutputTokens"] == 5
    assert 0 < given[0]["config"]["httpOptions"]["timeout"] <= 180_000


def test_streaming_is_no_option() -> None:
    with pytest.raises(InvalidArgument, match=r"use llm\.stream"):
        OpenAIClient(openai_like(raising(ValueError("x"))))(messages=MESSAGES, stream=True)


def test_without_its_client_a_model_says_so() -> None:
    lost = pickle.loads(pickle.dumps(OpenAIClient(openai_like(print))))
    with pytest.raises(UsageError, match=r"set its \.client"):
        lost(messages=MESSAGES)
    assert repr(lost) == "OpenAIClient('gpt-4o')"
    assert copy.deepcopy(lost) is lost
