"""``opto doctor``: which model would be used and why, what is installed, how code is confined."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from opto.cli.diagnosis import diagnose, render

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_to(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="which model would be used, and what is installed")
    parser.add_argument("--json", action="store_true", help="as data, for programs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    found = diagnose()
    print(json.dumps(asdict(found), indent=2) if arguments.json else render(found))
    return 0 if found.well else 1
