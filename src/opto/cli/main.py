"""The command line: what there is to say, and which function answers it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from opto.cli import doctor, model
from opto.errors import OptoError
from opto.version import __version__

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except OptoError as error:
        print(f"opto: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nopto: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "opto", description="Train systems that have no gradient, from any feedback."
    )
    parser.add_argument("--version", action="version", version=f"opto {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    model.add_to(commands)
    doctor.add_to(commands)
    return parser
