"""Runs the attacks in process, where nothing holds them, and notes what they do.

Only for a process that can be lost: an ordinary user, in a process namespace of its own:

    unshare --pid --fork --mount-proc --kill-child setpriv --reuid 65534 --regid 65534 \
        --clear-groups env PYTHONPATH=src:. python tests/execution/sacrifice.py results.json

The results are kept in tests/execution/in_process.json; `table.py` shows them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 5
CHILD = """
import json, os, sys
from tests.execution.probes import PROBES
from opto.trace import bundle

@bundle(trainable=True, execution="inprocess")
def f(x):
    return x

attack = PROBES[int(sys.argv[1])]
facts = {**json.loads(sys.argv[2]), "parent": os.getppid()}
f.parameter._set(attack.text)
try:
    value = f(facts).data
except Exception as error:
    import re
    said = str(error)
    right = bool(re.search(attack.error, said))
    value = None
else:
    said, right = "", attack.value(value)
    if attack.name != "10**5000":
        said = repr(value)[:10_000_000]
f.parameter._set("def f(x):\\n    return [len(x), sum(x), eval('1 + 1'), str(x)]")
try:
    following = f([1, 2, 3]).data == [3, 6, 2, "[1, 2, 3]"]
except Exception:
    following = False
print("\\nREPORT" + json.dumps([right, following, os.environ["CANARY"] in said]), flush=True)
os._exit(0)
"""


def outcome(number: int, folder: Path) -> str:
    """What attack `number` does to a host that runs it in process."""
    script = folder / "child.py"
    script.write_text(CHILD, "ascii")
    secret, outside = folder / "secret", folder / "outside"
    secret.write_text("canary-1234", "ascii")
    command = [sys.executable, str(script), str(number)]
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    facts = json.dumps({"outside": str(outside), "secret": str(secret), "port": port})
    environment = {"PYTHONPATH": os.environ["PYTHONPATH"], "CANARY": "canary-1234"}
    try:
        done = subprocess.run(
            [*command, facts],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs the host"
    found = re.search(rb"REPORT(\[.*\])", done.stdout)
    if found is None:
        return "ends the host"
    right, following, leaked = json.loads(found[1])
    if leaked:
        return "learns a secret"
    if outside.exists():
        return "writes outside"
    if not following:
        return "spoils the next call"
    return "held" if right else "succeeds"


def main() -> None:
    """Run all attacks; write what they did to the file named first."""
    from tests.execution.probes import PROBES  # noqa: PLC0415 - only the child needs it otherwise

    if os.geteuid() == 0 or os.getpid() > 100:
        sys.exit(__doc__)
    results: dict[str, str] = {}
    for number, attack in enumerate(PROBES):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            results[f"{attack.group}: {attack.name}"] = outcome(number, Path(folder))
    Path(sys.argv[1]).write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
