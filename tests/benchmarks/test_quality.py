from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fcntl")  # the benchmark is for Unix

from benchmarks import quality, quality_bench
from benchmarks.quality_bench import Bench, Served, TakenDownError, work
from benchmarks.quality_jobs import (
    MORE,
    PROTOCOL,
    SEEDS,
    SUBJECTS,
    Job,
    Subject,
    chosen,
    jobs,
    missing,
)
from benchmarks.quality_table import PLANNED
from benchmarks.quality_tasks import TASKS
from benchmarks.quality_worker import Counted, HttpModel, SpentError, model_of, solve
from opto.errors import AuthenticationFailed, ContextTooLong
from opto.llm import LocalModel
from opto.llm.base import Abilities, Choice, Completion, Message, Usage
from opto.llm.weights import is_present
from opto.testing import Fault, ModelServer, Request, ScriptedModel
from opto.trace import new_scope

ROOT = Path(__file__).resolve().parents[2]
REAL_CACHE = Path(os.environ.get("OPTO_CACHE") or Path.home() / ".cache" / "opto")
SMALL = Abilities(8192, json_schema=True, size="small")
ASKING = [subject for subject in (*SUBJECTS, *MORE) if subject.library == "ours"]


def able(name: str) -> Callable[[Sequence[Any]], str]:
    """A model that knows the solution of a task, and says it in the form that is asked for."""
    task = TASKS[name]
    with new_scope():
        program = task.make()
        names = {key: node.py_name for key, node in program.parameters.items()}
    values = {names[key]: value for key, value in task.solution.items()}

    def answer(messages: Sequence[Any]) -> str:
        asked = "\n".join(str(message["content"]) for message in messages)
        if "<IMPROVED_VARIABLE>" in asked:
            mine = next(value for key, value in values.items() if key in asked)
            return f"<IMPROVED_VARIABLE>{mine}</IMPROVED_VARIABLE>"
        codes = [str(value) for value in values.values() if "def " in str(value)]
        if "```python" in asked and "<name>" not in asked and codes:
            return f"```python\n{codes[0]}```"
        if "<name>" in asked:
            return "\n".join(
                f"<variable><name>{key}</name><value>{value}</value></variable>"
                for key, value in values.items()
            )
        shown = {key: value for key, value in values.items() if key in asked} or values
        return json.dumps({"reasoning": "known", "suggestion": shown})

    return answer


def job(subject: Subject, task: str, seed: int = 0) -> Job:
    return Job(subject, TASKS[task], seed)


def given(subject: Subject, task: str) -> dict[str, Any]:
    return {
        "library": subject.library,
        "optimizer": subject.optimizer,
        "task": task,
        "seed": 0,
        "settings": dict(subject.settings),
    }


@pytest.mark.parametrize("task", ["servers", "letter", "total", "bill", "invoice"])
@pytest.mark.parametrize("subject", ASKING, ids=lambda subject: subject.name)
def test_each_optimizer_solves_a_task_with_an_able_model(subject: Subject, task: str) -> None:
    if subject.kinds and TASKS[task].kind not in subject.kinds:
        return
    with new_scope():
        result = solve(given(subject, task), ScriptedModel(able(task), abilities=SMALL))
    if subject.optimizer not in {"OptunaOptimizer", "HybridOptimizer"}:  # these search numbers
        assert result.solved, result
        assert 1 <= result.calls <= 8
    assert result.failed_steps == 0
    assert result.error == ""


def test_calls_are_limited_to_eight() -> None:
    model = ScriptedModel(["I don't know."] * 20, abilities=SMALL)
    result = solve(given(SUBJECTS[0], "servers"), model)
    assert not result.solved
    assert result.calls == len(model.calls) == 8


def test_a_step_that_raises_is_counted_and_the_task_goes_on() -> None:
    def broken(*_: Any, **__: Any) -> Any:
        message = "out of order"
        raise RuntimeError(message)

    result = solve(given(SUBJECTS[0], "hidden"), broken)
    assert (result.calls, result.failed_steps, result.solved) == (8, 8, False)
    assert result.error == "step: RuntimeError: out of order"


