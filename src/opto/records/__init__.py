"""Records: what a program learned, in files that people can read and trust."""

from __future__ import annotations
