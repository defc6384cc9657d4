"""The format of parameter files: sections of named values between a version and a checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from opto.errors import NotPlainData, ParameterFileError
from opto.records.text import quoted, split_quoted
from opto.records.values import Reader, Writer

VERSION = 2
MAX_BYTES = 64 << 20
_FIRST = re.compile(rb"opto parameters, version ([1-9][0-9]{0,5})")
_LAST = re.compile(rb"checksum: (?:sha256 ([0-9a-f]{64})|none)")
_FIELD = re.compile(r"([a-z_]+): (.*)", re.DOTALL)
_SECTION = re.compile(r"\[([a-z]+) (.*)\]", re.DOTALL)
_BARE = re.compile(r"[\w.:-]+")
_NOTE = "# To change this file by hand, make its last line: checksum: none"


class Section(NamedTuple):
    """A part of a file.

    Attributes:
        kind: what it is of: ``parameter`` or ``state``.
        name: whose it is.
        fields: what it says.
    """

    kind: str
    name: str
    fields: dict[str, Any]


class Document(NamedTuple):
    """What a file says.

    Attributes:
        fields: what it says of itself.
        sections: its parts, in order.
    """

    fields: dict[str, Any]
    sections: list[Section]


def _from_1(document: Document) -> Document:
    """Version 1 knew of code alone where it was from: its author, or anyone else ("proposed")."""
    sections = [
        section._replace(fields={**section.fields, "origin": "unknown"})
        if section.fields.get("origin") == "proposed"
        else section
        for section in document.sections
    ]
    return document._replace(sections=sections)


Migrations = Mapping[int, Callable[[Document], Document]]
MIGRATIONS: Migrations = {1: _from_1}
"""For each version before this one: what makes of it a document of the version after it."""


# ---- writing -------------------------------------------------------------------------------------


def written(document: Document) -> bytes:
    """Return a document as the content of a file.

    Raises:
        NotPlainData: if there is something in it that can't be written; the message names it.
    """
    writer = Writer()
    found = [f"opto parameters, version {VERSION}", _NOTE]
    found += _fields(writer, document.fields, "the head of the file")
    for kind, name, fields in document.sections:
        shown = name if _BARE.fullmatch(name) and name.isprintable() else quoted(name)
        found += ["", f"[{kind} {shown}]", *_fields(writer, fields, f"{kind} {shown}")]
    data = "".join(f"{line}\n" for line in [*found, ""]).encode()
    if len(data) > MAX_BYTES:
        message = f"the file would have {len(data)} bytes, more than {MAX_BYTES}"
        raise NotPlainData(message)
    return data + f"checksum: sha256 {hashlib.sha256(data).hexdigest()}\n".encode()


def _fields(writer: Writer, fields: Mapping[str, Any], place: str) -> list[str]:
    found: list[str] = []
    for name, value in fields.items():
        try:
            first, *below = writer.lines(value)
        except NotPlainData as error:
            message = f"{place} can't be saved: {error}"
            raise NotPlainData(message) from None
        found += [f"{name}: {first}", *below]
    return found


# ---- reading -------------------------------------------------------------------------------------


def parsed(data: bytes, source: str, migrations: Migrations = MIGRATIONS) -> Document:
    """Return what the content of a file says, as a document of this version.

    Raises:
        ParameterFileError: if it isn't a whole, unchanged file of a known version.
    """
    data = data.replace(b"\r\n", b"\n")  # as version control may have left it
    first = _FIRST.fullmatch(data.partition(b"\n")[0])
    if first is None:
        message = f"{source} is no parameter file: its first line is {data[:60]!r}"
        raise ParameterFileError(message)
    body, version = _unchanged(data, source, int(first[1])), int(first[1])
    if version > VERSION:
        raise ParameterFileError(_newer(source, version))
    document = _document(body, source)
    while version < VERSION:
        document, version = migrations[version](document), version + 1
    return document


def _newer(source: str, version: int) -> str:
    return (
        f"{source} is of version {version}; this release reads up to {VERSION}. "
        "Run: pip install --upgrade trace-opt"
    )


def _unchanged(data: bytes, source: str, version: int) -> bytes:
    """Return the part of a file that the checksum is of."""
    start = data.rfind(b"\n", 0, -1) + 1
    last = _LAST.fullmatch(data[start:-1])
    doubt = f" Or else {_newer(source, version)}" if version > VERSION else ""
    if last is None or not data.endswith(b"\n"):
        message = f"{source} is cut off or damaged: its last line isn't a checksum.{doubt}"
        raise ParameterFileError(message)
    if last[1] and hashlib.sha256(data[:start]).hexdigest().encode() != last[1]:
        message = (
            f"{source} was damaged or changed since it was saved: its checksum doesn't fit. If you "
            f"changed it by hand, make its last line 'checksum: none'.{doubt}"
        )
        raise ParameterFileError(message)
    return data[:start]


def _document(data: bytes, source: str) -> Document:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"{source} is no text in UTF-8: {error}"
        raise ParameterFileError(message) from None
    reader = Reader(text.split("\n"), source)
    reader.at = 1
    document = Document(_read_fields(reader), [])
    seen: set[tuple[str, str]] = set()
    for kind, name in _headings(reader):
        if (kind, name) in seen:
            raise reader.error(f"the section [{kind} {name}] is there twice")
        seen.add((kind, name))
        document.sections.append(Section(kind, name, _read_fields(reader)))
    return document


def _headings(reader: Reader) -> Iterator[tuple[str, str]]:
    while (line := reader.next(0)) is not None:
        found = _SECTION.fullmatch(line)
        if found is None:
            raise reader.error(f"{line[:40]!r} is no head of a section, nor part of a value")
        kind, name = found[1], found[2]
        if name.startswith('"'):
            try:
                name, rest = split_quoted(name)
            except ValueError as error:
                raise reader.error(str(error)) from None
            if rest:
                raise reader.error(f"{rest[:40]!r} stands after the name of a section")
        yield kind, name


def _read_fields(reader: Reader) -> dict[str, Any]:
    """Read fields up to the next section; lines that start with # are remarks."""
    found: dict[str, Any] = {}
    while reader.at < len(reader.lines):
        line = reader.lines[reader.at]
        if line.startswith("["):
            break
        reader.at += 1
        if not line or line.startswith("#"):
            continue
        field = _FIELD.fullmatch(line)
        if field is None:
            raise reader.error(f"{line[:40]!r} is no field, nor part of a value")
        if field[1] in found:
            raise reader.error(f"the field {field[1]} is there twice")
        found[field[1]] = reader.value(field[2], 2)
    return found
