"""Reads a model's reply into a `Proposal`, in whichever form the model chose.

Three forms are known: a JSON object, tagged text, and a fenced code block where exactly one piece
of code is wanted. What can't be read with certainty is a `ProposalError` that says what to do
better; nothing is guessed, and no named parameter is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from opto.errors import ProposalError
from opto.optimizers.code import defines
from opto.optimizers.lenient import Found, Malformed, read_object
from opto.optimizers.names import Names, Wanted, folded
from opto.optimizers.tagged import first_tag, read_tagged

NO_CHANGE = "TERMINATE"
MAX_FAILURES = 100  # braces that open no object; a reply with more is no answer

_THINKING = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_UNFINISHED = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_DECORATION = "`*_\"'.!() \t\r\n\ufeff\u200b"
_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Proposal:
    """What a reply proposes, not converted yet.

    Attributes:
        values: parameter name to the value as the reply has it.
        reasoning: the model's reasoning, if it gave one.
        unchanged: whether the reply says that nothing should change.
    """

    values: Mapping[str, object]
    reasoning: str = ""
    unchanged: bool = False


@dataclass(frozen=True)
class ReplyKeys:
    """The keys of the JSON form (`answer` may be left out by users of the original)."""

    reasoning: str = "reasoning"
    answer: str | None = "answer"
    suggestion: str = "suggestion"


@dataclass
class _Findings:
    proposals: list[list[tuple[str, object]]] = field(
        default_factory=list[list[tuple[str, object]]]
    )
    reasoning: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])
    unchanged: bool = False
    end: int = 0


@dataclass(frozen=True)
class Extracted:
    """What a reply gives, before the names are looked up."""

    pairs: tuple[tuple[str, object], ...]
    reasoning: str = ""
    unchanged: bool = False


def parse_reply(
    reply: object, wanted: Iterable[Wanted], *, keys: ReplyKeys | None = None
) -> Proposal:
    """Read a reply.

    Args:
        reply: the text of the reply.
        wanted: the parameters that may be given.
        keys: the keys of the JSON form.

    Raises:
        ProposalError: the reply doesn't hold a proposal that can be read with certainty.
    """
    names = Names(wanted)
    found = extract(reply, names, keys=keys)
    values = names.resolve(found.pairs, reply=str(reply))
    return Proposal(values, found.reasoning, unchanged=found.unchanged or not values)


def extract(reply: object, names: Names, *, keys: ReplyKeys | None = None) -> Extracted:
    """Find what a reply gives, names that aren't known included; raises `ProposalError`."""
    if not isinstance(reply, str):
        message = f"the reply is not text but {type(reply).__name__}"
        raise ProposalError(message)
    text = _without_thinking(reply)
    if _says_no_change(text):
        return Extracted((), unchanged=True)
    reader = _JsonReader(names, keys or ReplyKeys())
    tags = first_tag(text)
    findings = reader.read(text, stop=tags)
    if not findings.proposals and tags < len(text):
        return _tagged(text, names, reader, reply)
    if first_tag(text[findings.end :]) < len(text) - findings.end:
        findings.complaints.append("the reply has both JSON and <variable> tags; use one form")
    if not findings.proposals and not findings.complaints and not findings.unchanged:
        return _code_block(text, names, reply)
    return _decided(findings, reply)


def _without_thinking(reply: str) -> str:
    text = reply.lstrip("\ufeff\u200b \n\r\t")
    while found := _THINKING.match(text):
        text = text[found.end() :]
    if _UNFINISHED.match(text):
        message = "the reply ends before its answer begins; think less and answer"
        raise ProposalError(message, reply=reply)
    if not text.strip():
        message = "the reply is empty"
        raise ProposalError(message, reply=reply)
    return text


def _says_no_change(text: str) -> bool:
    return len(text) < 200 and text.strip(_DECORATION) == NO_CHANGE


# ---- JSON ----------------------------------------------------------------------------------------


