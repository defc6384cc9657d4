"""A model server on the loopback interface, with faults on demand.

It speaks OpenAI's chat completions over real HTTP, and by their paths Anthropic's Messages API and
Google's generateContent, streamed if the request asks for it, so that what a client does when a
provider misbehaves can be tested:
``with ModelServer([Fault(status=503), "fine"]) as server: ...``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, TypeAlias, cast

from opto.testing.dialects import dialect_of, event_bytes

_CHUNK = b"a" * 65536


@dataclass(frozen=True)
class Fault:
    """How one request is answered wrongly; what isn't given is as in a good answer.

    Attributes:
        status: of the answer.
        headers: added to it.
        body: bytes or text to send, or an object to send as JSON; a good completion if None.
        delay: seconds of silence before the answer.
        reset: break the connection before the answer, or in the middle of its body.
        half: announce the whole body, send half of it, then close.
        size: pad the body with this many bytes.
        endless: never stop sending.
        drip: seconds between the bytes of the body, or between events.
        events: an answer in pieces, as of `stream_events`; bytes are sent as they are, objects as
            JSON in an event. ``reset="during"`` and `half` cut the stream off after them.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | str | Mapping[str, Any] | list[Any] | None = None
    delay: float = 0.0
    reset: Literal["before", "during"] | None = None
    half: bool = False
    size: int = 0
    endless: bool = False
    drip: float = 0.0
    events: Sequence[bytes | Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Request:
    """One request that arrived; `body` is its JSON (an empty dict if it had none)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    arrived: float


Answer: TypeAlias = "str | Mapping[str, Any] | Fault"
Script: TypeAlias = "Answer | Iterable[Answer] | Callable[[Request], Answer]"


class ModelServer:
    """An OpenAI-compatible server in threads of this process, on a free port.

    Args:
        script: what to answer, in order; or one answer for all requests; or a function of the
            request. A text becomes a completion, a dict is sent as JSON, a `Fault` is a fault.
        then: the answer to every request after the script's end. Without it, those get status 400.

    Attributes:
        requests: those that arrived, in order.
        connections: how many were opened.
        in_flight: how many requests are being answered now.
        most_in_flight: how many requests were being answered at the same time, at most.
    """

    def __init__(self, script: Script = "ok", *, then: Answer | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = self.most_in_flight = 0
        self._rule: Callable[[Request], Answer] | None = None
        self._script: list[Answer] = []
        self._then = then
        if isinstance(script, (str, Fault)):
            self._then = script
        elif isinstance(script, Mapping):
            self._then = cast("Mapping[str, Any]", script)
        elif callable(script):
            self._rule = script
        else:
            self._script = list(script)
        self.in_flight = 0
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        if self._server is None:
            message = "the ModelServer isn't running; use it in a with statement"
            raise RuntimeError(message)
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return self._server.open_connections if self._server else 0

    def start(self) -> ModelServer:
        """Listen; for those who can't use ``with``."""
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and end what is being answered."""
        self.closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def take(self, request: Request) -> Answer:
        """Record `request` and choose its answer."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            if self._rule is None and number <= len(self._script):
                return self._script[number - 1]
        if self._rule is not None:
            return self._rule(request)
        missing = {"error": {"message": f"the script has no answer to request {number}"}}
        return self._then if self._then is not None else Fault(status=400, body=missing)

    @contextlib.contextmanager
    def answering(self) -> Generator[None]:
        """Count a request as in flight."""
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, owner: ModelServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.owner.connected()
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are this server's daily bread."""

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> ModelServer:
        return cast("_Server", self.server).owner

    def do_POST(self) -> None:
        owner = self._owner
        request = self._request()
        with owner.answering():
            answer = owner.take(request)
            good = dialect_of(request.path).whole
            body = good(answer) if isinstance(answer, str) else answer
            fault = body if isinstance(body, Fault) else Fault(body=body)
            if fault.body is None:
                fault = replace(fault, body=good("ok"))
            fault = streamed(fault, request)
            if fault.delay and owner.closing.wait(fault.delay):
                self.close_connection = True
            elif fault.reset == "before":
                self._reset()
            elif fault.events is not None:
                self._stream(fault, fault.events)
            else:
                self._send(fault)

    def do_GET(self) -> None:
        self._send(Fault(body={"object": "list", "data": [{"id": "served", "object": "model"}]}))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet; `ModelServer.requests` is the log."""

    def _request(self) -> Request:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body: Any = json.loads(sent)
        except ValueError:
            body = {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, body, time.monotonic())

    def _send(self, fault: Fault) -> None:
        body = _body(fault)
        self.send_response(fault.status)
        for name, value in {"content-type": "application/json", **fault.headers}.items():
            self.send_header(name, value)
        if not fault.endless:
            self.send_header("content-length", str(len(body) + fault.size))
        self.end_headers()
        if fault.half or fault.reset == "during":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self._reset() if fault.reset else self._hang_up()
        elif fault.drip:
            self._drip(body, fault.drip)
        else:
            self.wfile.write(body)
            self._fill(fault)

    def _stream(self, fault: Fault, events: Sequence[bytes | Mapping[str, Any]]) -> None:
        self.send_response(fault.status)
        for name, value in {"content-type": "text/event-stream", **fault.headers}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in itertools.cycle(events) if fault.endless else events:
            data = event_bytes(event)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if self._owner.closing.wait(fault.drip):
                break
        if fault.half or fault.reset == "during":
            self._reset() if fault.reset else self._hang_up()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _fill(self, fault: Fault) -> None:
        left = fault.size
        while (fault.endless or left > 0) and not self._owner.closing.is_set():
            part = _CHUNK if fault.endless else _CHUNK[:left]
            self.wfile.write(part)
            left -= len(part)
        self.close_connection = self.close_connection or fault.endless

    def _drip(self, body: bytes, pause: float) -> None:
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
            if self._owner.closing.wait(pause):
                break

    def _hang_up(self) -> None:
        self.close_connection = True

    def _reset(self) -> None:
        """Close so that the client gets a reset, not an orderly end."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


def streamed(fault: Fault, request: Request) -> Fault:
    """A good answer to a request that asks for a stream, in events."""
    dialect, body = dialect_of(request.path), fault.body
    plain = fault.status < HTTPStatus.MULTIPLE_CHOICES and fault.events is None
    if not plain or not dialect.streams(request.path, request.body):
        return fault
    if not isinstance(body, Mapping) or dialect.mark not in body or fault.size or fault.endless:
        return fault
    wanted = cast("dict[str, Any]", request.body.get("stream_options") or {})
    events = dialect.events(body, bool(wanted.get("include_usage")))
    if fault.half or fault.reset == "during":
        events = events[: len(events) // 2]
    return replace(fault, body=None, events=events)


def _body(fault: Fault) -> bytes:
    if isinstance(fault.body, bytes):
        return fault.body
    if isinstance(fault.body, str):
        return fault.body.encode("utf-8", "surrogatepass")
    return json.dumps(fault.body).encode()
