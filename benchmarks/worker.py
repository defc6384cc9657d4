"""The process of one subject: takes requests as JSON lines, answers each with a JSON line."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from typing import Any

from benchmarks.micro import sample

Answer = dict[str, Any]


def measure_import(module: str) -> dict[str, float]:
    """CPU seconds of importing a module, in a process that has imported nothing of it."""
    start = time.process_time()
    importlib.import_module(module)
    return {"import": time.process_time() - start}


def answer(request: dict[str, Any]) -> Answer:
    """One sample: a statement, or a function of a workload module with its arguments."""
    if request["do"] == "import":
        return measure_import(request["module"])
    module = importlib.import_module(request["module"])
    if request["do"] == "micro":
        seconds = sample(
            module.MICRO[request["name"]],
            min_time=request["min_time"],
            gc_on=request["gc_on"],
            reset=module.reset,
        )
        return {"seconds": seconds}
    function = getattr(module, request["name"])
    return dict(function(**request["arguments"]))


def main() -> None:
    """Serve until the input ends; what libraries print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception:  # noqa: BLE001 - a subject that fails is a result, told to the runner
            reply = {"error": traceback.format_exc(limit=-3)}
        gc.collect()
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
