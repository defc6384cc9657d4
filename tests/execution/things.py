"""Classes for the tests of what crosses, without future annotations where that matters."""

import enum
from abc import ABC, abstractmethod
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple

MADE: list[str] = []
SCALE = 3


class Colour(enum.Enum):
    """An enum."""

    RED = 1
    BLUE = "b"

    def loud(self) -> str:
        """Return the name in capitals."""
        return f"{self.name}!"


class Right(enum.Flag):
    """Flags, which combine."""

    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    """Numbers with names."""

    LOW = 1
    HIGH = 2


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: "object" = None

    def swapped(self) -> "Pair":
        """Return it the other way round."""
        return Pair(self.right, self.left)  # type: ignore[arg-type]  # for the test


Made: Any = namedtuple("Made", "a b", defaults=[7])  # noqa: PYI024 # pyright: ignore[reportUntypedNamedTuple]  # what is tested


@dataclass
class Point:
    """A plain dataclass whose methods use a global and another class."""

    x: float
    y: float = 0
    tags: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "point"
    seed: InitVar[int] = 0

    def __post_init__(self, seed: int) -> None:
        MADE.append(f"{self.x}")

    def scaled(self) -> "Point":
        """Return it larger."""
        return Point(self.x * SCALE, self.y * SCALE, seed=1)


@dataclass(frozen=True)
class Frozen:
    """Hashable."""

    name: str
    inner: object = None


class Base(ABC):
    """An abstract base with state-free methods."""

    @abstractmethod
    def area(self) -> float:
        """Return the area."""

    def twice(self) -> float:
        """Return twice the area."""
        return 2 * self.area()


@dataclass
class Square(Base):
    """A dataclass with a base."""

    side: float

    def area(self) -> float:
        """Return the area."""
        return self.side**2


@dataclass
class Loaded:
    """Has more than its fields."""

    x: int


class Text(str):
    """A subclass of a builtin: no plain data."""

    __slots__ = ()


@dataclass
class Named(Text):
    """A dataclass on top of a builtin."""

    x: int = 0


@dataclass
class Wired:
    """A class whose methods need what can't cross."""

    x: int

    def go(self) -> object:
        """Use an open file."""
        return CLIENT


CLIENT = object()
