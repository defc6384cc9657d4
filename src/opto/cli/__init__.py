"""The ``opto`` command."""

from __future__ import annotations

from opto.cli.main import main as main
