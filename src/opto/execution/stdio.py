"""The other side of a transport: ``python -m opto.execution.stdio``.

Frames come in by standard input and go out by standard output. It confines nothing.
"""

from __future__ import annotations

import os

from opto.execution.worker import OUTPUT, Wire, serve

_INPUT, _ERRORS = 0, 2


def main() -> None:
    """Serve one version of code until the input ends."""
    wire = Wire(os.dup(_INPUT), os.dup(OUTPUT))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _INPUT)
    os.dup2(_ERRORS, OUTPUT)
    os.close(nothing)
    serve(wire)


if __name__ == "__main__":
    main()
