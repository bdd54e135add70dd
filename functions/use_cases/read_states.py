"""Read the states of all devices of a rollout, as they are or as they were at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched

from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.halt import Halt
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import forecast
from functions.rollouts.rollout.block_states import states_of
from functions.rollouts.rollout.failure_tally import count_failures
from functions.rollouts.rollout.forecast import ASSUMED_UPDATE, Forecast
from functions.rollouts.rollout.halts import list_halts
from functions.use_cases.read import get_snapshot
from functions.use_cases.rollout_watch import States
from functions.use_cases.services import Services

# Blocks that a look back holds in memory at once.
_BLOCKS_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStates:
    """The states of a rollout's devices, and what a page shows beside them."""

    rollout: Rollout
    blocks: Sequence[BlockStates]
    failures: Sequence[FailureCount]  # of the blocks
    at: datetime  # the time that they are of
    ticked_at: datetime | None  # when the last tick began; None: there was none
    forecast: Forecast | None  # None: its devices are not written yet
    halts: Sequence[Halt]  # times in which no device could start, but for pauses and freezes
    per_device: timedelta  # from a device's acceptance to the end of its soak, without faults


def read_states(
    services: Services,
    rollout_id: str,
    at: datetime | None,
    tick_interval: timedelta | None = None,
) -> ShownStates:
    """Return the states of a rollout's devices now or, with `at`, as they were then.

    `tick_interval` is the time between two ticks; None: unknown.
    Raises UnknownError, StorageUnavailableError.
    """
    now = services.clock()
    shown = (
        services.watch.read_states(services.stores, rollout_id, now)
        if at is None
        else _read_past_states(services, rollout_id, at)
    )
    rollout = shown.rollout
    return ShownStates(
        rollout=rollout,
        blocks=shown.blocks,
        failures=count_failures(shown.blocks),
        at=at or now,
        ticked_at=services.watch.read_ticked_at(services.stores, now, tick_interval),
        forecast=_forecast(services, rollout) if rollout.waves else None,
        halts=list_halts(rollout, at or now),
        per_device=ASSUMED_UPDATE + rollout.strategy.soak,
    )


def _read_past_states(services: Services, rollout_id: str, at: datetime) -> States:
    """Read all blocks with their histories. Slow: meant for a look back, not for polling."""
    store = services.stores.rollouts
    snapshot = get_snapshot(store, rollout_id)
    summaries = snapshot.rollout.block_summaries
    found: list[BlockStates] = []
    for numbers in batched(range(len(summaries)), _BLOCKS_AT_ONCE, strict=False):
        blocks = store.get_blocks(snapshot, numbers).blocks
        found += [
            states_of(blocks[number], summaries[number].revision, at)
            for number in numbers
            if number in blocks
        ]
    return States(snapshot.rollout, found)


def _forecast(services: Services, rollout: Rollout) -> Forecast:
    return forecast.forecast(rollout.waves, rollout.strategy, services.limits)