class _JsonReader:
    def __init__(self, names: Names, keys: ReplyKeys) -> None:
        self.names, self.keys = names, keys
        self.suggestion = {folded(keys.suggestion), folded(f"{keys.suggestion}s")}
        self.reserved = {folded(key) for key in (keys.reasoning, keys.answer) if key}

    def read(self, text: str, *, stop: int) -> _Findings:
        """Look at every object that begins before `stop` and isn't part of another."""
        findings = _Findings()
        position = text.find("{")
        failures = 0
        while 0 <= position < stop and failures < MAX_FAILURES:
            try:
                found = read_object(text, position)
            except Malformed as error:
                failures += 1
                if any(self.matters(key) for key in error.keys):
                    findings.complaints.append(
                        f"the JSON can't be read ({error.reason} at character {error.position})"
                    )
                position = text.find("{", max(position + 1, error.position))
            else:
                self.take(found, findings)
                findings.end = found.end
                position = text.find("{", found.end)
        return findings

    def matters(self, key: str) -> bool:
        name = folded(key)
        return name in self.suggestion or name in self.reserved or self.names.find(key) is not None

    def take(self, found: Found, findings: _Findings) -> None:
        """Sort one object into the findings; objects about other things are passed over."""
        entries = found.value
        holders = [
            key
            for key in entries
            if self.names.find(key) is None and folded(key) in self.suggestion
        ]
        for key in entries:
            if folded(key) == folded(self.keys.reasoning):
                findings.reasoning.append(str(entries[key]))
        if len(holders) == 1:
            self.suggested(entries[holders[0]], findings)
            return
        own = {key: value for key, value in entries.items() if folded(key) not in self.reserved}
        if not found.closed or len(holders) > 1:
            if any(self.matters(key) for key in entries):
                findings.complaints.append("the JSON is cut off before its end")
        elif any(self.names.find(key) for key in own):
            findings.proposals.append(list(own.items()))
        elif any(folded(key) in self.reserved for key in entries):
            self.without_suggestion(entries, findings)

    def without_suggestion(self, entries: dict[str, Any], findings: _Findings) -> None:
        answer = [v for k, v in entries.items() if folded(k) == folded(self.keys.answer or "")]
        if [str(value).strip(_DECORATION) for value in answer] == [NO_CHANGE]:
            findings.unchanged = True
        else:
            message = f"the JSON has no {self.keys.suggestion!r} with the variables' new values"
            findings.complaints.append(message)

    def suggested(self, content: object, findings: _Findings) -> None:
        if content is None or (
            isinstance(content, str) and content.strip(_DECORATION) == NO_CHANGE
        ):
            findings.unchanged = True
        elif isinstance(content, dict):
            entries = cast("dict[str, object]", content)
            findings.proposals.append(list(entries.items()))
        elif isinstance(content, list) and (pairs := _pairs(cast("list[object]", content))):
            findings.proposals.append(pairs)
        else:
            message = f"{self.keys.suggestion!r} must be an object of variable names and values"
            findings.complaints.append(message)


def _pairs(items: Sequence[object]) -> list[tuple[str, object]] | None:
    """Read ``[{"name": .., "value": ..}, ..]``."""
    pairs: list[tuple[str, object]] = []
    for item in items:
        if not isinstance(item, dict):
            return None
        entry = cast("dict[str, object]", item)
        if set(entry) != {"name", "value"} or not isinstance(entry["name"], str):
            return None
        pairs.append((entry["name"], entry["value"]))
    return pairs


def _decided(findings: _Findings, reply: str) -> Extracted:
    if findings.complaints:
        raise ProposalError("; ".join(dict.fromkeys(findings.complaints)), reply=reply)
    pairs = tuple(pair for proposal in findings.proposals for pair in proposal)
    return Extracted(pairs, "\n".join(findings.reasoning), findings.unchanged)


# ---- tags and code blocks ------------------------------------------------------------------------


def _tagged(text: str, names: Names, reader: _JsonReader, reply: str) -> Extracted:
    tagged = read_tagged(text)
    if not tagged.variables and _says_no_change(tagged.rest):
        return Extracted((), tagged.reasoning, unchanged=True)
    findings = reader.read(tagged.rest, stop=len(tagged.rest))
    if tagged.variables:
        findings.proposals.insert(0, list[tuple[str, object]](tagged.variables))
    if findings.proposals or findings.complaints or findings.unchanged:
        findings.reasoning.insert(0, tagged.reasoning)
        return _decided(findings, reply)
    return _code_block(tagged.rest, names, reply)


def fenced_blocks(text: str) -> list[str]:
    """Return the contents of the fenced blocks of a text, in order."""
    return [block.group(2) for block in _FENCE.finditer(text)]


def _code_block(text: str, names: Names, reply: str) -> Extracted:
    """Read code that stands in a fenced block, or alone."""
    wanted = [item for item in names.wanted if item.function is not None]
    if len(wanted) != 1:
        message = "the reply has no JSON object and no <variable> with new values"
        raise ProposalError(message, reply=reply)
    item = wanted[0]
    function = cast("str", item.function)
    blocks = fenced_blocks(text) or [text]
    fitting = list(dict.fromkeys(block.strip() for block in blocks if defines(block, function)))
    if len(fitting) == 1:
        return Extracted(((item.name, fitting[0]),), text[: max(text.find("```"), 0)].strip())
    if fitting:
        message = f"several different blocks define the function {function}; answer with one"
    else:
        message = f"the reply has no new values: no JSON, no tags, no code that defines {function}"
    raise ProposalError(message, reply=reply)
