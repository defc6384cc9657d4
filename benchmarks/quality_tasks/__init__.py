"""Twenty small tasks of five kinds, for any library that is imported as `opto`.

Only what the original and ours have in common is used, so that one file trains with either. No
model is asked when a program runs: where a prompt is trained a rule plays the assistant, so that a
task is solved or not by the proposed values alone, and the same twice.
"""

from benchmarks.quality_tasks.base import KINDS as KINDS
from benchmarks.quality_tasks.base import Outcome as Outcome
from benchmarks.quality_tasks.base import Program as Program
from benchmarks.quality_tasks.base import Task as Task
from benchmarks.quality_tasks.code import CODE
from benchmarks.quality_tasks.mixed import MIXED
from benchmarks.quality_tasks.numeric import NUMBERS
from benchmarks.quality_tasks.prompts import PROMPTS
from benchmarks.quality_tasks.repair import REPAIR

TASKS: dict[str, Task] = {task.name: task for task in (*NUMBERS, *PROMPTS, *CODE, *REPAIR, *MIXED)}
