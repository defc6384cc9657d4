"""Train systems that have no gradient: prompts, numbers, code and agents, from any feedback.

Nothing is imported here; ``from opto import trace`` and ``from opto.optimizers import OptoPrime``
load what they need.
"""

from opto.version import __version__ as __version__
