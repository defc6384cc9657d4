"""Help for testing programs that use opto: models without a provider, and conformance suites."""

from __future__ import annotations

from opto.testing.dialects import candidates_json as candidates_json
from opto.testing.dialects import message_json as message_json
from opto.testing.optimizers import OPTIMIZER_CHECKS as OPTIMIZER_CHECKS
from opto.testing.optimizers import check_optimizer as check_optimizer
from opto.testing.propagators import PROPAGATOR_CHECKS as PROPAGATOR_CHECKS
from opto.testing.propagators import check_propagator as check_propagator
from opto.testing.replies import completion_json as completion_json
from opto.testing.replies import stream_events as stream_events
from opto.testing.scripted import Call as Call
from opto.testing.scripted import ScriptedModel as ScriptedModel
from opto.testing.server import Fault as Fault
from opto.testing.server import ModelServer as ModelServer
from opto.testing.server import Request as Request
