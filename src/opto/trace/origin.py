"""Where the value of a parameter is from: its author, a model, a file.

Where code runs is decided by it, so nothing can claim to be the author's: a file's word on where
its values are from is kept beside the file's own name, and is for readers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Plain = str | dict[str, Any]
_DIGITS = 12
_MOST = 200


@dataclass(frozen=True)
class Origin:
    """Where a value is from; one of the classes below."""

    def as_plain(self) -> Plain:
        """Return this as plain data, for files and records; `origin_of` reads it."""
        return str(self)

    def kept(self) -> Origin:
        """Return what a file says of a value of this origin.

        What came through a file is what that file said it was, so a file that is loaded and saved
        stays as it was.
        """
        return self


@dataclass(frozen=True)
class FromAuthor(Origin):
    """Written in the program: for code, the function's own text."""

    def __str__(self) -> str:
        return "author"


@dataclass(frozen=True)
class Unknown(Origin):
    """Set by who didn't say: by hand, or by a program that took it from anywhere."""

    def __str__(self) -> str:
        return "unknown"


@dataclass(frozen=True)
class FromModel(Origin):
    """Proposed by a model, or by an optimizer that asks none.

    Attributes:
        run: which run of an optimizer.
        step: which of its proposals, from 1.
        model: the name of the model; None if it isn't known or none was asked.
    """

    run: str
    step: int
    model: str | None = None

    def __str__(self) -> str:
        who = "an optimizer" if self.model is None else f"model {_shown(self.model)}"
        return f"{who}, run {_shown(self.run)}, step {self.step}"

    def as_plain(self) -> Plain:
        """Return this as plain data."""
        named = {} if self.model is None else {"model": self.model}
        return {"from": "model", **named, "run": self.run, "step": self.step}


@dataclass(frozen=True)
class FromFile(Origin):
    """Loaded from a file.

    Attributes:
        path: the file, as it was named.
        sha256: the checksum of all its bytes.
        said: where the file says that it is from; nothing relies on that.
    """

    path: str
    sha256: str
    said: Origin | None = None

    def __str__(self) -> str:
        said = "" if self.said is None else f", which says: {self.said}"
        return f"file {_shown(self.path)} (sha256 {_shown(self.sha256[:_DIGITS])}){said}"

    def as_plain(self) -> Plain:
        """Return this as plain data."""
        said = {} if self.said is None else {"said": self.said.as_plain()}
        return {"from": "file", "path": self.path, "sha256": self.sha256, **said}

    def kept(self) -> Origin:
        """Return what a file says of it."""
        return self if self.said is None else self.said.kept()


def _shown(text: str) -> str:
    """Return a text that came from a file or a server as it may be shown on a terminal."""
    short = text[:_MOST]
    return short if short.isprintable() else ascii(short)


AUTHOR = FromAuthor()
UNKNOWN = Unknown()
_SIMPLE: Mapping[str, Origin] = {"author": AUTHOR, "unknown": UNKNOWN}
_FIELDS: Mapping[str, tuple[type[Origin], Mapping[str, type]]] = {
    "model": (FromModel, {"run": str, "step": int, "model": str}),
    "file": (FromFile, {"path": str, "sha256": str, "said": object}),
}
_OPTIONAL = {"model", "said"}


def origin_of(plain: object) -> Origin:
    """Return the origin that plain data says.

    Raises:
        ValueError: if it says none.
    """
    if isinstance(plain, str) and plain in _SIMPLE:
        return _SIMPLE[plain]
    given = dict(plain) if isinstance(plain, Mapping) else {}
    kind = given.pop("from", None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        message = (
            f"{plain!r:.80} is no origin; there are author, unknown, and dicts from a model or file"
        )
        raise ValueError(message)
    made, fields = _FIELDS[kind]
    wrong = [name for name, value in given.items() if type(value) is not fields.get(name, None)]
    wrong = [name for name in wrong if fields.get(name) is not object]
    missing = fields.keys() - given.keys() - _OPTIONAL
    if wrong or missing:
        listed = ", ".join(sorted({*map(str, wrong), *missing}))
        message = f"an origin from a {kind} has {', '.join(fields)}; wrong or missing: {listed}"
        raise ValueError(message)
    if "said" in given:
        given["said"] = origin_of(given["said"])
    return made(**given)
