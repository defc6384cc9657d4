"""Importing the tracing core costs nothing that a user didn't ask for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TypedDict

import pytest

WATCH = """
import json, sys
names = sys.argv[1:]
seen = {"opened": [], "network": [], "modules": []}
before = set(sys.modules)

def watch(event, args):
    if event == "open":
        seen["opened"].append([str(args[0]), args[2]])
    elif event.startswith("socket."):
        seen["network"].append(event)

sys.addaudithook(watch)
for name in names:
    __import__(name)
seen["modules"] = sorted(set(sys.modules) - before)
print(json.dumps(seen))
"""
WRITING = 0o3  # os.O_WRONLY | os.O_RDWR
CODE = (".py", ".pyc", ".so", ".pyd")


class Seen(TypedDict):
    """What importing did."""

    opened: list[tuple[str, int]]
    network: list[str]
    modules: list[str]


def watch(*names: str) -> Seen:
    """What importing the modules did, in a fresh interpreter that writes no bytecode."""
    command = [sys.executable, "-B", "-c", WATCH, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen: Seen = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("name", ["opto", "opto.trace"])
def test_no_third_party_module_is_loaded(name: str) -> None:
    tops = {module.partition(".")[0] for module in watch(name)["modules"]}

    assert tops - {"opto"} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", ["opto", "opto.trace"])
def test_no_file_but_code_is_read_and_none_written(name: str) -> None:
    opened = watch(name)["opened"]

    assert [path for path, flags in opened if flags & WRITING] == []
    assert [path for path, _ in opened if not path.endswith(CODE)] == []


@pytest.mark.parametrize("name", ["opto", "opto.trace", "opto.optimizers", "opto.utils.llm"])
def test_no_network_is_touched(name: str) -> None:
    assert watch(name)["network"] == []


def test_import_opto_loads_no_layer_but_what_it_names() -> None:
    assert [name for name in watch("opto")["modules"] if name.startswith("opto")] == [
        "opto",
        "opto.version",
    ]


def test_the_optimizers_load_no_backend() -> None:
    tops = {module.partition(".")[0] for module in watch("opto.optimizers")["modules"]}

    assert tops.isdisjoint({"httpx2", "httpx", "xllamacpp", "graphviz", "autogen", "numpy"})


@pytest.mark.parametrize(
    "text", ["import httpx2", "open('x.txt', 'w')", "import socket; socket.socket()"]
)
def test_the_watch_would_notice(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("guilty")
    (folder / "guilty.py").write_text(text, "utf-8")
    command = [
        sys.executable,
        "-B",
        "-c",
        f"import sys; sys.path.insert(0, {str(folder)!r})\n{WATCH}",
    ]
    done = subprocess.run([*command, "guilty"], capture_output=True, text=True, check=True)
    seen: Seen = json.loads(done.stdout)

    tops = {module.partition(".")[0] for module in seen["modules"]} - {"guilty"}
    written = [path for path, flags in seen["opened"] if flags & WRITING]
    assert not tops <= sys.stdlib_module_names or written or seen["network"]
