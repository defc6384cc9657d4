"""A model whose calls are recorded in a file, and replayed from it."""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from opto.errors import InvalidArgument, NotRecorded, StoreUnusable
from opto.llm.accounting import count_hit
from opto.llm.base import Completion
from opto.llm.own import as_model
from opto.llm.secret import ApiKey
from opto.llm.steps import Model, Request, Steps, asked
from opto.llm.storable import storable
from opto.llm.stored import VERSION, as_data, from_data, key_of
from opto.llm.wrapper import Wrapper

Mode = Literal["resume", "replay", "record"]
_KEYS = re.compile(r'"api_key":\s*"[^"]*"')
_log = logging.getLogger("opto.llm")


class Recorded(Wrapper):
    """A model whose answers are written to a file before they are returned, one line each.

    Replayed, the first equal request gets the first answer that it got, the second the second, and
    so on; so a run that is repeated finds the answers that it had. A process may be killed at any
    moment: what was answered is in the file, and a line that was not finished is left out.

    Args:
        llm: any model; it isn't asked in mode "replay".
        path: the file, JSON lines that can be read and compared; keys are taken out.
        mode: "resume" replays what is recorded and records the rest; "replay" never asks; "record"
            starts anew.
    """

    def __init__(self, llm: Model, path: str | Path, mode: Mode = "resume") -> None:
        super().__init__(as_model(llm))
        if mode not in get_args(Mode):
            message = f"mode is one of {', '.join(get_args(Mode))}; given: {mode!r}"
            raise InvalidArgument(message)
        self.path, self.mode = Path(path), mode
        self._answers: dict[tuple[str, int], Completion] | None = None
        self._asked: Counter[str] = Counter()

    def steps(self, request: Request) -> Steps[Completion]:
        """Give what is recorded, or ask and record it."""
        key = key_of(self.llm, request)
        with self._lock:
            answers = self._loaded()
            number = self._asked[key]
            self._asked[key] += 1
        found = answers.get((key, number))
        if found is not None:
            count_hit(self.model_name, self.provider, found)
            return found
        if self.mode == "replay":
            text = str(request.messages[-1].get("content", "")) if request.messages else ""
            message = (
                f"{self.path} has no answer number {number + 1} to this call, which ends "
                f"{text[-80:]!r}; record it with mode='resume'"
            )
            raise NotRecorded(message, provider=self.provider, model=self.model_name)
        try:
            reply = yield from asked(self.llm, request)
        except BaseException:
            with self._lock:
                self._asked[key] -= 1
            raise
        with self._lock:
            self._append(key, number, request, reply)
        return reply

    def _loaded(self) -> dict[tuple[str, int], Completion]:
        if self._answers is None:
            if self.mode == "record":
                self.path.unlink(missing_ok=True)
            self._answers = dict(_read(self.path))
        return self._answers

    def _append(self, key: str, number: int, request: Request, reply: Completion) -> None:
        line = {
            "version": VERSION,
            "key": key,
            "number": number,
            "messages": [dict(message) for message in request.messages],
            "reply": as_data(reply),
        }
        text = ApiKey().redact(json.dumps(storable(line), ensure_ascii=False))
        data = f"{_KEYS.sub('', text)}\n".encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                end = os.lseek(handle, 0, os.SEEK_END)
                torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
                written = os.write(handle, b"\n" + data if torn else data)
            finally:
                os.close(handle)
        except OSError as error:
            message = f"the answer can't be recorded in {self.path}: {error}"
            raise StoreUnusable(message) from error
        if written < len(data):
            message = f"the answer can't be recorded in {self.path}: no room on the disk"
            raise StoreUnusable(message)


def _read(path: Path) -> Iterator[tuple[tuple[str, int], Completion]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"the recording {path} can't be read: {error}"
        raise StoreUnusable(message) from None
    for at, line in enumerate(text.split("\n"), 1):
        try:
            data = json.loads(line)
            if data["version"] > VERSION:
                message = f"the recording {path} is of a newer version of opto"
                raise StoreUnusable(message)
            yield (str(data["key"]), int(data["number"])), from_data(data["reply"])
        except (ValueError, KeyError, TypeError, RecursionError):
            if line.strip():
                _log.warning("%s: line %d is no recorded call; it is left out", path, at)
