"""Weights of local models: which there are, where they lie, how they are fetched.

Nothing here is loaded or run; `opto.llm.local` does that.
"""

from __future__ import annotations

from opto.llm.weights.catalogue import CATALOGUE as CATALOGUE
from opto.llm.weights.catalogue import DEFAULT as DEFAULT
from opto.llm.weights.catalogue import Weights as Weights
from opto.llm.weights.catalogue import resolve as resolve
from opto.llm.weights.fetching import fetch as fetch
from opto.llm.weights.partial import Progress as Progress
from opto.llm.weights.store import cache_folder as cache_folder
from opto.llm.weights.store import checked_path as checked_path
from opto.llm.weights.store import is_present as is_present
from opto.llm.weights.store import weights_path as weights_path
