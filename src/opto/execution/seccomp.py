"""The system-call filter: an allow-list as a program for the kernel's packet-filter machine.

`program` only computes instructions, for any architecture of `syscalls.MACHINES`; the tests run
them in a small interpreter, so both tables are under test wherever the tests run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from opto.execution.syscalls import MACHINES

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOTTY, ENOSYS = 1, 25, 38

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD, _CLONE_NEW_ANYTHING = 0x00010000, 0x7E020000
_AF_UNIX = 1
# FIONREAD, FIOCLEX, FIONCLEX, FIONBIO, TCGETS, TIOCGWINSZ
_IOCTLS = (0x541B, 0x5451, 0x5450, 0x5421, 0x5401, 0x5413)
# Duplicating, flags and locks; none of those that send signals to an owner.
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)


class Instruction(NamedTuple):
    """One ``struct sock_filter``: operation, jumps if true and if false, and a constant."""

    code: int
    if_true: int
    if_false: int
    k: int


def refuse(errno: int) -> int:
    """What a filter returns for a call to fail with `errno`."""
    return 0x00050000 | errno


def program(machine: str, pid: int) -> list[Instruction]:
    """Return the filter for a process `pid` on a machine of that architecture.

    Raises:
        KeyError: if there is no table for the architecture.
    """
    table = MACHINES[machine]
    checked = table.checked
    steps = [
        _load(_ARCHITECTURE),
        Instruction(JUMP_EQUAL, 1, 0, table.audit),
        _return(KILL),
        _load(_NUMBER),
        Instruction(JUMP_GREATER_EQUAL, 0, 1, _X32),
        _return(KILL),
    ]
    for number in table.always.values():
        steps += _when(number, [_return(ALLOW)])
    steps += _when(checked["clone"], _threads_only())
    steps += _when(checked["clone3"], [_return(refuse(ENOSYS))])  # then libc uses clone
    steps += _when(checked["kill"], _if_argument(0, [pid]))
    steps += _when(checked["tgkill"], _if_argument(0, [pid]))
    steps += _when(checked["prlimit64"], _if_argument(0, [0, pid]))
    steps += _when(checked["ioctl"], _if_argument(1, _IOCTLS, ENOTTY))
    steps += _when(checked["fcntl"], _if_argument(1, _FCNTLS))
    steps += _when(checked["socketpair"], _if_argument(0, [_AF_UNIX]))
    steps += _when(checked["sendto"], _without_address())
    return [*steps, _return(refuse(EPERM))]


def as_bytes(steps: Iterable[Instruction]) -> bytes:
    """Return the program as the kernel takes it."""
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _load(offset: int) -> Instruction:
    return Instruction(LOAD, 0, 0, offset)


def _return(value: int) -> Instruction:
    return Instruction(RETURN, 0, 0, value)


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """Do `then`, which must return, if the call is `number`."""
    return [Instruction(JUMP_EQUAL, 0, len(then), number), *then]


def _if_argument(index: int, values: Iterable[int], otherwise: int = EPERM) -> list[Instruction]:
    """Allow if the lower half of an argument is one of `values`."""
    known = list(values)
    tests = [
        Instruction(JUMP_EQUAL, len(known) - position, 0, value)
        for position, value in enumerate(known)
    ]
    load = _load(_ARGUMENTS + 8 * index)
    return [load, *tests, _return(refuse(otherwise)), _return(ALLOW)]


def _threads_only() -> list[Instruction]:
    """Allow ``clone`` for a thread of this process, without new namespaces."""
    return [
        _load(_ARGUMENTS),
        Instruction(JUMP_BITS, 2, 0, _CLONE_NEW_ANYTHING),
        Instruction(JUMP_BITS, 0, 1, _CLONE_THREAD),
        _return(ALLOW),
        _return(refuse(EPERM)),
    ]


def _without_address() -> list[Instruction]:
    """Allow ``sendto`` on a connected socket only: with an address, other programs are in reach."""
    address = _ARGUMENTS + 8 * 4
    return [
        _load(address),
        Instruction(JUMP_EQUAL, 0, 3, 0),
        _load(address + 4),
        Instruction(JUMP_EQUAL, 0, 1, 0),
        _return(ALLOW),
        _return(refuse(EPERM)),
    ]
