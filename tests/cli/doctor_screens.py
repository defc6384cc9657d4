"""Makes docs/reference/doctor.md: ``python -m tests.cli.doctor_screens``.

Each screen is what `opto doctor` says in an environment of its own; what differs from machine to
machine (releases, folders, what is installed, how code can be confined) is that of an example.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from opto.cli.diagnosis import EXTRAS, diagnose, render
from opto.execution.machine import Report
from opto.llm.weights import CATALOGUE, resolve
from opto.llm.weights.store import place_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "doctor.md"
_SEEN = re.compile(r"\S+(?=/OAI_CONFIG_LIST)")
KEY = "sk-canary-on-a-screen"
HEAD = """# What `opto doctor` says

Which model would be used and why, what is installed, and how code that a model proposed is
confined. Nothing is sent anywhere, no weights are loaded, and keys are never shown. The status is 0
if a model can be called. `opto doctor --json` says the same as data.

These screens are made by the tests, which fail if they aren't so:
`python -m tests.cli.doctor_screens`.
"""
EXECUTION = Report(
    True,
    "",
    {
        "Landlock": "version 7",
        "system-call filter": "table for x86_64",
        "process handles (pidfd)": "here",
        "namespaces": "mount, host name, messages, processes, network",
        "file tree of its own": "yes",
    },
)


@dataclass(frozen=True)
class Screen:
    """A machine.

    Attributes:
        variables: its environment, beside what every machine has.
        weights: local models whose weights are in its cache.
        extras: those that are installed.
        files: in the working folder.
    """

    title: str
    said: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    weights: Sequence[str] = ()
    extras: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])


SCREENS = (
    Screen("A machine with nothing", "The status is 1, and the ways to a model are listed."),
    Screen(
        "With a key",
        "`export OPENAI_API_KEY=sk-...` is all that it takes.",
        {"OPENAI_API_KEY": KEY},
    ),
    Screen(
        "With several keys",
        "The first rule that applies gives the model; the others say what they would have given.",
        {"ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY},
        extras=("anthropic",),
    ),
    Screen(
        "With local weights",
        "After `pip install 'trace-opt[local]'` and `opto model fetch 0.5b`.",
        weights=("0.5b",),
        extras=("local",),
    ),
    Screen(
        "With a config list and a profile",
        "`OAI_CONFIG_LIST` lies in the working folder, and `opto.toml` names a profile.",
        files={
            "OAI_CONFIG_LIST": f'[{{"model": "gpt-4", "api_key": "{KEY}"}}, '
            f'{{"model": "claude-sonnet-3.5-latest", "api_key": "{KEY}"}}]',
            "opto.toml": '[llm.profiles.judge]\nmodel = "gpt-4o-mini"\n',
        },
    ),
    Screen(
        "With a server that is asked for by name",
        "It isn't contacted before the first call.",
        {"OPTO_MODEL": "ollama/qwen2.5:7b"},
    ),
)


def screen_of(screen: Screen) -> str:
    """What the doctor says there."""
    modules = {EXTRAS[extra] for extra in screen.extras}
    with machine(screen):
        found = diagnose(installed=modules.__contains__, execution=lambda: EXECUTION)
    found = replace(
        found,
        python="3.13.9",
        platform="Linux-6.12.0-x86_64-with-glibc2.41",
        weights_in="/home/ada/.cache/opto/models",
        rules=[replace(one, why=_SEEN.sub("/home/ada/project", one.why)) for one in found.rules],
    )
    return render(found)


def page() -> str:
    """The page: the first screen whole, of the others what differs."""
    parts: list[str] = []
    for screen in SCREENS:
        said = screen_of(screen)
        if parts:
            end = "extras:" if screen.weights else "local weights in"
            said = f"{said.partition(end)[0]}..."
        parts.append(f"\n## {screen.title}\n\n{screen.said}\n\n```text\n{said}\n```\n")
    return HEAD + "".join(parts)


@contextmanager
def machine(screen: Screen) -> Iterator[None]:
    """Make this process's surroundings those of the machine."""
    before, folder = dict(os.environ), Path.cwd()
    with tempfile.TemporaryDirectory() as home:
        os.environ.clear()
        os.environ.update({"HOME": home, "USERPROFILE": home, "OPTO_CACHE": home})
        os.environ.update(screen.variables)
        os.chdir(home)
        try:
            for name, text in screen.files.items():
                Path(name).write_text(text, encoding="utf-8")
            for name in screen.weights:
                put_weights(name)
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)


def put_weights(name: str) -> None:
    """A file of the size that the weights have; there is nothing in it."""
    path = place_of(resolve(name))
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(CATALOGUE[name].size or 1)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)  # noqa: T201 - a tool
