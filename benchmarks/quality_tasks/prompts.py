"""Prompts and texts. A rule plays the assistant: it does what the prompt says, if that is there."""

from __future__ import annotations

import re

from benchmarks.quality_tasks.base import Outcome, Program, Task, called, outcome
from opto.trace import bundle, node


def one_word() -> Program:
    """The prompt must ask for one word."""
    prompt = node("Answer the question.", name="prompt", trainable=True)

    @bundle()
    def assistant(prompt: str, question: str) -> str:  # noqa: ARG001 - the rule knows the answer
        """Answer the question as the prompt says."""
        asked = re.search(r"\b(one|single|1)[ -]word\b", prompt, re.IGNORECASE)
        return "Paris" if asked else "The capital of France is Paris, a city of two millions."

    def run() -> Outcome:
        answer = assistant(prompt, "What is the capital of France?")
        right = answer.data == "Paris"
        said = "The answer is too long. The prompt must ask for an answer of one word."
        return outcome(answer, [] if right else [said], 0)

    return Program({"prompt": prompt}, run)


def letter() -> Program:
    """A template must have two placeholders."""
    template = node("Dear customer, thank you!", name="template", trainable=True)

    @bundle()
    def fill(template: str, name: str, city: str) -> str:
        """Put name and city in the place of {name} and {city}."""
        return template.format(name=name, city=city)

    def run() -> Outcome:
        text, value, error = called(fill, template, "Ada", "London")
        if error:
            return outcome(text, [f"The template can't be filled: {error}"], 0)
        faults = [
            f"The letter doesn't have the {what} in it: the template needs {{{what}}}."
            for what, shown in (("name", "Ada"), ("city", "London"))
            if shown not in value
        ]
        return outcome(text, faults, 1 - len(faults) / 2)

    return Program({"template": template}, run)


def as_json() -> Program:
    """The prompt must ask for JSON and name the keys."""
    prompt = node("Tell me about the film.", name="prompt", trainable=True)

    @bundle()
    def assistant(prompt: str, text: str) -> str:  # noqa: ARG001 - the rule knows the answer
        """Answer as the prompt says."""
        if "json" not in prompt.lower():
            return "The film Alien was made by Ridley Scott in 1979."
        known = {"title": '"Alien"', "year": "1979", "director": '"Ridley Scott"'}
        pairs = [f'"{key}": {known[key]}' for key in known if key in prompt.lower()]
        return "{" + ", ".join(pairs) + "}"

    def run() -> Outcome:
        answer = assistant(prompt, "Alien, 1979, by Ridley Scott")
        value = answer.data
        if not value.startswith("{"):
            said = "The answer is no JSON. The prompt must ask for JSON with the keys title, year."
            return outcome(answer, [said], 0)
        missing = [key for key in ("title", "year") if f'"{key}"' not in value]
        faults = [f"The key {key} is missing: the prompt must name it." for key in missing]
        return outcome(answer, faults, 1 - len(faults) / 2)

    return Program({"prompt": prompt}, run)


def slogan() -> Program:
    """A text must keep several rules at once."""
    text = node(
        "We sell many very good things in our nice new shop.", name="slogan", trainable=True
    )

    @bundle()
    def printed(slogan: str) -> str:
        """Print the slogan on the sign."""
        return slogan.strip()

    def run() -> Outcome:
        sign = printed(text)
        value = sign.data
        words = len(value.split())
        rules = (
            (words <= 6, f"The slogan has {words} words; it must have at most 6."),
            ("coffee" in value.lower(), "The slogan must have the word coffee in it."),
            (value.endswith("!"), "The slogan must end with an exclamation mark."),
        )
        faults = [said for kept, said in rules if not kept]
        return outcome(sign, faults, 1 - len(faults) / 3)

    return Program({"slogan": text}, run)


PROMPTS = (
    Task("one_word", "prompts", one_word, {"prompt": "Answer in one word."}),
    Task("letter", "prompts", letter, {"template": "Dear {name} from {city}, thank you!"}),
    Task("as_json", "prompts", as_json, {"prompt": "Give the title and year as JSON."}),
    Task("slogan", "prompts", slogan, {"slogan": "Good coffee, good day!"}),
)
