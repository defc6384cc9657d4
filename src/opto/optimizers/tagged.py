"""Reads replies of the form ``<variable><name>..</name><value>..</value></variable>``.

Values are taken as they stand, tags inside them included, since that is the point of the form: code
and markup need no escaping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opto.errors import ProposalError

_START = re.compile(r"<(reasoning)>|<(variable)\b[^<>\n]*>(?=\s*<(?:name|value)>)", re.IGNORECASE)
_STRAY = re.compile(r"</?(?:variable|value|name)\b[^<>\n]*>", re.IGNORECASE)
_VARIABLE = re.compile(r"<variable\b([^<>\n]*)>", re.IGNORECASE)
_NAME = re.compile(r"\s*<name>(.*?)</name>", re.IGNORECASE | re.DOTALL)
_NAME_ATTRIBUTE = re.compile(r"""\bname\s*=\s*["']([^"'<>]*)["']""", re.IGNORECASE)
_VALUE = re.compile(r"\s*<value>", re.IGNORECASE)
# The constraint of a variable, which models copy from the question, says nothing new.
_CONSTRAINT = r"(?:<constraint>(?:[^<]|<(?!/constraint>|/?(?:variable|value)\b))*</constraint>\s*)?"
_EDGE = re.compile(
    r"(?P<opens><variable\b[^<>\n]*>\s*<(?:name|value)>)"
    r"|(?P<named></value>\s*(?=<name>))"
    rf"|(?P<closes></value>\s*{_CONSTRAINT}(?:</variable>|(?=<variable\b)|(?=</?suggestion>)|\Z))",
    re.IGNORECASE,
)
_END = re.compile(r"\s*</variable>", re.IGNORECASE)
_LAST = re.compile(r"</variable>\s*\Z", re.IGNORECASE)
_CDATA = re.compile(r"\s*<!\[CDATA\[(.*)\]\]>\s*", re.DOTALL)
_REASONING_END = re.compile(r"</reasoning>", re.IGNORECASE)


@dataclass(frozen=True)
class Tagged:
    """What a tagged reply says.

    Attributes:
        reasoning: the text of the reasoning.
        variables: name and value of each variable, in order.
        rest: the text outside of the tags.
    """

    reasoning: str
    variables: tuple[tuple[str, str], ...]
    rest: str


def first_tag(reply: str) -> int:
    """Return where the first tag of the form stands, or the reply's length."""
    found = _START.search(reply)
    return found.start() if found else len(reply)


def read_tagged(reply: str) -> Tagged:
    """Read all outermost tags; raises `ProposalError` for one that is broken."""
    position = start = first_tag(reply)
    reasoning: list[str] = []
    variables: list[tuple[str, str]] = []
    rest = [reply[:start]]
    while found := _START.search(reply, position):
        rest.append(reply[position : found.start()])
        if found.group(1):
            text, position = _reasoning(reply, found.end())
            reasoning.append(text)
        else:
            name, value, position = _variable(reply, found)
            variables.append((name, value))
    rest.append(reply[position:])
    outside = "".join(rest).strip()
    if variables and (stray := _STRAY.search(outside)):
        message = f"the tags don't fit together: {stray.group()} stands outside of a variable"
        raise ProposalError(message, reply=reply)
    return Tagged("\n".join(reasoning), tuple(variables), outside)


def _reasoning(reply: str, start: int) -> tuple[str, int]:
    end = _REASONING_END.search(reply, start)
    if end is not None:
        return reply[start : end.start()].strip(), end.end()
    variable = _VARIABLE.search(reply, start)
    stop = variable.start() if variable else len(reply)
    return reply[start:stop].strip(), stop


def _variable(reply: str, tag: re.Match[str]) -> tuple[str, str, int]:
    position = tag.end()
    attribute = _NAME_ATTRIBUTE.search(tag.group())
    name = attribute.group(1) if attribute else None
    if found := _NAME.match(reply, position):
        name, position = found.group(1), found.end()
    opening = _VALUE.match(reply, position)
    if opening is None:
        message = "a <variable> needs <name>...</name> and <value>...</value>"
        raise ProposalError(message, reply=reply)
    stop, position = _value_end(reply, opening.end())
    value = reply[opening.end() : stop]
    if name is None and (found := _NAME.match(reply, position)):
        name, position = found.group(1), found.end()
    if end := _END.match(reply, position):
        position = end.end()
    if not name or not name.strip():
        message = "a <variable> has no <name>"
        raise ProposalError(message, reply=reply)
    raw = _CDATA.fullmatch(value)
    return name.strip(), raw.group(1) if raw else value.strip(), position


def _value_end(reply: str, start: int) -> tuple[int, int]:
    """Return where a value ends and where reading goes on, skipping whole variables inside it."""
    depth = 0
    for edge in _EDGE.finditer(reply, start):
        if edge.group("opens"):
            depth += 1
        elif depth:
            depth -= 1
        else:
            return edge.start(), edge.end()
    end = _LAST.search(reply, start)
    if end and not _STRAY.search(reply, start, end.start()):  # only </value> was forgotten
        return end.start(), end.end()
    message = "a <value> isn't closed; the reply may have been cut off"
    raise ProposalError(message, reply=reply)
