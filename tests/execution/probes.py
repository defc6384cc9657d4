"""Attacks on the process that runs proposed code: what FAULTS.md lists, one function each.

Each is the text of a function `f(x)`. `x` tells it what there is to attack: `outside` and `secret`
(paths), `canary` (never given; it is what must not come back), `parent` (process id) and `port`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import pytest


@dataclass(frozen=True)
class Probe:
    """One attack.

    Attributes:
        group: what it is aimed at.
        name: what it does.
        text: the code.
        value: which values it may return, besides an error; none by default.
        error: what the error says; anything by default.
        wants: what the value or error looks like, in words, for the table.
    """

    group: str
    name: str
    text: str
    value: Callable[[Any], bool] = lambda _: False
    error: str = ""
    wants: str = "an error"


def probe(group: str, name: str, body: str, **more: Any) -> Probe:
    """A probe whose function has that body."""
    text = dedent(body).strip("\n")
    text = "def f(x):\n" + "\n".join(f"    {line}" for line in text.splitlines())
    return Probe(group, name, text, **more)


def is_true(value: Any) -> bool:
    """The honest answer of most: nothing was reached."""
    return value is True


STOPPED = {"error": "TimeoutError", "wants": "stopped at the wall limit, with the line"}
HONEST = {"value": is_true, "wants": "refused inside, or an error"}

HANGS = [
    probe("hang", "endless loop", "while True:\n    pass", **STOPPED),
    probe(
        "hang",
        "swallows every exception",
        """
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """,
        **STOPPED,
    ),
    probe(
        "hang",
        "a loop in C that holds the lock",
        """
        from collections import deque
        from itertools import repeat
        deque(repeat(0), maxlen=0)
        """,
        **STOPPED,
    ),
    probe(
        "hang", "a regular expression", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')", **STOPPED
    ),
    probe("hang", "a large power", "return len(str(7 ** (10 ** 9)))", **STOPPED),
    probe(
        "hang",
        "ignores signals",
        """
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except Exception:
                pass
        while True:
            pass
        """,
        **STOPPED,
    ),
    probe("hang", "sleeps", "import time\ntime.sleep(3600)", **STOPPED),
]
RESOURCES = [
    probe(
        "resources", "allocates 2.5 GB", "x = bytearray(2500 << 20)\nreturn len(x)", error="Memory"
    ),
    probe(
        "resources",
        "120 forks",
        """
        import os, time
        for _ in range(120):
            if os.fork() == 0:
                time.sleep(3600)
        """,
        error="PermissionError",
    ),
    probe(
        "resources",
        "a daemon that detaches",
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    time.sleep(1)
        return "detached"
        """,
        error="PermissionError",
    ),
    probe(
        "resources",
        "300 MB of files",
        """
        for number in range(300):
            with open(f"file{number}", "wb") as file:
                file.write(bytes(1 << 20))
        return "written"
        """,
        error="OSError|PermissionError",
    ),
    probe(
        "resources",
        "threads left spinning",
        """
        import threading
        def spin():
            while True:
                pass
        for _ in range(3):
            threading.Thread(target=spin, daemon=True).start()
        return "spinning"
        """,
        value=lambda value: value == "spinning",
        error="Timeout",
        wants="its value; the process is ended",
    ),
]
REACHES = [
    probe(
        "files",
        "writes outside",
        "with open(x['outside'], 'w') as file:\n    file.write('here')\nreturn 'written'",
        error="FileNotFoundError|PermissionError",
    ),
    probe(
        "files",
        "changes what it may read",
        """
        import os
        tried = []
        for attempt in (
            lambda: open(os.__file__, "a"),
            lambda: os.truncate(os.__file__, 0),
            lambda: os.open(os.__file__, os.O_RDONLY | os.O_TRUNC),
            lambda: os.unlink(os.__file__),
            lambda: os.utime(os.__file__, (0, 0)),
            lambda: os.chmod(os.__file__, 0o777),
        ):
            try:
                attempt()
                tried.append("done")
            except OSError:
                pass
        return not tried
        """,
        **HONEST,
    ),
    probe("secrets", "a file outside", "return open(x['secret']).read()", error="Error"),
    probe("secrets", "the environment", "import os\nreturn not os.environ", **HONEST),
    probe(
        "secrets",
        "the parent's environment",
        "return open(f\"/proc/{x['parent']}/environ\", 'rb').read()",
        error="FileNotFoundError|PermissionError",
    ),
    probe(
        "secrets",
        "the parent's memory",
        "return open(f\"/proc/{x['parent']}/mem\", 'rb').read(1)",
        error="FileNotFoundError|PermissionError",
    ),
    probe(
        "secrets",
        "objects found by gc",
        """
        import gc
        return repr([o for o in gc.get_objects() if isinstance(o, (dict, list, tuple))])[:1000000]
        """,
        value=lambda value: isinstance(value, str),
        wants="nothing of the host",
    ),
    probe(
        "network",
        "TCP to this machine",
        """
        import socket
        connection = socket.create_connection(("127.0.0.1", x["port"]), timeout=2)
        connection.sendall(b"here")
        return "sent"
        """,
        error="PermissionError|OSError",
    ),
    probe(
        "programs",
        "runs /bin/echo",
        "import subprocess\nreturn subprocess.check_output(['/bin/echo', 'here'])",
        error="PermissionError|FileNotFoundError|OSError",
    ),
    probe(
        "programs",
        "becomes another program",
        "import os\nos.execv('/bin/echo', ['/bin/echo', 'here'])",
        error="PermissionError|FileNotFoundError",
    ),
]
CRASHES = [
    probe("crash", "os._exit", "import os\nos._exit(3)", error="exit status 3"),
    probe("crash", "sys.exit", "import sys\nsys.exit(3)", error="SystemExit"),
    probe("crash", "KeyboardInterrupt", "raise KeyboardInterrupt", error="KeyboardInterrupt"),
    probe("crash", "GeneratorExit", "raise GeneratorExit('x')", error="GeneratorExit"),
    probe(
        "crash",
        "kills the parent",
        "import os, signal\nos.kill(x['parent'], signal.SIGKILL)\nos.kill(os.getppid(), 9)",
        error="Permission|ProcessLookup",
    ),
    probe("crash", "kills everything", "import os\nos.kill(-1, 9)", error="Permission"),
    probe("crash", "a null pointer", "import ctypes\nctypes.string_at(0)", error="SIGSEGV"),
    probe(
        "crash",
        "recursion with the limit lifted",
        """
        import sys
        sys.setrecursionlimit(10 ** 9)
        class Deep:
            def __repr__(self):
                return repr(self)
        repr(Deep())
        g = lambda n: g(n + 1)
        return g(0)
        """,
        error="SIGSEGV|MemoryError|RecursionError|Timeout",
    ),
]
STATE = [
    probe(
        "state",
        "replaces len and sum",
        "import builtins\nbuiltins.len = builtins.sum = lambda *_: 1\nreturn True",
        **HONEST,
    ),
    probe(
        "state",
        "replaces functions of this library and of json",
        """
        import json, sys
        json.dumps = lambda *_: "forged"
        for module in [m for n, m in sys.modules.items() if n.startswith("opto")]:
            for name in list(vars(module)):
                if callable(getattr(module, name)):
                    setattr(module, name, lambda *_, **__: b"forged")
        return True
        """,
        value=is_true,
        wants="an error, or the honest value",
    ),
    probe(
        "state",
        "settrace, no stdout",
        "import sys\nsys.settrace(lambda *_: None)\nsys.stdout = sys.stderr = None\nreturn True",
        **HONEST,
    ),
    probe(
        "state",
        "replaces compile and exec for the next",
        """
        import builtins
        builtins.compile = builtins.exec = builtins.eval = lambda *_, **__: "forged"
        return True
        """,
        **HONEST,
    ),
]
RETURNS = [
    probe(
        "return",
        "an object that runs code when unpickled",
        """
        class Bomb:
            def __reduce__(self):
                import os
                return os.system, (f"touch {x['outside']}",)
        return Bomb()
        """,
        error="can't leave its process",
    ),
    probe(
        "return",
        "an exception that runs code when unpickled",
        """
        class Bomb(Exception):
            def __reduce__(self):
                import os
                return os.system, (f"touch {x['outside']}",)
        raise Bomb("text")
        """,
        error="Bomb",
    ),
    probe(
        "return",
        "a float that is larger than everything",
        """
        class Always(float):
            def __gt__(self, other): return True
            def __eq__(self, other): return True
        return Always(0)
        """,
        error="can't leave its process",
    ),
    probe(
        "return",
        "an exception whose text takes for ever",
        """
        class Slow(Exception):
            def __str__(self):
                while True: pass
        raise Slow()
        """,
        **STOPPED,
    ),
    probe(
        "return",
        "an exception whose text leaves the process",
        """
        class Leaving(Exception):
            def __str__(self):
                import os
                os._exit(0)
        raise Leaving()
        """,
        error="process ended",
    ),
    probe("return", "300 MB of text", "return 'x' * (300 << 20)", error="bytes"),
    probe(
        "return",
        "100,000 nested lists",
        "value = []\nfor _ in range(100000):\n    value = [value]\nreturn value",
        error="deeper",
    ),
    probe("return", "a list that holds itself", "x = []\nx.append(x)\nreturn x", error="deeper"),
    probe(
        "return",
        "keys with equal hashes",
        "return {number * (2 ** 61 - 1): 0 for number in range(20000)}",
        error="equal hashes|TimeoutError",
    ),
]
OUTPUT = [
    probe(
        "output",
        "300 MB on stdout",
        "for _ in range(300):\n    print('x' * (1 << 20))\nreturn True",
        **HONEST,
    ),
    probe(
        "output",
        "300 MB past sys.stdout",
        """
        import os
        for _ in range(300):
            try:
                os.write(1, b'x' * (1 << 20))
            except OSError:
                pass
        return True
        """,
        **HONEST,
    ),
    probe(
        "output",
        "forged answers on stdout",
        "import os\nos.write(1, b'\\0\\0\\0\\1T')\nprint('\\0\\0\\0\\1T')\nreturn 'honest'",
        value=lambda value: value == "honest",
        wants="the honest value",
    ),
    probe(
        "output",
        "forged answers on every descriptor",
        """
        import os
        for number in range(64):
            try:
                os.write(number, b'\\0\\0\\0\\1T')
            except OSError:
                pass
        return 'honest'
        """,
        error="no message",
        wants="an error",
    ),
    probe(
        "output",
        "closes every descriptor",
        "import os\nos.closerange(0, 64)\nreturn 'honest'",
        error="process ended",
    ),
    probe(
        "output",
        "terminal sequences",
        "print('\\x1b[2J\\x1b]0;title\\x07')\nraise ValueError('\\x1b[31mred\\x1b[0m \\x9b1m')",
        error="red",
    ),
]
VALUES = [
    probe(
        "values", "a lone surrogate", "return '\\ud83d'", value=lambda v: v == "\ud83d", wants="it"
    ),
    probe("values", "NaN", "return float('nan')", value=math.isnan, wants="it"),
    probe("values", "10**5000", "return 10 ** 5000", value=lambda v: v == 10**5000, wants="it"),
    probe(
        "values",
        "keys of any type",
        "return {1: 2, (3,): 4}",
        value=lambda v: v == {1: 2, (3,): 4},
        wants="it",
    ),
    probe("values", "a set", "return {1, 'a'}", value=lambda v: v == {1, "a"}, wants="it"),
]
ESCAPES = [
    probe(
        "escapes",
        "__subclasses__",
        """
        for kind in ().__class__.__base__.__subclasses__():
            if kind.__name__ == "_wrap_close":
                return kind.__init__.__globals__["system"](f"touch {x['outside']}") != 0
        return True
        """,
        **HONEST,
    ),
    probe(
        "escapes",
        "str.format",
        "return '{0.__class__.__init__.__globals__}'.format(f.__class__)",
        value=lambda value: isinstance(value, str),
        wants="nothing of the host",
    ),
    probe(
        "escapes",
        "getattr(__import__(...))",
        "return getattr(__import__('os'), 'system')(f\"touch {x['outside']}\") != 0",
        **HONEST,
    ),
]
PROBES = [
    *HANGS,
    *RESOURCES,
    *REACHES,
    *CRASHES,
    *STATE,
    *RETURNS,
    *OUTPUT,
    *VALUES,
    *ESCAPES,
]
EACH = [pytest.param(p, id=f"{p.group}: {p.name}") for p in PROBES]
