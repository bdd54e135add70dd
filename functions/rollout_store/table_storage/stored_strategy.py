"""The strategy as a text in a rollout's row: the JSON that requests and responses have.

One text is read once per process and one strategy is written once, because a rollout's row is
read and written often and its strategy never changes.
"""

import json
from functools import lru_cache

from functions.rollout_store.table_storage import earlier_strategy
from functions.rollout_store.table_storage.values import to_json
from functions.rollouts.model.strategy import Strategy
from functions.wire.strategy import StrategySchema

_MAX_CACHED = 256


@lru_cache(maxsize=_MAX_CACHED)
def to_text(strategy: Strategy) -> str:
    """Return the strategy as JSON."""
    return to_json(StrategySchema.of(strategy).to_json_value())


@lru_cache(maxsize=_MAX_CACHED)
def from_text(text: str) -> Strategy:
    """Return the strategy of a row of this release or an earlier one."""
    value = json.loads(text)
    if earlier_strategy.is_earlier(value):
        value = earlier_strategy.to_wire_form(value)
    value = earlier_strategy.EARLIER_RULES | value
    strategy: Strategy = StrategySchema.model_validate_json(
        json.dumps(value), strict=True
    ).to_record()
    return strategy
