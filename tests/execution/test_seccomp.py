"""The filter of each architecture, run in a small interpreter of the kernel's machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from opto.execution import seccomp
from opto.execution.seccomp import ALLOW, ENOSYS, ENOTTY, EPERM, KILL, program, refuse
from opto.execution.syscalls import MACHINES

PID = 4242
ORDER = ("x86_64", "aarch64")
# All there are, as the headers of Linux 6.1 list them.
DATA = Path(__file__).resolve().parents[1] / "data" / "syscalls.json"
KERNEL: dict[str, dict[str, int]] = json.loads(DATA.read_text("utf-8"))
THREAD = 0x3D0F00  # what glibc passes to clone for a thread
# Numbers of calls that must not be made: for x86-64 and for arm64.
REFUSED = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "sendmmsg": (307, 269),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "open_by_handle_at": (304, 265),
    "setuid": (105, 146),
    "setresuid": (117, 147),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "memfd_create": (319, 279),
    "fchmodat": (268, 53),
    "fchownat": (260, 54),
    "utimensat": (280, 88),
    "truncate": (76, 45),
    "linkat": (265, 37),
    "symlinkat": (266, 36),
    "mknodat": (259, 33),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setitimer": (38, 103),
    "timer_create": (222, 107),
    "shmget": (29, 194),
    "setrlimit": (160, 164),
    "sched_setaffinity": (203, 122),
    "setpgid": (109, 154),
    "personality": (135, 92),
    "landlock_restrict_self": (446, 446),
}


def run(machine: str, number: int, arguments: Sequence[int] = (), audit: int | None = None) -> int:
    """What the filter returns for a system call."""
    table = MACHINES[machine]
    words = {0: number, 4: table.audit if audit is None else audit}
    for index in range(6):
        value = arguments[index] if index < len(arguments) else 0
        words[16 + 8 * index] = value & 0xFFFFFFFF
        words[20 + 8 * index] = value >> 32 & 0xFFFFFFFF
    steps, position, held = program(machine, PID), 0, 0
    while True:
        step = steps[position]
        position += 1
        if step.code == seccomp.LOAD:
            held = words[step.k]
        elif step.code == seccomp.RETURN:
            return step.k
        else:
            tests = {
                seccomp.JUMP_EQUAL: held == step.k,
                seccomp.JUMP_GREATER_EQUAL: held >= step.k,
                seccomp.JUMP_BITS: bool(held & step.k),
            }
            position += step.if_true if tests[step.code] else step.if_false


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_listed_is_allowed(machine: str) -> None:
    table = MACHINES[machine]

    assert {name for name, nr in table.always.items() if run(machine, nr) != ALLOW} == set()


@pytest.mark.parametrize("name", REFUSED)
def test_what_reaches_out_is_refused(machine: str, name: str) -> None:
    number = REFUSED[name][sorted(MACHINES, reverse=True).index(machine)]

    assert run(machine, number) == refuse(EPERM)


def test_only_listed_numbers_pass(machine: str) -> None:
    table = MACHINES[machine]
    known = {*table.always.values(), *table.checked.values()}

    assert all(run(machine, nr) == refuse(EPERM) for nr in range(600) if nr not in known)


def test_the_tables_have_no_number_twice(machine: str) -> None:
    table = MACHINES[machine]
    numbers = [*table.always.values(), *table.checked.values()]

    assert len(numbers) == len(set(numbers))


def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    table = MACHINES[machine]
    used = {**table.always, **table.checked}
    refused = {name: numbers[ORDER.index(machine)] for name, numbers in REFUSED.items()}

    assert {n: KERNEL[machine].get(n) for n in used} == used
    assert {n: KERNEL[machine].get(n) for n in refused} == refused


def test_the_tables_allow_the_same(machine: str) -> None:
    other = MACHINES["x86_64"].always
    modern = MACHINES["aarch64"].always

    assert set(modern) <= set(other)  # arm64 lacks only the older forms of the same calls


def test_a_foreign_architecture_is_killed(machine: str) -> None:
    read = MACHINES[machine].always["read"]

    assert run(machine, read, audit=0x40000003) == KILL  # 32-bit calls have other numbers
    assert run(machine, read | 0x40000000) == KILL


def test_threads_but_no_processes(machine: str) -> None:
    clone = MACHINES[machine].checked["clone"]

    assert run(machine, clone, [THREAD]) == ALLOW
    assert run(machine, clone, [17]) == refuse(EPERM)  # fork: SIGCHLD alone
    assert run(machine, clone, [0x4111]) == refuse(EPERM)  # vfork
    for namespace in (0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(machine, clone, [THREAD | namespace]) == refuse(EPERM)
    assert run(machine, MACHINES[machine].checked["clone3"]) == refuse(ENOSYS)


@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_to_itself_only(machine: str, name: str) -> None:
    number = MACHINES[machine].checked[name]

    assert run(machine, number, [PID, 9]) == ALLOW
    for other in (1, 0, PID + 1, 0xFFFFFFFF):
        assert run(machine, number, [other, 9]) == refuse(EPERM)


def test_limits_of_itself_only(machine: str) -> None:
    number = MACHINES[machine].checked["prlimit64"]

    assert [run(machine, number, [pid]) for pid in (0, PID, 1)] == [ALLOW, ALLOW, refuse(EPERM)]


def test_no_control_of_terminals_or_owners(machine: str) -> None:
    checked = MACHINES[machine].checked

    assert run(machine, checked["ioctl"], [0, 0x5401]) == ALLOW  # isatty
    assert run(machine, checked["ioctl"], [0, 0x5412]) == refuse(ENOTTY)  # TIOCSTI types for others
    assert run(machine, checked["fcntl"], [0, 3]) == ALLOW
    for owner in (8, 10, 15):  # F_SETOWN, F_SETSIG, F_SETOWN_EX
        assert run(machine, checked["fcntl"], [0, owner]) == refuse(EPERM)


def test_sockets_of_its_own_only(machine: str) -> None:
    checked = MACHINES[machine].checked

    assert run(machine, checked["socketpair"], [1]) == ALLOW
    assert run(machine, checked["socketpair"], [2]) == refuse(EPERM)
    assert run(machine, checked["sendto"], [3, 0, 1, 0, 0, 0]) == ALLOW
    assert run(machine, checked["sendto"], [3, 0, 1, 0, 0x7F00, 16]) == refuse(EPERM)
    assert run(machine, checked["sendto"], [3, 0, 1, 0, 1 << 40, 16]) == refuse(EPERM)


def test_the_program_fits_the_kernel(machine: str) -> None:
    steps = program(machine, PID)

    assert len(steps) < 4096
    assert len(seccomp.as_bytes(steps)) == 8 * len(steps)


def test_an_unknown_architecture_has_no_program() -> None:
    with pytest.raises(KeyError):
        program("riscv64", PID)
