"""``python -m opto.cli``."""

from __future__ import annotations

import sys

from opto.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
