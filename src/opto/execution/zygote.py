"""The fork server: a fresh interpreter with one thread, no environment and no secrets.

It imports what candidates need, moves into namespaces where there are any, and then forks one
process for each candidate version. It runs no candidate's code itself. It ends when the process
that started it ends, and with it everything that it started.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from opto.execution import kernel, namespaces
from opto.execution.lockdown import Ground, is_hidden, lock
from opto.execution.wire import decode, encode
from opto.execution.worker import CHANNEL, complain, serve

_LARGEST = 1 << 17
_STATUSES_KEPT = 256
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Zygote:
    """What the fork server knows.

    Args:
        control: the connection to the process that started it.
        host: a file descriptor that becomes readable when that process ends.
        ground: where candidates are started.
    """

    def __init__(self, control: socket.socket, host: int, ground: Ground) -> None:
        self.control, self.host, self.ground = control, host, ground
        self.statuses: dict[int, int] = {}
        self.waker, wake = os.pipe()
        for end in (self.waker, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Answer until the host is gone."""
        waiting = select.poll()
        for source in (self.control.fileno(), self.host, self.waker):
            waiting.register(source, select.POLLIN)
        while True:
            ready = {source for source, _ in waiting.poll()}
            if self.host in ready:
                return
            if self.waker in ready:
                os.read(self.waker, 4096)
                self.reap()
            if self.control.fileno() in ready:
                message, descriptors, _, _ = socket.recv_fds(self.control, _LARGEST, 2)
                if not message:
                    return
                self.answer(decode(message), descriptors)

    def reap(self) -> None:
        """Take note of processes that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.statuses[pid] = status
            while len(self.statuses) > _STATUSES_KEPT:
                del self.statuses[next(iter(self.statuses))]

    def answer(self, request: Mapping[str, Any], descriptors: list[int]) -> None:
        """Start a candidate's process, or say how one ended."""
        if "status" in request:
            self.reap()
            self.control.send(encode(self.statuses.pop(request["status"], None)))
            return
        preload(request["preload"])
        try:
            self.start(descriptors, request["limits"])
        except OSError as error:
            self.control.send(encode(f"no process can be started: {error}"))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def start(self, descriptors: list[int], limits: Mapping[str, int]) -> None:
        """Start a process that speaks over `descriptors`, and hand a handle of it to the host."""
        pid = os.fork()
        if pid == 0:
            self.become_candidate(descriptors, limits)
        handle = os.pidfd_open(pid)
        try:
            socket.send_fds(self.control, [encode(pid)], [handle])
        finally:
            os.close(handle)

    def become_candidate(self, descriptors: list[int], limits: Mapping[str, int]) -> None:
        """Turn this process, just forked, into that of a candidate; never return."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel, output = descriptors
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(channel, CHANNEL)
            os.closerange(CHANNEL + 1, 1024)
            try:
                lock(self.ground, limits)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing is run
                complain(f"{type(error).__name__}: {error}")
            else:
                serve()
        finally:
            os._exit(0)


def preload(names: Iterable[str]) -> None:
    """Import modules here once, so that candidates have them at their start."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - whatever it is, nothing is run
            sys.modules.pop(name, None)
    if missing:
        gc.collect()
        gc.freeze()


def main(descriptor: int) -> None:
    """Run the fork server over the connection that is inherited as `descriptor`."""
    control = socket.socket(fileno=descriptor)
    host = os.pidfd_open(os.getppid())
    setting: dict[str, Any] = decode(control.recv(_LARGEST))
    sys.path[:] = setting["path"]
    os.environ.clear()
    for variable in _ONE_THREAD:
        os.putenv(variable, "1")  # for libraries in C, without showing in os.environ
    preload(setting["preload"])
    entered = namespaces.enter() if setting["namespaces"] else []
    if "processes" in entered:
        _stay_outside()
    readable: list[str] = setting["readable"]
    own_tree = _own_tree(entered, readable)
    ground = Ground(entered, own_tree, readable, hidden=not own_tree and is_hidden(readable))
    control.send(encode({"namespaces": [*ground.namespaces], "own_tree": ground.own_tree}))
    Zygote(control, host, ground).serve()


def _stay_outside() -> None:
    """Go on in a child, the first process of the new namespace; this one waits and ends with it."""
    inner = os.fork()
    if inner:
        for descriptor in range(3, 256):
            try:
                os.close(descriptor)
            except OSError:
                continue
        _, status = os.waitpid(inner, 0)
        os._exit(0 if status == 0 else 1)
    kernel.die_with_parent()


def _own_tree(entered: list[str], readable: Iterable[str]) -> bool:
    if "mount" not in entered:
        return False
    try:
        namespaces.move_to_own_tree(readable)
    except OSError:
        return False
    return True