def test_no_call_is_left_after_the_last() -> None:
    llm = Counted(ScriptedModel(["a", "b"]), 1)
    llm(messages=[])
    with pytest.raises(SpentError):
        llm(messages=[])
    assert llm.calls == 1


def test_numbers_alone_cost_no_call() -> None:
    pytest.importorskip("optuna")
    subject = next(item for item in SUBJECTS if item.optimizer == "OptunaOptimizer")
    result = solve(given(subject, "hidden"), ScriptedModel([]))
    assert result.calls == 0
    assert 1 <= result.rounds <= 8


# ---- what is to do -------------------------------------------------------------------------------


def test_the_work_is_balanced_seed_by_seed() -> None:
    todo = jobs(SUBJECTS[:2], list(TASKS.values()), [0, 1])
    assert [item.seed for item in todo] == [0] * 40 + [1] * 40
    assert [item.subject.name for item in todo[:4]] == ["ours OptoPrime", "original OptoPrime"] * 2
    assert todo[0].task is todo[1].task


def test_the_page_knows_how_many_runs_are_planned() -> None:
    assert len(jobs(SUBJECTS, list(TASKS.values()), range(SEEDS))) == PLANNED


def test_optimizers_of_numbers_get_tasks_with_numbers() -> None:
    kinds: dict[str, set[str]] = {}
    for item in jobs(SUBJECTS, list(TASKS.values()), [0]):
        kinds.setdefault(item.subject.optimizer, set()).add(item.task.kind)
    assert kinds["OptunaOptimizer"] == {"numbers"}
    assert kinds["HybridOptimizer"] == {"numbers", "mixed"}
    assert len(kinds["TextGrad"]) == 5


def test_what_is_there_is_not_done_again() -> None:
    todo = jobs(SUBJECTS[:1], [TASKS["oven"], TASKS["total"]], [0, 1])
    done = {"subject": "ours OptoPrime", "task": "oven", "seed": 1, "protocol": PROTOCOL}
    left = missing(todo, [done, {**done, "seed": 0, "protocol": 0}])
    assert [(item.task.name, item.seed) for item in left] == [
        ("oven", 0),
        ("total", 0),
        ("total", 1),
    ]


def test_names_of_subjects_differ() -> None:
    names = [subject.name for subject in (*SUBJECTS, *MORE)]
    assert len(set(names)) == len(names)
    assert chosen(None) == list(SUBJECTS)
    assert chosen(["original OptoPrime, no memory"]) == [MORE[0]]
    with pytest.raises(SystemExit, match="no subject nobody"):
        chosen(["nobody"])


def test_the_plan_says_how_long_it_takes() -> None:
    todo = jobs(SUBJECTS[:2], list(TASKS.values()), [0, 1])
    rows = [{"subject": "ours OptoPrime", "wall_seconds": 60.0, "settings": {"slots": 1}}]
    text = quality.plan(todo, rows)
    assert "ours OptoPrime | 40 | 20 | 40" in text
    assert "original OptoPrime | 40 | not known yet" in text
    assert text.endswith("all: 80 missing, about 0.7 hours")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        quality.alone(tmp_path),
        pytest.raises(SystemExit, match="another run"),
        quality.alone(tmp_path),
    ):
        pass
    with quality.alone(tmp_path):
        pass


# ---- the served model ----------------------------------------------------------------------------


class Answering:
    """A model that says the same, and keeps what it was asked with."""

    def __init__(self, text: str = "hello", reason: str = "stop") -> None:
        self.text, self.reason = text, reason
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **options: Any) -> Completion:
        self.asked.append(options)
        choice = Choice(Message("assistant", self.text), self.reason, 0)
        return Completion((choice,), Usage(100, 10), "answering")


