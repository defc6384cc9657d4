"""One optimisation step of an agent, in a process of its own: ``step_worker LIBRARY NAME URL``.

The statements are the same for ours and the original, but that the original takes one feedback for
a batch. The parent counts what the model is asked; this prints the seconds of backward and step.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

BATCH = 8
PROMPTS = {
    "plan_prompt": "Say in one sentence what must be found out to answer the question.",
    "search_prompt": "Write the facts that the plan needs, one a line, without inventing any.",
    "answer_prompt": "Answer the question from the facts in one short sentence.",
}
QUESTIONS = [f"In which year was bridge number {number} built, and by whom?" for number in range(8)]
FEEDBACK = "The answer to question {} must name the year first and must not add an opinion."


class HttpModel:
    """Any chat-completions server, by the standard library."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def __call__(self, messages: Any = None, **options: Any) -> Any:
        """Ask the server; what it says has the shape of OpenAI's objects."""
        connection = http.client.HTTPConnection(self.url.netloc, timeout=60)
        body = json.dumps({"messages": messages, "model": "served", **options}, default=str)
        path = f"{self.url.path}/chat/completions"
        connection.request("POST", path, body, {"content-type": "application/json"})
        reply = json.loads(connection.getresponse().read())
        connection.close()
        content = reply["choices"][0]["message"]["content"]
        message = SimpleNamespace(content=content)
        return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")])

    create = __call__


def said(prompt: str, text: str) -> str:
    """What the agent's model says; the forward pass isn't measured, so nobody is asked."""
    return (
        f"[{prompt.split(maxsplit=1)[0]}] {text} It was built in 1883 by a company from the north. "
        * 2
    )


def traced_step(name: str, url: str, *, one_feedback: bool) -> float:
    """Seconds of backward and step with an optimizer of `opto`, ours or the original."""
    from opto import optimizers  # noqa: PLC0415 - only one of the libraries is here
    from opto.trace import bundle, node  # noqa: PLC0415 - only one of the libraries is here

    @bundle()
    def ask(prompt: str, text: str) -> str:
        """Ask the language model, with the prompt as its instruction."""
        return said(prompt, text)

    @bundle(trainable=True)
    def shorten(text: str) -> str:
        """Keep what matters of a text."""
        return text[:300]

    @bundle(trainable=True)
    def combine(question: str, facts: str) -> str:
        """Put question and facts together."""
        return f"{question}\n{facts}"

    @bundle()
    def batchify(*answers: str) -> str:
        """Put the answers of a batch together."""
        return "\n".join(f"ID [{at}]: {answer}" for at, answer in enumerate(answers))

    plan, search, answer = (node(text, name=key, trainable=True) for key, text in PROMPTS.items())
    parameters = [plan, search, answer, shorten.parameter, combine.parameter]
    optimizer = getattr(optimizers, name)(parameters, llm=HttpModel(url))
    outputs = []
    for question in QUESTIONS[:BATCH]:
        facts = ask(search, shorten(ask(plan, question)))
        outputs.append(ask(answer, combine(question, facts)))
    started = time.perf_counter()
    optimizer.zero_feedback()
    if one_feedback:
        lines = [f"ID [{at}]: {FEEDBACK.format(at)}" for at in range(BATCH)]
        optimizer.backward(batchify(*outputs), "\n".join(lines))
    else:
        for at, output in enumerate(outputs):
            optimizer.backward(output, FEEDBACK.format(at))
    optimizer.step()
    return time.perf_counter() - started


def textgrad_step(url: str) -> float:
    """Seconds of backward and step with the package `textgrad`."""
    import textgrad  # noqa: PLC0415 - only one of the libraries is here
    from textgrad.autograd import FormattedLLMCall, LLMCall  # noqa: PLC0415 - only one of the libraries is here
    from textgrad.engine.base import EngineLM  # noqa: PLC0415 - only one of the libraries is here

    class Engine(EngineLM):  # type: ignore[misc]  # of a package that isn't here
        """The server as textgrad calls a model."""

        model_string = "served"
        system_prompt = ""
        is_multimodal = False
        mute = True

        def generate(self, content: Any, system_prompt: Any = None, **_: Any) -> str:
            if self.mute:
                return said("Say", str(content)[-200:])
            system = {"role": "system", "content": str(system_prompt or "")}
            user = {"role": "user", "content": str(content)}
            return str(HttpModel(url)(messages=[system, user]).choices[0].message.content)

        __call__ = generate

    engine = Engine()
    textgrad.set_backward_engine(engine, override=True)

    def variable(text: str, role: str, *, learns: bool = True) -> Any:
        return textgrad.Variable(text, requires_grad=learns, role_description=role)

    plan, search, answer = (variable(text, key) for key, text in PROMPTS.items())
    shorten = variable("def shorten(text): return text[:300]", "code that keeps what matters")
    combine = variable("def combine(question, facts): return question + facts", "code that joins")
    asks = [LLMCall(engine, system_prompt=prompt) for prompt in (plan, search, answer)]

    def run(code: Any, text: Any) -> Any:
        call = FormattedLLMCall(
            engine=engine,
            format_string="{code}\n{text}",
            fields={"code": None, "text": None},
        )
        return call(inputs={"code": code, "text": text}, response_role_description="result of code")

    losses = []
    for at, text in enumerate(QUESTIONS[:BATCH]):
        question = variable(text, "the question", learns=False)
        facts = asks[1](run(shorten, asks[0](question)))
        out = asks[2](run(combine, facts))
        losses.append(textgrad.TextLoss(FEEDBACK.format(at), engine=engine)(out))
    engine.mute = False
    optimizer = textgrad.TGD(parameters=[plan, search, answer, shorten, combine], engine=engine)
    started = time.perf_counter()
    textgrad.sum(losses).backward()
    optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    """Print the seconds as JSON."""
    library, name, url = sys.argv[1:]
    if library == "textgrad":
        seconds = textgrad_step(url)
    else:
        seconds = traced_step(name, url, one_feedback=library == "original")
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
