"""Names that programs written for the original import from here."""

from __future__ import annotations

from typing import Any, TypeAlias

from opto.trace import Node

TraceObject: TypeAlias = "Node[Any]"
