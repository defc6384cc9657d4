"""How a download is shown: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

from opto.llm.weights import Progress

_WIDTH = 30
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Bar:
    """Shows each `Progress` that it is called with."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._drawn = self._stream.isatty()
        self._note = ""
        self._next = 0.0
        self._open = False
        self._start: tuple[float, int] | None = None

    def __call__(self, progress: Progress) -> None:
        """Show it, unless the last was shown a moment ago."""
        now = time.monotonic()
        if progress.note != self._note:
            self._end_line()
            self._note, self._start = progress.note, None
            self._stream.write(f"{progress.note}\n")
            self._next = now + (0.0 if self._drawn else _LINE_SECONDS)
        if now < self._next and progress.done != progress.total:
            return
        self._next = now + (_REDRAW_SECONDS if self._drawn else _LINE_SECONDS)
        self._start = self._start or (now, progress.done)
        self._show(line(progress, self._speed(now, progress.done)))

    def _speed(self, now: float, done: int) -> float:
        begun, before = self._start or (now, done)
        return (done - before) / (now - begun) if now > begun else 0.0

    def _show(self, text: str) -> None:
        if self._drawn:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{text[:width]:<{width}}")
            self._open = True
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def _end_line(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._open = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_line()
        self._stream.flush()


def line(progress: Progress, speed: float = 0.0) -> str:
    """One line for it; `speed` in bytes a second."""
    rate = f"  {speed / 1e6:.1f} MB/s" if speed > 0 else ""
    if not progress.total:
        return f"  {progress.done / 1e6:,.0f} MB{rate}"
    share = min(1.0, progress.done / progress.total)
    bar = "#" * round(share * _WIDTH)
    figures = f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB"
    left = (progress.total - progress.done) / speed if speed > 0 else 0
    remaining = f"  {left:,.0f} s left" if left else ""
    return f"  [{bar:<{_WIDTH}}] {share:4.0%}  {figures}{rate}{remaining}"