def ask(served: Served, **options: Any) -> Any:
    body = {"model": "served", "messages": [{"role": "user", "content": "Hi"}], **options}
    return served(Request("POST", "/v1/chat/completions", {}, body, 0.0))


def test_the_server_passes_on_what_shapes_an_answer() -> None:
    model = Answering()
    served = Served(model, job(SUBJECTS[0], "oven"))

    ask(served, max_tokens=9000, response_format={"type": "json_object"}, stop=["."], user="me")
    ask(served, temperature=0.0, max_tokens=3)

    first, second = model.asked
    assert first["max_tokens"] == quality_bench.MOST_TOKENS
    assert first["response_format"] == {"type": "json_object"}
    assert (first["temperature"], second["temperature"]) == (quality_bench.TEMPERATURE, 0.0)
    assert second["max_tokens"] == 3
    assert first["seed"] != second["seed"]
    assert "user" not in first
    assert (served.prompt_tokens, served.completion_tokens, served.asked) == (200, 20, 2)


def test_seeds_are_the_same_for_the_same_job() -> None:
    one, other, next_seed = Answering(), Answering(), Answering()
    ask(Served(one, job(SUBJECTS[0], "oven")))
    ask(Served(other, job(SUBJECTS[0], "oven")))
    ask(Served(next_seed, job(SUBJECTS[0], "oven", 1)))
    assert one.asked[0]["seed"] == other.asked[0]["seed"] != next_seed.asked[0]["seed"]


def test_what_the_model_refuses_is_a_bad_request() -> None:
    def full(**_: Any) -> Any:
        message = "too long"
        raise ContextTooLong(message)

    answer = ask(Served(full, job(SUBJECTS[0], "oven")))
    assert isinstance(answer, Fault)
    assert answer.status == 400


@pytest.mark.parametrize("library", ["ours", "original"])
def test_both_libraries_read_what_is_served(library: str) -> None:
    served = Served(Answering("good day", "length"), job(SUBJECTS[0], "oven"))
    with ModelServer(served) as server:
        model = HttpModel(server.url) if library == "original" else model_of(library, server.url)
        said = model(messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
    assert said.choices[0].message.content == "good day"
    assert said.choices[0].finish_reason == "length"
    assert served.cut == 1


def test_our_client_says_what_the_model_can_do() -> None:
    assert Counted(model_of("ours", "http://127.0.0.1:1/v1")).abilities == SMALL


def test_the_model_of_the_original_raises_for_bad_requests() -> None:
    with (
        ModelServer(Fault(status=400, body={"error": {"message": "no"}})) as server,
        pytest.raises(ConnectionError, match="no"),
    ):
        HttpModel(server.url)(messages=[])


# ---- a whole job ---------------------------------------------------------------------------------


@pytest.fixture
def bench() -> Bench:
    return Bench(ROOT, "abc1234", "scripted", 1)


class Able(Answering):
    def __init__(self, task: str) -> None:
        super().__init__()
        self.answer = able(task)

    def __call__(self, **options: Any) -> Completion:
        self.text = self.answer(options["messages"])
        return super().__call__(**options)


def test_a_job_is_a_row(bench: Bench) -> None:
    row = work(job(SUBJECTS[0], "servers", 3), bench, Able("servers"))

    assert row["solved"], row
    assert (row["calls"], row["rounds"], row["error"]) == (1, 1, "")
    assert (row["subject"], row["task"], row["kind"]) == ("ours OptoPrime", "servers", "numbers")
    assert (row["seed"], row["protocol"]) == (3, PROTOCOL)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (100, 10)
    assert row["settings"]["memory_size"] == 5
    assert row["commit"] == "abc1234"
    assert json.loads(json.dumps(row)) == row


def test_what_was_said_can_be_kept(bench: Bench, tmp_path: Path) -> None:
    row = work(job(SUBJECTS[0], "servers"), replace(bench, kept=tmp_path), Able("servers"))
    kept = json.loads((tmp_path / "ours OptoPrime-servers-0.json").read_text("utf-8"))
    assert row["solved"]
    assert kept["solved"]
    assert "workers" in kept["said"][0]["messages"][-1]["content"]
    assert "workers" in kept["said"][0]["reply"]


def test_the_model_may_be_behind_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(["yes", "good day"]) as server:
        monkeypatch.setattr(sys, "argv", ["quality", "--url", server.url, "--engine", "another"])
        given = quality.arguments()
        answer = ask(Served(quality.model_of(given), job(SUBJECTS[0], "oven")))
    assert isinstance(answer, Mapping)
    assert answer["choices"][0]["message"]["content"] == "good day"
    assert given.engine == "another"


def test_nothing_is_run_by_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Fault(status=401)]) as server:
        monkeypatch.setattr(sys, "argv", ["quality", "--url", server.url])
        with pytest.raises(AuthenticationFailed):
            quality.model_of(quality.arguments())


