"""What was said in a conversation, as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opto.errors import InvalidArgument
from opto.trace import Node, node

ROLES = ("user", "assistant")


@dataclass(frozen=True)
class Turn:
    """One thing that was said: text or content parts, in a node."""

    role: str
    content: Node[Any]

    def message(self) -> dict[str, Any]:
        """As a model is told."""
        return {"role": self.role, "content": self.content._data}


class ChatHistory:
    """Turns of user and assistant; the oldest go when there are too many, but for the first.

    Args:
        max_len: how many turns are kept.
        auto_summary: kept for the original's signature; turns are dropped, never summed up.
    """

    def __init__(
        self,
        max_len: int = 50,
        auto_summary: bool = False,  # noqa: FBT001, FBT002 - the original's signature
    ) -> None:
        if max_len < 1:
            message = f"max_len must be at least 1; given: {max_len}"
            raise InvalidArgument(message)
        self.max_len, self.auto_summary = max_len, auto_summary
        self.turns: list[Turn] = []

    def add(self, content: Any, role: str) -> None:
        """Add what was said; raises `InvalidArgument` (a ``ValueError``) for another role."""
        if role not in ROLES:
            message = f"role should be 'user' or 'assistant'; given: {role!r}"
            raise InvalidArgument(message)
        self.turns.append(Turn(role, content if isinstance(content, Node) else node(content)))
        self._trim()

    def append(self, message: Mapping[str, Any]) -> None:
        """Add a message of the form that models take."""
        self.add(message["content"], message["role"])

    def get_messages(self) -> list[dict[str, Any]]:
        """All that was said, as a model is told."""
        return [turn.message() for turn in self.turns]

    def get_messages_as_node(self, llm_name: str = "") -> list[Node[Any]]:  # noqa: ARG002
        """The nodes of all that was said; `llm_name` is kept for the original's signature."""
        return [turn.content for turn in self.turns]

    def _trim(self) -> None:
        while len(self.turns) > self.max_len:
            first = self.turns[0].role == "user" and self.max_len > 1
            del self.turns[1 if first else 0]

    def __len__(self) -> int:
        return len(self.turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(tuple(self.turns))

    def __repr__(self) -> str:
        return f"ChatHistory({len(self.turns)} turns)"
