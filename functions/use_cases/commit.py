"""Change a rollout: read, decide, count, write.

Every change takes this way once `resolve_target` has resolved the rollout's target.

A decision is a pure function of what was read. A device that it queues although a later rollout
has it is skipped. If another request has changed the rollout before
the write, it is read again and the decision is made again. So a device's report never undoes a
command, and a command never undoes a report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from functions.errors import LostRaceError
from functions.rollout_store.ports.rollouts import MAX_EVENTS_IN_ROLLOUT, Snapshot
from functions.rollouts.device import adopting
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import audit
from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import ledger, start_clock, waves
from functions.use_cases import event_feed, later_rollouts, quarantine
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

# Attempts to store one change. Whenever one fails, another change was stored.
MAX_ATTEMPTS = 60
_PAUSE_STEP_SECONDS = 0.005
_MAX_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision changes in a snapshot."""

    rollout: Rollout
    blocks: Mapping[int, Block] = field(default_factory=dict)  # changed blocks, by number
    # Numbers of the blocks whose devices were observed: each is due again only when one of its
    # devices is.
    observed: Sequence[int] = ()


type Decide = Callable[[Moment, Snapshot], Change | None]


def commit(
    services: Services, snapshot: Snapshot, decide: Decide, needed: Sequence[int] = ()
) -> Snapshot:
    """Store what `decide` changes, and return the snapshot as stored.

    `needed` are the numbers of the blocks that `decide` reads. `decide` may be called several
    times; the last call's change is stored, or nothing if that is None. Raises LostRaceError after
    MAX_ATTEMPTS attempts, UnknownError, StorageUnavailableError.
    """
    for number in range(MAX_ATTEMPTS):
        if number:
            pause = min(_PAUSE_STEP_SECONDS * number, _MAX_PAUSE_SECONDS)
            services.sleep(pause * services.jitter())
            snapshot = _read_again(services, snapshot)
        missing = [block for block in needed if block not in snapshot.blocks]
        snapshot = services.stores.rollouts.get_blocks(snapshot, missing) if missing else snapshot
        try:
            return _decide_and_store(services, snapshot, decide)
        except LostRaceError:
            continue
    raise LostRaceError(
        f"Rollout {snapshot.rollout.id} was changed by other requests {MAX_ATTEMPTS} times in a"
        " row; try again."
    )


def _decide_and_store(services: Services, snapshot: Snapshot, decide: Decide) -> Snapshot:
    moment = services.moment(snapshot.rollout)
    adopted = _adopt_times(moment, snapshot)
    change = decide(moment, adopted)
    if change is None:
        return snapshot
    before, changed = snapshot.rollout, _changed_blocks(snapshot, adopted, change)
    blocks = later_rollouts.skip_queued(services, moment, change.rollout, snapshot.blocks, changed)
    rollout, blocks = ledger.record_changes(
        moment, change.rollout, snapshot.blocks, blocks, change.observed
    )
    rollout = waves.settle(rollout, moment.now)
    quarantine.record_ends(services, rollout, snapshot.blocks, blocks)
    if rollout == before and not blocks:
        return snapshot
    kept, older_events = audit.spill_events(
        replace(
            rollout,
            revision=before.revision + 1,
            start_clock=start_clock.advance(before, moment.now),
        ),
        MAX_EVENTS_IN_ROLLOUT,
    )
    return event_feed.save(services, snapshot, kept, list(blocks.values()), older_events)


def _adopt_times(moment: Moment, snapshot: Snapshot) -> Snapshot:
    """Let devices adopt a soak or timeout that was changed since their block was written."""
    rollout = snapshot.rollout
    if not rollout.soak_revision and not rollout.timeout_revision:
        return snapshot
    adopted = {
        number: adopting.adopt_times(moment, block, rollout.block_summaries[number].revision)
        for number, block in snapshot.blocks.items()
    }
    return replace(snapshot, blocks=adopted)


def _changed_blocks(snapshot: Snapshot, adopted: Snapshot, change: Change) -> Mapping[int, Block]:
    """Return the blocks that a decision changed, and the observed ones that adopted times."""
    observed = {
        number: adopted.blocks[number]
        for number in change.observed
        if adopted.blocks[number] is not snapshot.blocks[number]
    }
    return {**observed, **change.blocks}


def _read_again(services: Services, old: Snapshot) -> Snapshot:
    """Read the rollout again, and keep the blocks that were not changed since."""
    return keep_blocks(get_snapshot(services.stores.rollouts, old.rollout.id), old)


def keep_blocks(new: Snapshot, old: Snapshot) -> Snapshot:
    """Add the blocks of an older snapshot that were not changed since."""
    if new.rollout.wave_ends != old.rollout.wave_ends:
        return new
    unchanged = {
        number: block
        for number, block in old.blocks.items()
        if number not in new.blocks
        and new.rollout.block_summaries[number].revision
        == old.rollout.block_summaries[number].revision
    }
    return replace(new, blocks={**unchanged, **new.blocks})
