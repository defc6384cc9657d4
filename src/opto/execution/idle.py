"""Processes that wait for their next call, within a number."""

from __future__ import annotations

import threading
from collections import OrderedDict

from opto.execution.conversation import Conversation

MOST_IDLE = 32


class Idle:
    """Idle processes, whoever started them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.idle: OrderedDict[int, Conversation] = OrderedDict()

    def park(self, process: Conversation) -> None:
        """Keep an idle process; the one idle for longest is ended if there are too many."""
        with self.lock:
            self.idle[id(process)] = process
            if len(self.idle) > MOST_IDLE:
                for key in [key for key, parked in self.idle.items() if parked.ended]:
                    del self.idle[key]
            while len(self.idle) > MOST_IDLE:
                self.idle.popitem(last=False)[1].kill()

    def unpark(self, process: Conversation) -> bool:
        """Take a process into use; False if it was ended meanwhile."""
        with self.lock:
            self.idle.pop(id(process), None)
            return not process.ended

    def end_all(self) -> None:
        """End them."""
        with self.lock:
            for process in self.idle.values():
                process.kill()
            self.idle.clear()
