"""Change a rollout: read, decide, count, write.

Every change takes this way once `resolve_target` has resolved the rollout's target.

A decision is a pure function of what was read. A device that a decision queues is skipped if a
later rollout has it. If another request has changed the rollout before the write, the rollout is
read again and the decision is made again. So a device's report never undoes a command, and a
command never undoes a report.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from functions.errors import LostRaceError
from functions.rollout_store.ports.rollouts import (
    MAX_BLOCKS_PER_SAVE,
    MAX_EVENTS_IN_ROLLOUT,
    Snapshot,
)
from functions.rollouts.device import adopting
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import audit
from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import ledger, start_clock, waves
from functions.use_cases import event_feed, later_rollouts, quarantine
from functions.use_cases.commit_queue import Waiting
from functions.use_cases.latest_snapshots import keep_blocks
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

# Attempts to store one change. Whenever one fails, another change was stored.
MAX_ATTEMPTS = 60
# Changes that one write stores at most, so that their audit events fit into one row.
MAX_CHANGES_PER_SAVE = 16
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


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of one `commit`."""

    services: Services
    snapshot: Snapshot
    decide: Decide
    needed: Sequence[int]


type _Waiting = Waiting[_Request, Snapshot]


def commit(
    services: Services, snapshot: Snapshot, decide: Decide, needed: Sequence[int] = ()
) -> Snapshot:
    """Store what `decide` changes, and return the snapshot as stored.

    Changes of one rollout that wait in this process are stored together, in order; the snapshot
    then has the later ones too. `needed` are the numbers of the blocks that `decide` reads.
    `decide` may be called several times; the last call's change is stored, or nothing if that is
    None. Raises LostRaceError after MAX_ATTEMPTS attempts, UnknownError, StorageUnavailableError.
    """
    request = _Request(services, snapshot, decide, needed)
    stored: Snapshot = services.commits.run(snapshot.rollout.id, request, _commit_group)
    return stored


def _commit_group(group: Sequence["_Waiting"]) -> None:
    """Store the changes of one rollout, at least the first one."""
    services = group[0].change.services
    snapshot = services.latest.latest(group[0].change.snapshot)
    for number in range(MAX_ATTEMPTS):
        if number:
            pause = min(_PAUSE_STEP_SECONDS * number, _MAX_PAUSE_SECONDS)
            services.sleep(pause * services.jitter())
            snapshot = _read_again(services, snapshot)
        try:
            _store_group(snapshot, group)
        except LostRaceError:
            services.telemetry.count_lost_race()
            continue
        return
    group[0].fail(
        LostRaceError(
            f"Rollout {snapshot.rollout.id} was changed by other requests {MAX_ATTEMPTS} times in a"
            " row; try again."
        )
    )


def _store_group(snapshot: Snapshot, group: Sequence["_Waiting"]) -> None:
    """Apply changes in order, as many as one write takes, and store them. End those waiting."""
    services, changed = group[0].change.services, snapshot
    applied: list[_Waiting] = []
    failed: list[tuple[_Waiting, BaseException]] = []
    read: dict[int, Block] = {}  # before the first of the changes
    written: dict[int, Block] = {}
    for item in group[:MAX_CHANGES_PER_SAVE]:
        if applied and not _fits(snapshot, changed, {*written, *item.change.needed}):
            break
        try:
            after, blocks, before = _apply(item.change, changed)
        except BaseException as error:  # noqa: BLE001 - the others go on; `commit` raises it
            failed.append((item, error))
            continue
        if applied and not _fits(snapshot, after, {*written, *blocks}):
            break
        changed, written, read = after, {**written, **blocks}, {**before, **read}
        applied.append(item)
    if changed.rollout is not snapshot.rollout:
        kept, older_events = audit.spill_events(changed.rollout, MAX_EVENTS_IN_ROLLOUT)
        changed = event_feed.save(services, snapshot, kept, list(written.values()), older_events)
        services.latest.remember(changed)
        services.telemetry.record_updates(changed.rollout, read, written)
    for item in applied:
        item.succeed(changed)
    # Not before the write: if that loses a race, these are decided again, too.
    for item, raised in failed:
        item.fail(raised)


def _fits(before: Snapshot, after: Snapshot, blocks: Collection[int]) -> bool:
    """Return whether one write takes another change, with these blocks written or needed in all.

    Nothing follows a change of the waves, because the blocks must be read with the new ones.
    """
    same_waves = before.rollout.wave_ends == after.rollout.wave_ends
    return same_waves and len(blocks) <= MAX_BLOCKS_PER_SAVE


def _apply(
    request: "_Request", snapshot: Snapshot
) -> tuple[Snapshot, Mapping[int, Block], Mapping[int, Block]]:
    """Apply one change. Return the changed snapshot and blocks, and the blocks before.

    If nothing changed, return the same snapshot and no blocks.
    """
    services = request.services
    snapshot = services.latest.with_blocks(
        services.stores.rollouts, _with_own_blocks(request, snapshot), request.needed
    )
    moment = services.moment(snapshot.rollout)
    adopted = _adopt_times(moment, snapshot)
    change = request.decide(moment, adopted)
    if change is None:
        return snapshot, {}, {}
    before, changed = snapshot.rollout, _changed_blocks(snapshot, adopted, change)
    blocks = later_rollouts.skip_queued(services, moment, change.rollout, snapshot.blocks, changed)
    rollout, blocks = ledger.record_changes(
        moment, change.rollout, snapshot.blocks, blocks, change.observed
    )
    rollout = waves.settle(rollout, moment.now)
    quarantine.record_ends(services, rollout, snapshot.blocks, blocks)
    if not blocks and rollout == before:
        return snapshot, {}, {}
    rollout = replace(
        rollout,
        revision=before.revision + 1,
        start_clock=start_clock.advance(before, moment.now),
    )
    known = {number: snapshot.blocks[number] for number in blocks if number in snapshot.blocks}
    after = replace(snapshot, rollout=rollout, blocks={**snapshot.blocks, **blocks})
    return after, blocks, known


def _with_own_blocks(request: "_Request", snapshot: Snapshot) -> Snapshot:
    """Add the blocks that the request has read, unless they have changed since."""
    return keep_blocks(snapshot, request.snapshot)


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
