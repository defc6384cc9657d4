"""Classes with parameters as type checkers see them. Nothing here is run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from opto.trace import Map, Module, ParameterNode, Seq, bundle, model, node
from opto.trace.nodes import MessageNode


@model
class Agent:
    """A decorated class stays itself."""

    def __init__(self, style: str) -> None:
        self.style = node(style, trainable=True)

    @bundle(trainable=True)
    def shorten(self, text: str) -> str:
        """Shorten."""
        return text[:10]

    def __call__(self, text: str) -> MessageNode[str]:
        """Answer."""
        return self.shorten(self.style + text)


class Pipeline(Module):
    """A derived one has the methods of a module."""

    def __init__(self) -> None:
        self.agents = Seq(Agent("kind"), Agent("curt"))
        self.table = Map({"a": node(1, trainable=True)})

    def forward(self, text: str) -> Any:
        """Run."""
        return self.agents[0](text)


def modelled(agent: Agent) -> None:
    """Its attributes and methods keep their types."""
    assert_type(Agent("kind"), Agent)
    assert_type(agent.style, ParameterNode[str])
    assert_type(agent("hello"), MessageNode[str])
    assert_type(agent.shorten("hello"), MessageNode[str])


def derived(pipeline: Pipeline) -> None:
    """Parameters and their values, by path."""
    assert_type(pipeline.parameters(), list[Any])
    assert_type(pipeline.named_parameters(), dict[str, ParameterNode[Any]])
    assert_type(pipeline.state_dict(), dict[str, Any])
    assert_type(pipeline.copy(), Pipeline)
    pipeline.load_state_dict(pipeline.state_dict(), strict=False)
    assert_type(pipeline("hello"), Any)
    for item in pipeline.agents:
        assert_type(item, Any)
    assert_type(len(pipeline.table), int)


def mistakes(agent: Agent) -> None:
    """Mypy says so when one of these isn't an error any more."""
    Agent(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agent.nothing()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
