"""Run the benchmarks: `python benchmarks/run.py --help` (or `make bench`)."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from benchmarks.runner import main  # noqa: E402 - the package is importable only from here on

if __name__ == "__main__":
    sys.exit(main(ROOT))
