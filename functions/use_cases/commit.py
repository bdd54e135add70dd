"""The one way in which a rollout changes: read, decide, book, write; again if somebody was faster.

A decision is a pure function of what was read. When the write loses a race, the rollout is read
again and the decision made anew, so that a command is never undone by a device's report, nor the
other way round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from functions.errors import LostRaceError
from functions.rollout_store.ports.rollouts import MAX_EVENTS_IN_ROLLOUT, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import audit
from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import ledger, waves
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

# Races that one change may lose; each lost one was somebody else's progress.
MAX_ATTEMPTS = 60
_LONGEST_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision makes of a snapshot: the rollout, and the blocks that are others now.

    `observed` are blocks that need not be observed at before their devices say so.
    """

    rollout: Rollout
    blocks: Mapping[int, Block] = field(default_factory=dict)
    observed: Sequence[int] = ()


type Decide = Callable[[Moment, Snapshot], Change | None]


def commit(
    services: Services, snapshot: Snapshot, decide: Decide, needed: Sequence[int] = ()
) -> Snapshot:
    """Carry out `decide`, which needs these blocks; gives what is stored afterwards.

    `decide` may be called several times; what it gave last was stored, or was None. Raises
    LostRaceError after very many races, StorageUnavailableError.
    """
    for number in range(MAX_ATTEMPTS):
        if number:
            services.sleep(min(0.005 * number, _LONGEST_PAUSE_SECONDS) * services.jitter())
            snapshot = _read_again(services, snapshot)
        missing = [block for block in needed if block not in snapshot.blocks]
        snapshot = services.stores.rollouts.get_blocks(snapshot, missing) if missing else snapshot
        try:
            return _tried(services, snapshot, decide)
        except LostRaceError:
            continue
    raise LostRaceError(f"Rollout {snapshot.rollout.id} changes too fast.")


def _tried(services: Services, snapshot: Snapshot, decide: Decide) -> Snapshot:
    moment = services.moment(snapshot.rollout)
    change = decide(moment, snapshot)
    if change is None:
        return snapshot
    before = snapshot.rollout
    booked = ledger.record_changes(
        moment, change.rollout, snapshot.blocks, change.blocks, change.observed
    )
    settled = waves.settle(booked, moment.now)
    if settled == before and not change.blocks:
        return snapshot
    kept, older_events = audit.spill_events(
        replace(settled, revision=before.revision + 1), MAX_EVENTS_IN_ROLLOUT
    )
    return services.stores.rollouts.save(snapshot, kept, list(change.blocks.values()), older_events)


def _read_again(services: Services, old: Snapshot) -> Snapshot:
    """The rollout as it is now, with those blocks that nobody has written since."""
    fresh = get_snapshot(services.stores.rollouts, old.rollout.id)
    kept = {
        number: block
        for number, block in old.blocks.items()
        if number not in fresh.blocks
        and fresh.rollout.block_summaries[number].revision
        == old.rollout.block_summaries[number].revision
    }
    return replace(fresh, blocks={**kept, **fresh.blocks})
