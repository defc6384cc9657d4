"""``opto model``: the weights of local models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from opto.cli.progress import Bar
from opto.llm.weights import CATALOGUE, DEFAULT, cache_folder, fetch, is_present, weights_path

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_NAME_HELP = "135m, 0.5b, 1.5b, or org/repository:file.gguf of the Hugging Face hub"


def add_to(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("model", help="fetch and list local models")
    actions = parser.add_subparsers(title="actions", required=True, metavar="action")
    fetching = actions.add_parser("fetch", help="bring weights into the cache; resumable")
    fetching.add_argument("name", nargs="?", default=DEFAULT, help=f"{_NAME_HELP} ({DEFAULT})")
    fetching.set_defaults(run=_fetch)
    actions.add_parser("list", help="the models that are known").set_defaults(run=_list)
    path = actions.add_parser("path", help="where the weights of a model lie")
    path.add_argument("name", nargs="?", default=DEFAULT, help=f"{_NAME_HELP} ({DEFAULT})")
    path.set_defaults(run=_path)


def _fetch(arguments: argparse.Namespace) -> int:
    with Bar() as bar:
        path = fetch(arguments.name, progress=bar)
    print(path)
    return 0


def _list(_: argparse.Namespace) -> int:
    print(f"weights in {cache_folder() / 'models'}")
    for name, weights in CATALOGUE.items():
        size = f"{(weights.size or 0) / 1e6:,.0f} MB"
        state = "here" if is_present(name) else "not fetched"
        default = "  (default)" if name == DEFAULT else ""
        print(f"  {name:5} {weights.title:28} {size:>9}  {weights.licence}  {state}{default}")
    return 0


def _path(arguments: argparse.Namespace) -> int:
    print(weights_path(arguments.name))
    return 0