def test_the_model_is_loaded_here_if_no_url_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["quality", "--slots", "3"])
    model = quality.model_of(quality.arguments())
    assert isinstance(model, LocalModel)
    assert (model.model, model.slots) == ("1.5b", 3)


def test_a_worker_that_ends_early_is_a_row_too(bench: Bench) -> None:
    subject = Subject("ours", "NoSuchOptimizer")
    row = work(job(subject, "servers"), bench, Answering())
    assert not row["solved"]
    assert row["calls"] == 0
    assert "NoSuchOptimizer" in row["error"]


def test_jobs_are_done_in_order_and_written_as_they_are_done(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def done(job: Job, *_: Any) -> dict[str, Any]:
        row = {"subject": job.subject.name, "task": job.task.name, "seed": job.seed}
        return {
            **row,
            "solved": True,
            "calls": 1,
            "wall_seconds": 1.0,
            "error": "",
            "protocol": PROTOCOL,
        }

    monkeypatch.setattr(quality, "work", done)
    results = tmp_path / "quality.jsonl"
    todo = jobs(SUBJECTS[:2], list(TASKS.values())[:3], [0])
    run = quality.Run(todo, results)
    run.keep_on(bench, Answering())
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [(row["subject"], row["task"]) for row in rows] == [
        (job.subject.name, job.task.name) for job in todo
    ]
    assert missing(todo, rows) == []


def test_no_further_job_is_begun_when_the_time_is_over(bench: Bench, tmp_path: Path) -> None:
    results = tmp_path / "quality.jsonl"
    quality.Run(jobs(SUBJECTS, list(TASKS.values()), [0]), results, minutes=0).keep_on(
        bench, Answering()
    )
    assert not results.exists()


def test_a_worker_that_was_taken_down_has_no_row(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
    monkeypatch.setattr(Bench, "command", lambda *_: ended)
    run = quality.Run([job(SUBJECTS[0], "oven")] * 2, tmp_path / "quality.jsonl")
    with pytest.raises(TakenDownError, match="signal 15"):
        run.keep_on(bench, Answering())
    assert run.stopped
    assert not (tmp_path / "quality.jsonl").exists()


def test_the_original_sees_nothing_of_ours(bench: Bench) -> None:
    theirs, ours = (bench.environ(job(item, "oven")) for item in (SUBJECTS[1], SUBJECTS[0]))
    assert str(ROOT / "src") not in theirs["PYTHONPATH"].split(os.pathsep)
    assert str(ROOT / "src") in ours["PYTHONPATH"].split(os.pathsep)
    assert bench.command(job(SUBJECTS[0], "oven"), "http://x")[0] == sys.executable


@pytest.mark.local_llm
def test_one_task_with_the_real_model(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("OPTO_CACHE", str(REAL_CACHE))
    if not is_present("1.5b"):
        pytest.skip("needs the weights: opto model fetch 1.5b")
    row = work(job(SUBJECTS[0], "total"), bench, LocalModel("1.5b"))
    assert 1 <= row["calls"] <= 8
    assert row["prompt_tokens"] > 100
    assert row["error"] == ""
