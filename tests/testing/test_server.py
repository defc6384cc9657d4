from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

import pytest

from opto.llm import OpenAICompatible
from opto.testing import Fault, ModelServer, Request, completion_json

MESSAGES = [{"role": "user", "content": "hi"}]


def post(server: ModelServer) -> tuple[int, bytes, dict[str, str]]:
    with connect(server) as connection:
        return post_on(connection)


def post_on(connection: http.client.HTTPConnection) -> tuple[int, bytes, dict[str, str]]:
    body = json.dumps({"model": "m", "messages": MESSAGES})
    connection.request("POST", "/v1/chat/completions", body, {"x-test": "1"})
    with connection.getresponse() as response:
        return response.status, response.read(), dict(response.getheaders())


def connect(server: ModelServer) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30))


def test_it_answers_as_its_script_says() -> None:
    payload = completion_json("second")
    with ModelServer(["first", payload], then="then") as server:
        replies = [json.loads(post(server)[1]) for _ in range(4)]
    texts = [reply["choices"][0]["message"]["content"] for reply in replies]
    assert texts == ["first", "second", "then", "then"]


def test_one_answer_is_for_all_requests_and_a_function_for_each() -> None:
    def rule(request: Request) -> str:
        return str(request.body["messages"][0]["content"])

    for script, text in (("same", "same"), (completion_json("dict"), "dict"), (rule, "hi")):
        with ModelServer(script) as server:
            for _ in range(2):
                assert text.encode() in post(server)[1]


def test_a_script_that_has_run_out_is_a_bad_request() -> None:
    with ModelServer(["only"]) as server:
        post(server)
        status, body, _ = post(server)
    assert status == 400
    assert b"no answer to request 2" in body


def test_requests_and_connections_are_logged() -> None:
    with ModelServer() as server:
        with connect(server) as connection:
            post_on(connection)
            post_on(connection)
        post(server)
        assert server.connections == 2
        request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["x-test"] == "1"
    assert request.body["messages"] == MESSAGES


def test_faults_change_what_is_sent() -> None:
    script = [Fault(503, {"Retry-After": "7"}, body="<html>"), Fault(size=100), Fault(body=[1])]
    with ModelServer(script) as server:
        status, body, headers = post(server)
        assert (status, body, headers["Retry-After"]) == (503, b"<html>", "7")
        plain = len(json.dumps(completion_json("ok")))
        assert len(post(server)[1]) == plain + 100
        assert post(server)[1] == b"[1]"


@pytest.mark.parametrize("fault", [Fault(half=True), Fault(reset="during"), Fault(reset="before")])
def test_connections_break_when_they_should(fault: Fault) -> None:
    with (
        ModelServer(fault) as server,
        pytest.raises((http.client.HTTPException, ConnectionError)),
    ):
        post(server)


def test_the_number_in_flight_is_known() -> None:
    with ModelServer(Fault(delay=1.5)) as server:  # all start within it
        threads = [threading.Thread(target=post, args=(server,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_in_flight == 5
        deadline = time.monotonic() + 20
        while server.in_flight and time.monotonic() < deadline:
            time.sleep(0.01)  # the reply is there before the server has done with the request
        assert server.in_flight == 0


@pytest.mark.parametrize("fault", [Fault(delay=600), Fault(endless=True), Fault(drip=60.0)])
def test_stopping_ends_what_is_being_answered(fault: Fault) -> None:
    server = ModelServer(fault).start()
    llm = OpenAICompatible("m", server.url, max_attempts=1)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            llm(messages=MESSAGES)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ended
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.requests and not failures:
        threading.Event().wait(0.01)
    server.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_it_must_run() -> None:
    with pytest.raises(RuntimeError, match="with statement"):
        _ = ModelServer().url


def test_models_can_be_listed() -> None:
    with ModelServer() as server, connect(server) as connection:
        connection.request("GET", "/v1/models")
        with connection.getresponse() as response:
            assert json.loads(response.read())["data"][0]["id"] == "served"
