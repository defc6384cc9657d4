"""Language models: one call contract, one back end a file; retry and accounting wrap them."""

from __future__ import annotations

from opto.llm.accounting import tagged as tagged
from opto.llm.accounting import usage as usage
from opto.llm.anthropic import AnthropicModel as AnthropicModel
from opto.llm.base import Abilities as Abilities
from opto.llm.base import ChatMessage as ChatMessage
from opto.llm.base import ChatModel as ChatModel
from opto.llm.base import Choice as Choice
from opto.llm.base import Completion as Completion
from opto.llm.base import Message as Message
from opto.llm.base import Usage as Usage
from opto.llm.base import abilities_of as abilities_of
from opto.llm.base import completion_of as completion_of
from opto.llm.base import text_completion as text_completion
from opto.llm.breaker import Breaker as Breaker
from opto.llm.budgeted import Budgeted as Budgeted
from opto.llm.cache import Cache as Cache
from opto.llm.cached import Cached as Cached
from opto.llm.choice import Selection as Selection
from opto.llm.default import LLM as LLM
from opto.llm.fallback import Fallback as Fallback
from opto.llm.google import GeminiModel as GeminiModel
from opto.llm.limiter import Limited as Limited
from opto.llm.limiter import RateLimiter as RateLimiter
from opto.llm.local import LocalModel as LocalModel
from opto.llm.metered import Metered as Metered
from opto.llm.openai_compatible import Limits as Limits
from opto.llm.openai_compatible import OpenAICompatible as OpenAICompatible
from opto.llm.prices import Price as Price
from opto.llm.prices import forecast as forecast
from opto.llm.rate import Rate as Rate
from opto.llm.recorded import Recorded as Recorded
from opto.llm.retry import Retrying as Retrying
from opto.llm.retry import RetryPolicy as RetryPolicy
from opto.llm.stream import AsyncStream as AsyncStream
from opto.llm.stream import Piece as Piece
from opto.llm.stream import Stream as Stream
from opto.llm.structured import Structured as Structured
from opto.llm.structured import astructured as astructured
from opto.llm.structured import structured as structured
from opto.llm.tally import Budget as Budget
from opto.llm.tally import CallRecord as CallRecord
from opto.llm.tally import Tally as Tally
from opto.llm.tally import Totals as Totals
