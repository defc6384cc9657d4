"""TextGrad: feedback is carried back operation by operation, each time in words of the model.

Yuksekgonul et al., "TextGrad: Automatic Differentiation via Text", arXiv 2406.07496. A call covers
one operation with all of its inputs; calls that don't need one another run at the same time, and
the same question is asked once. An operation that concerns one variable alone is shown to the call
that updates it, which criticises first: no call of its own is spent on it (docs/adr/0020).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from opto.errors import ProposalError
from opto.optimizers.backprop import Flow, Gradients, plain_uses, ways_back
from opto.optimizers.buffers import FIFOBuffer
from opto.optimizers.concurrent import Once, as_they_come
from opto.optimizers.model import ModelOptimizer, Verbose
from opto.optimizers.names import Wanted
from opto.optimizers.optimizer import Parameter, UpdateDict
from opto.optimizers.parsing import parse_reply
from opto.optimizers.problem import Problem
from opto.optimizers.prompts import PromptText
from opto.optimizers.questions import Question, Questions, groups_of
from opto.optimizers.rendering import instance_of
from opto.optimizers.shortening import text_of

_LONGEST_FEEDBACK = 4000  # characters; longer feedback from several places is summarised first
_MOST_ROUNDS = 4  # of summaries of summaries


class TextGrad(ModelOptimizer):
    """Carries feedback back through the run by the model, then improves each parameter by it.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        memory_size: how many earlier feedbacks on a parameter to show with the new one.
        print_limit: how many characters of a value to show that isn't a parameter.
        log: whether to keep prompts and replies in `log`.
        settings: as of `ModelOptimizer`.

    Attributes:
        new_variable_tags: the marks between which the model writes a new value.
    """

    default_objective = PromptText("textgrad.objective")
    new_variable_tags: tuple[str, str] = ("<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>")

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        memory_size: int = 0,
        print_limit: int = 2000,
        log: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, log=log, **settings)
        self.print_limit = print_limit
        self.memory: dict[str, FIFOBuffer[str]] = {
            self.names.name(parameter): FIFOBuffer(memory_size) for parameter in self.parameters
        }

    def kept_state(self) -> dict[str, Any]:
        """Return the log, and the memory in the order of the parameters."""
        return {**super().kept_state(), "memory": [list(texts) for texts in self.memory.values()]}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up the log and the memory."""
        super().restore_state(state)
        if "memory" in state:
            pairs = zip(self.memory.items(), state["memory"], strict=True)
            self.memory = {name: FIFOBuffer(old.size, map(str, new)) for (name, old), new in pairs}

    def _step(self, verbose: Verbose = False, **_: Any) -> UpdateDict:  # noqa: FBT002 - the original's signature
        problem = self.summarize()
        if not problem.variables:
            return {}
        if self.summary_log is not None:
            folded, limit = self.budget.fitted(problem, self._shown)
            self.note_step(self._shown(folded, limit), folded)
        questions = Questions(problem, self.prompts, self.budget, self.print_limit)
        gradients = self.gradients(problem, questions, verbose)
        said = {
            name: "\n".join(texts)
            for name in problem.variables
            if (texts := [*(text for _, text in gradients.uses(name)), *gradients.of(name)])
        }
        asks = [
            partial(self._updated, problem, name, questions, gradients, verbose) for name in said
        ]
        try:
            update = self.together(asks)
        finally:
            reasons = ((name, gradients.text(name)) for name in said)
            self._note(reasoning="\n\n".join(f"{name}: {text}" for name, text in reasons if text))
        for name, text in said.items():
            self.memory[name].add(text)
        return update

    def _shown(self, problem: Problem, limit: int) -> str:
        """Write a problem as people read it; the model sees it operation by operation."""
        template = self.prompts.text("optoprime.problem")
        text = instance_of(problem, objective=self.objective, template=template, limit=limit)
        return str(text)

    # ---- backward --------------------------------------------------------------------------------

    def gradients(
        self,
        problem: Problem,
        questions: Questions,
        verbose: Verbose = False,  # noqa: FBT002 - as of `step`
    ) -> Gradients:
        """Return the feedback on every value that depends on a variable."""
        gradients = Gradients(problem.feedbacks)
        ways = ways_back(problem)
        flow, plain = Flow(ways), plain_uses(ways, problem.variables)
        for at, name in plain.items():
            gradients.add_use(name, ways[at].step)
        once = Once[Question, str](lambda question: self.call_llm(*question, verbose))

        def asked(at: int) -> str:
            output = ways[at].step.output
            if not gradients.of(output):
                return ""
            self._summarise([output], questions, gradients, verbose)
            if at in plain:
                return ""
            return once(questions.backward(ways[at], gradients.text(output)))

        def told(at: int, answer: str) -> list[int]:
            for name, text in _shared(answer, ways[at].inputs) if answer else ():
                gradients.add(name, text, order=at)
            return flow.after(at)

        as_they_come(flow.first(), asked, told)
        self._summarise(list(problem.variables), questions, gradients, verbose)
        return gradients

    def _summarise(
        self, names: Sequence[str], questions: Questions, gradients: Gradients, verbose: Verbose
    ) -> None:
        """Put a summary in the place of feedbacks from several places, where they are long."""
        most = min(_LONGEST_FEEDBACK, questions.most)
        for _ in range(_MOST_ROUNDS):
            long = {
                name: groups_of(gradients.of(name), questions.most)
                for name in dict.fromkeys(names)
                if len(gradients.of(name)) > 1 and len(gradients.text(name)) > most
            }
            if not long:
                break
            asked = [questions.summary(name, group) for name in long for group in long[name]]
            answers = iter(self._answers(asked, verbose))
            for name, groups in long.items():
                gradients.replace(name, [next(answers) for _ in groups])

    def _answers(self, questions: Sequence[Question], verbose: Verbose) -> list[str]:
        """Ask all questions at the same time, the same one once."""
        once = list(dict.fromkeys(questions))
        calls = [partial(self.call_llm, system, user, verbose) for system, user in once]
        answers = dict(zip(once, self.concurrently(calls), strict=True))
        return [answers[question] for question in questions]

    # ---- update ----------------------------------------------------------------------------------

    def _updated(
        self,
        problem: Problem,
        name: str,
        questions: Questions,
        gradients: Gradients,
        verbose: Verbose,
    ) -> UpdateDict:
        """Ask for the new value of a variable; what the reply says of its uses is a gradient."""
        entry = problem.variables[name]
        past = self.budget.newest(self.memory[name], self.budget.problem // 4)
        uses = gradients.uses(name)
        opening, closing = self.new_variable_tags
        marks = {"open": opening, "close": closing}
        user = self.prompts.render(
            "textgrad.update.user",
            objective=self.objective,
            name=name,
            kind=entry.kind,
            constraint=self.block("textgrad.constraint", constraint=entry.constraint or ""),
            value=text_of(entry.data),
            uses=self.block("textgrad.uses", uses=questions.uses(name, uses)),
            feedback=self.block("textgrad.feedback", feedback=gradients.text(name)),
            past=self.block("textgrad.past", past="\n".join(past)),
            refused=self.refusals(name),
            **marks,
        )
        system = self.prompts.render("textgrad.update.system", **marks)
        reply = self.call_llm(system, user, verbose)
        if uses:
            gradients.add(name, _before(reply, opening))
        return self.converted({name: self._new_value(reply, name)}, reply=reply)

    def _new_value(self, reply: str, name: str) -> object:
        """Return what stands between the marks; code may stand in a fenced block instead."""
        (wanted,) = (item for item in self.wanted() if item.name == name)
        is_code = wanted.function is not None
        opening, closing = self.new_variable_tags
        value = _between(reply, opening, closing, whole=is_code)
        if value is not None:
            return _bare(value, name)
        if is_code and opening not in reply and closing not in reply:
            try:
                return parse_reply(reply, [wanted]).values[name]
            except ProposalError as error:
                raise ProposalError(f"{name}: {error.reason}", reply=reply) from error
        message = f"the reply has no new value of {name} between {opening} and {closing}"
        raise ProposalError(message, reply=reply)


def _between(reply: str, opening: str, closing: str, *, whole: bool) -> str | None:
    """Return what stands between two marks, in whatever case; None if they aren't there.

    The second may be written as the first is, or be forgotten: then all that follows is taken, if
    `whole` is set or it is one paragraph. (Replies that were cut aren't read at all.)
    """
    mark = re.compile(f"({re.escape(opening)})|{re.escape(closing)}", re.IGNORECASE)
    marks = list(mark.finditer(reply))
    while marks and marks[0][1] is None:
        del marks[0]
    if not marks:
        return None
    ends = [found for found in marks if found[1] is None] or marks[1:]
    value = reply[marks[0].end() : ends[-1].start() if ends else len(reply)].strip()
    if ends and ends[-1][1] is None:
        return value
    return value if value and (ends or whole or "\n\n" not in value) else None


def _before(reply: str, opening: str) -> str:
    """Return what a reply says before a mark, in whatever case; nothing if the mark isn't there."""
    mark = re.search(re.escape(opening), reply, re.IGNORECASE)
    return reply[: mark.start()].strip() if mark else ""


def _bare(value: str, name: str) -> str:
    """Return a value that is written as ``name = value`` without the name, and without quotes."""
    given = re.fullmatch(rf"{re.escape(name)}\s*=(?!=)\s*(.*)", value, re.DOTALL)
    if given is None:
        return value
    quoted = re.fullmatch(r"(\"\"\"|'''|\"|')(.*)\1", given[1], re.DOTALL)
    return quoted[2].strip() if quoted else given[1]


def _shared(answer: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Give each input what was said of it; all of it to all, if it wasn't said by name."""
    if len(names) > 1:
        try:
            said = parse_reply(answer, [Wanted(name) for name in names]).values
        except ProposalError:
            return [(name, answer) for name in names]
        return [(name, str(text)) for name, text in said.items()]
    return [(name, answer) for name in names]
