"""The host's side of the fork server: start it, ask it for processes, keep idle ones."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import opto
from opto.errors import CannotIsolate
from opto.execution.idle import Idle
from opto.execution.limits import Limits
from opto.execution.process import Process
from opto.execution.wire import decode, encode

_LARGEST = 1 << 17
_START_SECONDS = 60.0
# Libraries that are worth having loaded before the fork: they have no effects when imported.
_HEAVY = ("numpy", "asyncio", "typing", "dataclasses", "collections", "json", "datetime", "inspect")
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)
# The worker's modules are loaded without running what their packages import for the host.
_START = """
import sys, types
for name, path in (("opto", sys.argv[2]), ("opto.execution", sys.argv[2] + "/execution")):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
from opto.execution.zygote import main
main(int(sys.argv[1]))
"""


@dataclass(frozen=True)
class Setting:
    """What all processes of one fork server have in common.

    Attributes:
        paths: folders to read and import from, besides Python's own.
        namespaces: whether to enter namespaces where possible.
    """

    paths: tuple[str, ...] = ()
    namespaces: bool = True


def importable(extra: Iterable[str]) -> list[str]:
    """Return the folders that Python imports from inside: its own, its packages', and `extra`."""
    paths = sysconfig.get_paths()
    library = paths["stdlib"]
    loaded = f"{library}/lib-dynload"
    wanted = [library, loaded, paths["platstdlib"], paths["purelib"], paths["platlib"], *extra]
    real = [str(Path(path).resolve()) for path in wanted]
    return list(dict.fromkeys(path for path in real if os.path.isdir(path)))  # noqa: PTH112 - a string is what is at hand


class Server(Idle):
    """A fork server, started at the first need, and again if it ended.

    Args:
        setting: what its processes have in common.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.facts: dict[str, Any] = {}
        atexit.register(self.close)

    def spawn(self, limits: Limits, preload: Iterable[str] = ()) -> Process:
        """Return a new locked process.

        Raises:
            CannotIsolate: if none can be had on this machine.
        """
        wanted = [name for name in preload if name in _HEAVY]
        request = encode({"limits": limits.for_kernel(), "preload": wanted})
        with self.lock:
            try:
                return self._spawn(request)
            except (OSError, ValueError):  # it ended; a fresh one may do
                self.close()
            try:
                return self._spawn(request)
            except (OSError, ValueError) as error:
                self.close()
                raise _impossible(f"the fork server ended: {error}") from error

    def _spawn(self, request: bytes) -> Process:
        control = self._started()
        ours, theirs = socket.socketpair()
        output, their_output = os.pipe()
        try:
            os.set_blocking(their_output, False)
            socket.send_fds(control, [request], [theirs.fileno(), their_output])
            message, handles, _, _ = socket.recv_fds(control, _LARGEST, 1)
            answer = decode(message)
        except BaseException:
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(their_output)
        if not handles:
            ours.close()
            os.close(output)
            raise _impossible(str(answer))
        return Process(answer, handles[0], ours.detach(), output, self.status)

    def status(self, pid: int) -> int | None:
        """Return how a process ended, as `os.waitpid` says it; None if that isn't known."""
        with self.lock:
            if self.control is None:
                return None
            try:
                self.control.send(encode({"status": pid}))
                status = decode(self.control.recv(_LARGEST))
            except (OSError, ValueError):
                return None
        return status if type(status) is int else None

    def _started(self) -> socket.socket:
        if self.control is not None:
            return self.control
        if not hasattr(os, "pidfd_open") or not sys.executable:
            raise _impossible("this needs Linux 5.10 or later, with pidfd")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = str(Path(opto.__file__).resolve().parent)
        command = [sys.executable, "-I", "-S", "-B", "-c", _START, str(theirs.fileno()), folder]
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, our own text
                command,
                pass_fds=[theirs.fileno()],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        ours.settimeout(_START_SECONDS)
        path = importable(self.setting.paths)
        libraries = str(Path(str(sysconfig.get_config_var("LIBDIR") or "/usr/lib")).resolve())
        readable = list(dict.fromkeys([*_SYSTEM, libraries, *path]))
        setting = {
            "path": path,
            "readable": readable,
            "namespaces": self.setting.namespaces,
            "preload": ["random", "re"],
        }
        try:
            ours.send(encode(setting))
            self.facts = decode(ours.recv(_LARGEST))
        except (OSError, ValueError) as error:
            ours.close()
            raise _impossible(f"the fork server doesn't start: {self._said() or error}") from error
        self.control = ours
        return ours

    def _said(self) -> str:
        """End the fork server; return the last line that it wrote."""
        if self.process is None:
            return ""
        self.process.kill()
        _, said = self.process.communicate()
        self.process = None
        return (said or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]

    def close(self) -> None:
        """End the fork server and all its processes."""
        with self.lock:
            self.end_all()
            if self.control is not None:
                self.control.close()
                self.control = None
            self._said()


def _impossible(reason: str) -> CannotIsolate:
    return CannotIsolate(
        f"this machine can't isolate code: {reason}. Run `opto doctor` to see what is missing; "
        "use execution='portable', or execution='inprocess' if you trust the code",
        by_machine=True,
    )


@lru_cache(maxsize=8)
def _server(setting: Setting, host: int) -> Server:
    del host  # a fork of this process must not speak through its connections
    return Server(setting)


def server(setting: Setting) -> Server:
    """Return the fork server of this process for `setting`."""
    return _server(setting, os.getpid())
