"""What the quality benchmark is made of: optimizers, and what each is to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.quality_table import Row
from benchmarks.quality_tasks import Task

SEEDS = 5
PROTOCOL = 2  # of rows that may be compared; raise it when tasks, limits or settings change
MAX_TOKENS = 512
_SHORT = {"max_tokens": MAX_TOKENS}
_REMEMBERING = {**_SHORT, "memory_size": 5}


@dataclass(frozen=True)
class Subject:
    """An optimizer of a library, with the arguments that it gets."""

    library: str
    optimizer: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kinds: tuple[str, ...] = ()
    extra: str = ""

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.library} {self.optimizer}{self.extra}"


SUBJECTS = (
    Subject("ours", "OptoPrime", _REMEMBERING),
    Subject("original", "OptoPrime", _REMEMBERING),
    Subject("ours", "OptoPrimeV2", _REMEMBERING),
    Subject("ours", "OptoPrimeMulti", _REMEMBERING),
    Subject("ours", "OPRO", _SHORT),
    Subject("ours", "OPROv2", _SHORT),
    Subject("ours", "TextGrad", _SHORT),
    Subject("ours", "HybridOptimizer", _REMEMBERING, ("numbers", "mixed")),
    Subject("ours", "OptunaOptimizer", {}, ("numbers",)),
)
MORE = (  # only if asked for by name
    Subject("original", "OptoPrime", _SHORT, extra=", no memory"),
    Subject("ours", "OptoPrime", {**_REMEMBERING, "form": "json"}, extra=", JSON form"),
)


@dataclass(frozen=True)
class Job:
    """One line of the file that is to be."""

    subject: Subject
    task: Task
    seed: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What makes two lines the same."""
        return self.subject.name, self.task.name, self.seed, PROTOCOL


def jobs(subjects: Sequence[Subject], tasks: Sequence[Task], seeds: Sequence[int]) -> list[Job]:
    """Return all that is to do: seed by seed, and in a seed task by task with every optimizer."""
    return [
        Job(subject, task, seed)
        for seed in seeds
        for task in tasks
        for subject in subjects
        if not subject.kinds or task.kind in subject.kinds
    ]


def missing(wanted: Iterable[Job], rows: Iterable[Row]) -> list[Job]:
    """Return the jobs that have no row yet."""
    done = {(row["subject"], row["task"], row["seed"], row["protocol"]) for row in rows}
    return [job for job in wanted if job.key not in done]


def chosen(names: Sequence[str] | None) -> list[Subject]:
    """Return subjects by name; raises `SystemExit` for one that isn't there."""
    known = {subject.name: subject for subject in (*SUBJECTS, *MORE)}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SystemExit(f"no subject {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names] if names else list(SUBJECTS)
