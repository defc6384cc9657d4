"""Running code that a model wrote: policies, processes of its own, limits.

Code that its author wrote runs in this process. Any other text of a code parameter runs as a
`Policy` says. Nothing here is needed by who trains no code.
"""

from opto.execution.limits import COMPUTING as COMPUTING
from opto.execution.limits import Limits as Limits
from opto.execution.machine import Report as Report
from opto.execution.machine import report as report
from opto.execution.policy import Policy as Policy
from opto.execution.policy import execution as execution
from opto.execution.policy import isolated as isolated
from opto.execution.policy import portable as portable
from opto.execution.transport import Command as Command
from opto.execution.transport import Connection as Connection
from opto.execution.transport import Transport as Transport

__all__ = [
    "COMPUTING",
    "Command",
    "Connection",
    "Limits",
    "Policy",
    "Report",
    "Transport",
    "execution",
    "isolated",
    "portable",
    "report",
]
