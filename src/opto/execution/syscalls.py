"""Numbers of the system calls that confined code may make, for each architecture.

They were read from the kernel's own headers (`asm/unistd_64.h`, `asm-generic/unistd.h`). What isn't
here is refused. Left out on purpose: whatever starts a process, opens a connection, reaches another
process, changes a file's owner, mode or times, truncates by name, or mounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Machine(NamedTuple):
    """What differs between architectures.

    Attributes:
        audit: the constant by which the kernel tells a filter which architecture calls.
        always: system calls allowed whatever their arguments.
        checked: system calls that the filter allows for certain arguments only.
    """

    audit: int
    always: Mapping[str, int]
    checked: Mapping[str, int]


# fmt: off
_X86_64 = {
    "read": 0, "write": 1, "ppoll": 271, "futex": 202, "close": 3, "fstat": 5, "lseek": 8,
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "madvise": 28, "mremap": 25,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "clock_gettime": 228,
    "clock_nanosleep": 230, "nanosleep": 35, "getrandom": 318, "sched_yield": 24, "openat": 257,
    "newfstatat": 262, "statx": 332, "readlinkat": 267, "faccessat": 269, "faccessat2": 439,
    "getdents64": 217, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "preadv": 295,
    "msync": 26, "mincore": 27, "dup": 32, "dup3": 292, "getpid": 39, "gettid": 186, "exit": 60,
    "exit_group": 231, "uname": 63, "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
    "getcwd": 79, "chdir": 80, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
    "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "getresuid": 118, "getresgid": 120,
    "getppid": 110, "sigaltstack": 131, "sched_getaffinity": 204, "sched_getscheduler": 145,
    "sched_getparam": 143, "restart_syscall": 219, "fadvise64": 221, "clock_getres": 229,
    "epoll_ctl": 233, "epoll_pwait": 281, "epoll_create1": 291, "eventfd2": 290,
    "timerfd_create": 283, "timerfd_settime": 286, "timerfd_gettime": 287, "unlinkat": 263,
    "mkdirat": 258, "renameat": 264, "renameat2": 316, "pselect6": 270, "set_robust_list": 273,
    "get_robust_list": 274, "set_tid_address": 218, "pipe2": 293, "membarrier": 324, "rseq": 334,
    "close_range": 436, "recvfrom": 45, "shutdown": 48, "get_mempolicy": 239, "poll": 7,
    "stat": 4, "lstat": 6, "access": 21, "select": 23, "dup2": 33, "pause": 34, "open": 2,
    "creat": 85, "unlink": 87, "readlink": 89, "rename": 82, "mkdir": 83, "rmdir": 84, "pipe": 22,
    "getdents": 78, "epoll_wait": 232, "eventfd": 284, "getpgrp": 111, "time": 201,
    "arch_prctl": 158,
}
_AARCH64 = {
    "read": 63, "write": 64, "ppoll": 73, "futex": 98, "close": 57, "fstat": 80, "lseek": 62,
    "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "madvise": 233, "mremap": 216,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "clock_gettime": 113,
    "clock_nanosleep": 115, "nanosleep": 101, "getrandom": 278, "sched_yield": 124, "openat": 56,
    "newfstatat": 79, "statx": 291, "readlinkat": 78, "faccessat": 48, "faccessat2": 439,
    "getdents64": 61, "pread64": 67, "pwrite64": 68, "readv": 65, "writev": 66, "preadv": 69,
    "msync": 227, "mincore": 232, "dup": 23, "dup3": 24, "getpid": 172, "gettid": 178, "exit": 93,
    "exit_group": 94, "uname": 160, "flock": 32, "fsync": 82, "fdatasync": 83, "ftruncate": 46,
    "getcwd": 17, "chdir": 49, "umask": 166, "gettimeofday": 169, "getrlimit": 163,
    "getrusage": 165, "sysinfo": 179, "times": 153, "getuid": 174, "getgid": 176, "geteuid": 175,
    "getegid": 177, "getresuid": 148,
    "getresgid": 150, "getppid": 173, "sigaltstack": 132, "sched_getaffinity": 123,
    "sched_getscheduler": 120, "sched_getparam": 121, "restart_syscall": 128, "fadvise64": 223,
    "clock_getres": 114, "epoll_ctl": 21, "epoll_pwait": 22, "epoll_create1": 20, "eventfd2": 19,
    "timerfd_create": 85, "timerfd_settime": 86, "timerfd_gettime": 87, "unlinkat": 35,
    "mkdirat": 34, "renameat": 38, "renameat2": 276, "pselect6": 72, "set_robust_list": 99,
    "get_robust_list": 100, "set_tid_address": 96, "pipe2": 59, "membarrier": 283, "rseq": 293,
    "close_range": 436, "recvfrom": 207, "shutdown": 210, "get_mempolicy": 236,
}
# fmt: on

MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        0xC000003E,
        _X86_64,
        {
            "clone": 56,
            "clone3": 435,
            "kill": 62,
            "tgkill": 234,
            "ioctl": 16,
            "fcntl": 72,
            "socketpair": 53,
            "sendto": 44,
            "prlimit64": 302,
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        _AARCH64,
        {
            "clone": 220,
            "clone3": 435,
            "kill": 129,
            "tgkill": 131,
            "ioctl": 29,
            "fcntl": 25,
            "socketpair": 199,
            "sendto": 206,
            "prlimit64": 261,
        },
    ),
}
