from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from opto.llm.weights.lock import locked

HOLDER = """
import sys, time
from pathlib import Path
from opto.llm.weights.lock import locked
with locked(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_another_process_waits_until_its_holder_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waited: list[bool] = []

        def waiting() -> None:
            waited.append(True)
            holder.kill()

        with locked(path, waiting):
            assert waited == [True]
    with locked(path, waiting):
        assert waited == [True]
