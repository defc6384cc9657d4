"""Mixed: parameters of different types that must fit together."""

from __future__ import annotations

import re

from benchmarks.quality_tasks.base import (
    Cases,
    Outcome,
    Program,
    Task,
    called,
    direction,
    graded,
    outcome,
    outside,
)
from opto.trace import bundle, node


def exam() -> Program:
    """A number and code that uses it."""
    limit = node(40, name="limit", trainable=True, constraint="a whole number between 0 and 100")

    @bundle(trainable=True)
    def grade(score: int, limit: int) -> str:
        """Return "pass" if the score is at least the limit, else "fail"."""
        return "pass" if score > 100 - limit else "fail"

    cases: Cases = [((75,), "pass"), ((60,), "pass"), ((55,), "fail"), ((20,), "fail")]

    def run() -> Outcome:
        found = graded(lambda score: grade(score, limit), "grade", cases)
        said = direction("limit", limit.data, 56, 60)
        faults = [line for line in (found.feedback, *said) if not found.solved or said]
        return outcome(found.output, [] if found.solved and not said else faults, found.score / 2)

    return Program({"limit": limit, "grade": grade.parameter}, run)


def invoice() -> Program:
    """A template and a number."""
    template = node("Thank you for your order.", name="template", trainable=True)
    tax = node(0.9, name="tax", trainable=True, constraint="between 0 and 1")

    @bundle()
    def fill(template: str, tax: float, price: float) -> str:
        """Put the price with tax in the place of {total}."""
        return template.format(total=round(price * (1 + tax), 2))

    def run() -> Outcome:
        text, value, error = called(fill, template, tax, 100.0)
        if error:
            return outcome(text, [f"The template can't be filled: {error}"], 0)
        faults = direction("tax", tax.data, 0.18, 0.25)
        if not re.search(r"\d", value):
            faults.append("The total isn't shown: the template needs {total}.")
        return outcome(text, faults, 0.9 - outside(tax.data, 0.18, 0.25) / 20)

    return Program({"template": template, "tax": tax}, run)


def sums() -> Program:
    """A prompt, and code that reads what is answered."""
    prompt = node("What is 5 plus 7?", name="prompt", trainable=True)

    @bundle()
    def assistant(prompt: str) -> str:
        """Answer as the prompt says."""
        if re.search(r"answer:", prompt, re.IGNORECASE):
            return "I add both numbers. Answer: 12"
        return "I add both numbers and get twelve."

    @bundle(trainable=True)
    def number_of(reply: str) -> int:
        """Return the whole number that stands after "Answer:" in the reply."""
        return len(reply)

    def run() -> Outcome:
        reply = assistant(prompt)
        output, value, error = called(number_of, reply)
        faults: list[str] = []
        if "Answer:" not in reply.data:
            faults.append(
                "The reply has no 'Answer:'. The prompt must ask the assistant to end with "
                "'Answer: <number>'."
            )
        if error or value != 12:
            said = f"raised {error}" if error else f"returned {value!r}"
            faults.append(f"number_of({reply.data!r}) {said}; for 'Answer: 12' it must return 12.")
        return outcome(output, faults, 1 - len(faults) / 2)

    return Program({"prompt": prompt, "number_of": number_of.parameter}, run)


def summary() -> Program:
    """A text and two numbers."""
    style = node("Summarise the text.", name="style", trainable=True)
    points = node(12, name="points", trainable=True, constraint="a whole number between 1 and 20")
    words = node(40, name="words", trainable=True, constraint="a whole number between 1 and 60")

    @bundle()
    def summarise(style: str, points: int, words: int) -> str:
        """Write a summary: this many points of this many words, as the style says."""
        mark = "- " if "bullet" in style.lower() else ""
        return "\n".join([f"{mark}{'word ' * words}".strip()] * min(points, 3))

    def run() -> Outcome:
        text = summarise(style, points, words)
        faults = direction("points", points.data, 3, 5) + direction("words", words.data, 6, 12)
        if not text.data.startswith("- "):
            faults.append("The style must ask for bullet points.")
        far = outside(points.data, 3, 5) / 10 + outside(words.data, 6, 12) / 10
        return outcome(text, faults, 0.9 - far)

    return Program({"style": style, "points": points, "words": words}, run)


GRADE = """\
def grade(score, limit):
    return "pass" if score >= limit else "fail"
"""
NUMBER_OF = """\
def number_of(reply):
    return int(reply.split("Answer:")[1].split()[0].strip("."))
"""
MIXED = (
    Task("exam", "mixed", exam, {"limit": 60, "grade": GRADE}, {"limit": (0, 100)}),
    Task(
        "invoice",
        "mixed",
        invoice,
        {"template": "Your total is {total}.", "tax": 0.2},
        {"tax": (0, 1)},
    ),
    Task(
        "sums",
        "mixed",
        sums,
        {"prompt": "What is 5 plus 7? End with 'Answer: <number>'.", "number_of": NUMBER_OF},
    ),
    Task(
        "summary",
        "mixed",
        summary,
        {"style": "Use bullet points.", "points": 4, "words": 10},
        {"points": (1, 20), "words": (1, 60)},
    ),
)
