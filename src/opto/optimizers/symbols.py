"""The titles and tags of the tagged form, and how its answers are written and read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from opto.errors import ProposalError
from opto.optimizers.names import Names, Wanted
from opto.optimizers.parsing import NO_CHANGE, ReplyKeys, extract, parse_reply
from opto.optimizers.prompts import Prompts, placeholders, render
from opto.optimizers.utils import (
    extract_first_top_level_block,
    extract_reasoning_and_remainder,
    extract_top_level_blocks,
    extract_xml_like_data,
    strip_nested_blocks,
)

SECTIONS = (
    "instruction",
    "code",
    "documentation",
    "variables",
    "inputs",
    "others",
    "outputs",
    "feedback",
)
_TAGS = ("node", "variable", "value", "constraint", "reasoning", "improved_variable", "name")
_DEFAULT_ANSWER = ("reasoning", "variable", "name", "value")


class OptimizerPromptSymbolSet:
    """Titles, tags and answers of `OptoPrimeV2`; subclass it and assign what shall differ.

    Attributes:
        expect_json: whether answers are JSON; the model is then told so by `response_format`.
        custom_output_format_instruction: takes the place of `output_format`.
    """

    instruction_section_title = "# Instruction"
    code_section_title = "# Code"
    documentation_section_title = "# Documentation"
    variables_section_title = "# Variables"
    inputs_section_title = "# Inputs"
    others_section_title = "# Others"
    outputs_section_title = "# Outputs"
    feedback_section_title = "# Feedback"

    node_tag = "node"
    variable_tag = "variable"
    value_tag = "value"
    constraint_tag = "constraint"
    reasoning_tag = "reasoning"
    improved_variable_tag = "variable"
    name_tag = "name"

    expect_json = False
    custom_output_format_instruction: str | None = None
    format_prompt = "optoprime_v2.tagged"

    @property
    def default_prompt_symbols(self) -> dict[str, str]:
        """All titles and tags, by section and by tag."""
        titles = {name: str(getattr(self, f"{name}_section_title")) for name in SECTIONS}
        return {**titles, **{f"{name}_tag": str(getattr(self, f"{name}_tag")) for name in _TAGS}}

    @property
    def output_format(self) -> str:
        """How to answer, as the model is told."""
        return self.custom_output_format_instruction or self.filled(
            Prompts().text(self.format_prompt)
        )

    def filled(self, text: str, **values: str) -> str:
        """Return a text with its placeholders filled in, titles and tags among them."""
        known = {**self.default_prompt_symbols, **values}
        return render(text, {name: known[name] for name in placeholders(text) if name in known})

    def example_output(self, reasoning: str, variables: Mapping[str, object]) -> str:
        """Write an answer as the model should."""
        return "\n".join(
            [
                f"<{self.reasoning_tag}>\n{reasoning}\n</{self.reasoning_tag}>",
                *(self._example_variable(name, value) for name, value in variables.items()),
            ]
        )

    def _example_variable(self, name: str, value: object) -> str:
        tag, inner = self.improved_variable_tag, self.value_tag
        named = f"<{self.name_tag}>{name}</{self.name_tag}>"
        return f"<{tag}>\n{named}\n<{inner}>\n{value}\n</{inner}>\n</{tag}>"

    @property
    def has_default_answers(self) -> bool:
        """Whether answers have the tags that the parser knows."""
        tags = (self.reasoning_tag, self.improved_variable_tag, self.name_tag, self.value_tag)
        return tags == _DEFAULT_ANSWER

    def output_response_extractor(self, response: str) -> dict[str, Any]:
        """Return ``{"reasoning": text, "variables": {name: value}}`` of an answer."""
        return extract_xml_like_data(
            response,
            reasoning_tag=self.reasoning_tag,
            improved_variable_tag=self.improved_variable_tag,
            name_tag=self.name_tag,
            value_tag=self.value_tag,
        )


class OptimizerPromptSymbolSetJSON(OptimizerPromptSymbolSet):
    """Answers are JSON; the problem is shown with tags all the same."""

    expect_json = True
    format_prompt = "optoprime_v2.json"
    suggestion_tag = "suggestion"

    @property
    def default_prompt_symbols(self) -> dict[str, str]:
        """All titles and tags, and the key of the suggestion."""
        return {**super().default_prompt_symbols, "suggestion_tag": self.suggestion_tag}

    def example_output(self, reasoning: str, variables: Mapping[str, object]) -> str:
        """Write an answer as the model should."""
        answer = {self.reasoning_tag: reasoning, self.suggestion_tag: dict(variables)}
        return json.dumps(answer, indent=2)

    def output_response_extractor(self, response: str) -> dict[str, Any]:
        """Return ``{"reasoning": text, "variables": {name: value}}`` of an answer.

        Raises:
            ProposalError: the answer has no JSON object with new values.
        """
        keys = ReplyKeys(self.reasoning_tag, None, self.suggestion_tag)
        found = extract(response, Names([]), keys=keys)
        return {"reasoning": found.reasoning, "variables": dict(found.pairs)}


class OptimizerPromptSymbolSet2(OptimizerPromptSymbolSet):
    """Other tags: const, var, data, reason."""

    node_tag = "const"
    variable_tag = "var"
    value_tag = "data"
    reasoning_tag = "reason"
    improved_variable_tag = "var"


def read_answer(
    symbols: OptimizerPromptSymbolSet, reply: str, wanted: Sequence[Wanted]
) -> Mapping[str, object]:
    """Return the new values of an answer by the parameters' names.

    Raises:
        ProposalError: the answer can't be read with certainty, or names something unknown.
    """
    extractor = type(symbols).output_response_extractor
    if extractor is OptimizerPromptSymbolSetJSON.output_response_extractor:
        key = getattr(symbols, "suggestion_tag", "suggestion")
        keys = ReplyKeys(symbols.reasoning_tag, None, key)
        return parse_reply(reply, wanted, keys=keys).values
    standard = extractor is OptimizerPromptSymbolSet.output_response_extractor
    if standard and symbols.has_default_answers:
        return parse_reply(reply, wanted).values
    if reply.strip("`*. \n") == NO_CHANGE:
        return {}
    if standard:
        _check_tags(symbols, reply)
    found = dict(symbols.output_response_extractor(reply).get("variables") or {})
    if not found:
        message = f"the reply has no <{symbols.improved_variable_tag}> with a new value"
        raise ProposalError(message, reply=reply)
    return Names(wanted).resolve(found.items(), reply=reply)


def _check_tags(symbols: OptimizerPromptSymbolSet, reply: str) -> None:
    """Raise `ProposalError` for tags that the extractor would pass over."""
    tag = symbols.improved_variable_tag
    _, text = extract_reasoning_and_remainder(reply, symbols.reasoning_tag, tag)
    blocks = extract_top_level_blocks(text, tag)
    rest = strip_nested_blocks(text, tag)
    if re.search(rf"</?{re.escape(tag)}\b", rest):
        message = f"a <{tag}> isn't closed; the reply may have been cut off"
        raise ProposalError(message, reply=reply)
    names: set[str] = set()
    for block in blocks:
        named = strip_nested_blocks(block, symbols.value_tag)
        name = (extract_first_top_level_block(named, symbols.name_tag) or "").strip()
        if not name or extract_first_top_level_block(block, symbols.value_tag) is None:
            message = f"a <{tag}> needs <{symbols.name_tag}> and <{symbols.value_tag}>"
            raise ProposalError(message, reply=reply)
        if name in names:
            message = f"{name} is given several times; give it once"
            raise ProposalError(message, reply=reply)
        names.add(name)
