"""Prompts as files, rendered strictly: a missing value is an error, and so is one too many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from string import Template

from opto.errors import InvalidArgument

_TURN = re.compile(r"^## (user|assistant)$", re.MULTILINE)


class Prompts:
    """The prompts of this package, each replaceable by a file of the same name in `folder`."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None and not self.folder.is_dir():
            message = f"prompts must be a folder with .md files; there is no folder {self.folder}"
            raise InvalidArgument(message)

    def text(self, name: str) -> str:
        """Return the text of a prompt, not rendered."""
        own = None if self.folder is None else self.folder / f"{name}.md"
        if own is not None and own.is_file():
            return own.read_text("utf-8").rstrip("\n")
        return _shipped(name)

    def turns(self, name: str) -> list[tuple[str, str]]:
        """Return a conversation, pairs of what is asked and answered.

        Raises:
            InvalidArgument: unless it has headings ``## user`` and ``## assistant`` in turns.
        """
        _, *parts = _TURN.split(self.text(name))
        roles, texts = parts[::2], [text.strip() for text in parts[1::2]]
        if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
            message = (
                f"the prompt {name!r} must have the headings ## user and ## assistant in turns"
            )
            raise InvalidArgument(message)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def render(self, name: str, /, **values: str) -> str:
        """Return a prompt with its placeholders filled in; raises `InvalidArgument`."""
        return render(self.text(name), values, name=name)


class PromptText:
    """A class attribute that reads as the text of a prompt; subclasses may assign a plain text."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> str:
        found = getattr(instance, "prompts", None)
        return (found if isinstance(found, Prompts) else Prompts()).text(self.name)


def render(text: str, values: Mapping[str, str], *, name: str = "prompt") -> str:
    """Fill the ``$placeholders`` of a text; each must get a value and each value a placeholder."""
    wanted = placeholders(text)
    missing, surplus = sorted(wanted - values.keys()), sorted(values.keys() - wanted)
    if missing or surplus:
        faults = [
            f"{what}: {', '.join(names)}"
            for what, names in (("without a value", missing), ("not in the text", surplus))
            if names
        ]
        message = f"the placeholders of the prompt {name!r} don't fit; {'; '.join(faults)}"
        raise InvalidArgument(message)
    return Template(text).substitute(values)


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders in a text."""
    found = Template.pattern.finditer(text)
    return {name for match in found if (name := match["named"] or match["braced"])}


@lru_cache(maxsize=64)
def _shipped(name: str) -> str:
    file = files(__name__) / f"{name}.md"
    if not file.is_file():
        message = f"there is no prompt {name!r}"
        raise InvalidArgument(message)
    return file.read_text("utf-8").rstrip("\n")
