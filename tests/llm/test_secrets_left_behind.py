"""A run that fails in every way, and a search for its keys in all that it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

KEY = "canary7f3a9c-planted-in-the-environment"  # not of the form that is redacted by its look
RUN = """
import logging, pickle, sys, traceback
from pathlib import Path
logging.basicConfig(level=logging.DEBUG, filename="run.log")
from opto.errors import OptoError
from opto.features.flows.compose import TracedLLM
from opto.llm import LLM, Budget, usage
from opto.optimizers import OptoPrime
from opto.testing import Fault, ModelServer, completion_json, stream_events
from opto.trace import node
import os
KEY = os.environ["OPTO_API_KEY"]
said = {"error": {"message": f"bad key {KEY}", "param": KEY}}
faults = [Fault(401, body=said), Fault(500, body=said), Fault(429, {"retry-after": "3600"}, said),
          Fault(400, body=said), Fault(body=said), Fault(body=f"<html>{KEY}"), Fault(403, body=KEY),
          Fault(body=completion_json("no proposal")), Fault(302, {"location": f"http://x/{KEY}"}),
          Fault(events=[*stream_events("a b")[:2], {"error": said["error"]}]),
          Fault(events=[f"data: {KEY}\\n\\n".encode()])]
def answer(request):
    return faults[len(server.requests) % len(faults)]
with open("run.out", "w") as out, ModelServer(answer) as server:
    for at in range(11):
        llm = LLM(f"{server.url}#m{at}", max_attempts=1 + at % 2, timeout=3, cache="cache.sqlite3",
                  record="run.jsonl", budget=Budget(calls=3))
        x = node("a", name="x", trainable=True)
        try:
            with usage(on_call=lambda call: print(call, file=out)) as spent:
                optimizer = OptoPrime([x], llm=llm)
                optimizer.zero_feedback()
                optimizer.backward(TracedLLM(x, llm)("hello"), "wrong")
                optimizer.step()
        except Exception as error:
            traceback.print_exc(file=out)
            print(repr(error), vars(error), file=out)
            out.flush()
            for thing in (error, llm, optimizer):
                try:
                    Path("pickles").open("ab").write(pickle.dumps(thing))
                except Exception as other:
                    print(repr(other), file=out)
        try:
            LLM(f"{server.url}#s{at}", max_attempts=1).stream(messages=[]).completion()
        except Exception as error:
            traceback.print_exc(file=out)
            print(repr(error), vars(error), file=out)
        print(llm, llm.choose(), spent, vars(optimizer), file=out)
"""


def test_no_key_is_in_what_a_failing_run_leaves_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "OPTO_API_KEY": KEY, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"run.log", "run.out", "pickles"} <= left.keys()
    assert b"AuthenticationFailed" in left["run.out"]
    left["stdout"], left["stderr"] = done.stdout.encode(), done.stderr.encode()
    for name, found in left.items():
        assert KEY.encode() not in found, name
