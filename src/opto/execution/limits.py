"""What one candidate may use, and what it may import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one candidate's process.

    Attributes:
        seconds: of wall time for one call; the process is killed from outside when they are over.
        processor_seconds: for the life of the process, which is replaced in time if it is honest.
        memory: bytes of address space.
        file: bytes of one file.
        scratch: bytes of all files together.
        open_files: how many.
        threads: how many, where the system counts them for this process alone.
        calls_back: how many calls of functions of the host one call may make.
    """

    seconds: float = 10.0
    processor_seconds: int = 300
    memory: int = 1 << 30
    file: int = 16 << 20
    scratch: int = 32 << 20
    open_files: int = 64
    threads: int = 32
    calls_back: int = 1_000

    def for_kernel(self) -> dict[str, int]:
        """Return what the process itself sets before it runs anything."""
        return {
            "cpu": self.processor_seconds,
            "memory": self.memory,
            "file": self.file,
            "scratch": self.scratch,
            "open_files": self.open_files,
            "threads": self.threads,
        }


# What computes. Left out is what speaks to other machines, processes or the terminal: it would fail
# in the sandbox anyway, and saying so at the import is the better answer.
COMPUTING = frozenset(
    """__future__ abc argparse array ast asyncio base64 binascii bisect builtins calendar cmath
    codecs collections colorsys concurrent contextlib contextvars copy csv dataclasses datetime
    decimal difflib enum errno fnmatch fractions functools gc getopt graphlib hashlib heapq hmac
    html inspect io itertools json keyword linecache locale logging math numbers numpy operator os
    pathlib platform posixpath pprint queue random re reprlib secrets shlex stat statistics string
    struct sys tempfile textwrap threading time timeit tokenize traceback types typing
    typing_extensions unicodedata uuid warnings weakref zlib zoneinfo""".split()  # noqa: SIM905 - reads best
)


def is_allowed(module: str, allowed: frozenset[str]) -> bool:
    """Whether a module or one that it lies in is in the list."""
    parts = module.split(".")
    return "*" in allowed or any(
        ".".join(parts[:count]) in allowed for count in range(1, len(parts) + 1)
    )
