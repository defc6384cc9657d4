"""``opto doctor``: which model would be used and why, what is installed, how code is confined."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import textwrap
from typing import TYPE_CHECKING

from opto.errors import OptoError
from opto.execution import report
from opto.llm.choice import RULES, WAYS, Rule, Surroundings
from opto.llm.weights import CATALOGUE, cache_folder, is_present
from opto.version import __version__

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXTRAS = {
    "local": "xllamacpp",
    "viz": "graphviz",
    "autogen": "autogen",
    "litellm": "litellm",
}

_ERROR = "error: "


def add_to(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="which model would be used, and what is installed")
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    print(f"opto {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print("\nmodel, by the first of these that is there:")
    first = ""
    for number, rule in enumerate(RULES, 1):
        what = _outcome(rule)
        print(f"  {'->' if what and not first else '  '} {number}. {rule.looks_at}: {what or 'no'}")
        first = first or what
    if not first:
        print(f"\n{WAYS}")
    print(f"\nlocal weights in {cache_folder() / 'models'}:")
    for name, weights in CATALOGUE.items():
        print(f"     {name:5} {weights.title:28} {'here' if is_present(name) else 'not fetched'}")
    print("\nextras:")
    for extra, module in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        missing = f"missing (pip install 'trace-opt[{extra}]')"
        print(f"     {extra:8} {'installed' if there else missing}")
    print("\ncode that a model proposes:")
    print(textwrap.indent(str(report()), "     "))
    return 0 if first and not first.startswith(_ERROR) else 1


def _outcome(rule: Rule) -> str:
    """What the rule says, without secrets; empty if it doesn't apply."""
    try:
        selection = rule.apply(Surroundings.here())
    except OptoError as error:
        return f"{_ERROR}{error}"
    return f"{selection.model!r} ({selection.why})" if selection else ""
