"""Send the direct method to devices: a batch from the queue, or the devices of a small rollout.

hand-out --claimed, stored--> method --> outcome, stored
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from functions.dispatch_queue.port import Batch
from functions.errors import UnavailableError
from functions.hub_gateway.port import HubGateway, Invocations
from functions.rollout_store.port import Snapshot
from functions.rollouts import asking, claiming, moves, reports, starts
from functions.rollouts.claiming import Claimed
from functions.rollouts.device_update import (
    DeviceState,
    DeviceTwin,
    DeviceUpdate,
    ErrorCode,
)
from functions.rollouts.moves import Moment
from functions.rollouts.rollout import Block, HandOut, Rollout
from functions.use_cases.commit import Change, commit
from functions.use_cases.device_turns import taken_by_another
from functions.use_cases.purse import READ_ONE_BY_ONE_AT_MOST
from functions.use_cases.services import Services

METHOD = "firmwareUpdate"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claims:
    """The devices of one block that were claimed, by their place in it."""

    block: int
    updates: Mapping[int, DeviceUpdate]


def dispatch(services: Services, batch: Batch) -> None:
    """Send the methods of one batch. The same batch again, or an outdated one, does nothing.

    When hub or storage cannot be reached, the batch is left: the timer hands its devices out
    again. Whatever else goes wrong is raised, so that the queue tries again.
    """
    try:
        _dispatch(services, batch)
    except UnavailableError as error:
        _log.warning("rollout %s: batch left for later: %s", batch.rollout_id, error)


def give_up(services: Services, batch: Batch, why: str) -> None:
    """Fail the devices of a batch that could not be sent however often it was tried.

    Those of a hand-out that is known no longer were asked, or are handed out again.
    """
    snapshot = services.store.snapshot(batch.rollout_id)
    if snapshot is None or _hand_out(snapshot, batch) is None:
        _log.error("rollout %s has no such batch; it is dropped", batch.rollout_id)
        return

    def decide(at: Moment, now_stored: Snapshot) -> Change | None:
        rollout, found = starts.taken_up(now_stored.rollout, batch.hand_out)
        if found is None:
            return None
        block = now_stored.blocks[batch.block]

        def failed(update: DeviceUpdate) -> DeviceUpdate:
            queued = update.state is DeviceState.QUEUED
            return moves.failed(at, update, ErrorCode.UNREACHABLE, why) if queued else update

        changed = block.changed(failed, starts.places(found.members))
        return Change(rollout, {block.number: changed})

    commit(services, snapshot, decide, [batch.block])
    _log.error("rollout %s block %d: %s", batch.rollout_id, batch.block, why)


def _dispatch(services: Services, batch: Batch) -> None:
    snapshot = services.store.snapshot(batch.rollout_id)
    if snapshot is None or _hand_out(snapshot, batch) is None:
        _log.info("rollout %s: batch %d is outdated", batch.rollout_id, batch.hand_out)
        return
    snapshot = services.store.with_blocks(snapshot, [batch.block])
    at = services.moment(snapshot.rollout)
    updates = snapshot.blocks[batch.block].updates
    asked = [updates[place] for place in starts.places(batch.members)]
    startable = [item for item in asked if claiming.may_start(at, item)]
    twins = _baseline_twins(services.hub, [item.device_id for item in startable])
    held_by = _held_by(services, at, startable, twins)
    snapshot, claims = _claimed(services, snapshot, batch, twins, held_by)
    send(services, snapshot, claims)


def _hand_out(snapshot: Snapshot, batch: Batch) -> HandOut | None:
    """What the batch stands for, if that is still to be sent."""
    _, found = starts.taken_up(snapshot.rollout, batch.hand_out)
    return found if found is not None and found.block == batch.block else None


def send(services: Services, snapshot: Snapshot, claims: Claims) -> Snapshot:
    """Invoke the method of each claimed device update, and store how they ended, together.

    Raises StorageUnavailableError; what was not stored is settled later, as after a crash.
    """
    if not claims.updates:
        return snapshot
    rollout = snapshot.rollout
    payloads = {item.device_id: payload(rollout, item) for item in claims.updates.values()}
    called = services.hub.invoke_all(METHOD, payloads)

    def decide(at: Moment, now_stored: Snapshot) -> Change:
        block = now_stored.blocks[claims.block]

        def answered(update: DeviceUpdate) -> DeviceUpdate:
            claimed = by_id[update.device_id]
            outcome = called.outcomes[update.device_id]
            return asking.answered(at, update, claimed.attempt, outcome)

        changed = block.changed(answered, claims.updates)
        return Change(_with_traffic(now_stored.rollout, called), {block.number: changed})

    by_id = {item.device_id: item for item in claims.updates.values()}
    return commit(services, snapshot, decide, [claims.block])


def claim_now(
    services: Services, at: Moment, block: Block, members: int, twins: Mapping[str, DeviceTwin]
) -> Claimed:
    """Claim the devices of a hand-out that is not stored yet."""
    asked = [block.updates[place] for place in starts.places(members)]
    return claiming.claimed(at, block, members, twins, _held_by(services, at, asked, twins))


def payload(rollout: Rollout, update: DeviceUpdate) -> dict[str, Any]:
    """As in docs/how-it-works.md; a device may ignore everything but `fwPackageUri`."""
    firmware = rollout.firmware_for(update)
    optional = {
        "sha256": firmware.sha256,
        "sizeBytes": firmware.size_bytes,
        "manifest": firmware.manifest,
    }
    return {
        "fwPackageUri": firmware.package_uri,
        "rolloutId": rollout.id,
        "attempt": update.attempt,
        "version": firmware.version,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _baseline_twins(hub: HubGateway, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
    """What the twins hold before the methods are sent.

    A query will do for devices that name the rollout in their reports; for those that do not,
    an old report could pass for a new one, so their twins are read fresh.
    """
    if len(device_ids) <= READ_ONE_BY_ONE_AT_MOST:
        return hub.fresh_twins(device_ids) if device_ids else {}
    twins = hub.twins(device_ids)
    unsure = [
        device_id
        for device_id in device_ids
        if device_id not in twins or not reports.recognises_repeats(twins[device_id])
    ]
    return {**twins, **(hub.fresh_twins(unsure) if unsure else {})}


def _held_by(
    services: Services,
    at: Moment,
    updates: Sequence[DeviceUpdate],
    twins: Mapping[str, DeviceTwin | None],
) -> Mapping[str, str]:
    """Of devices that cannot refuse a second update: the other rollout that has them in hand."""
    held_by: dict[str, str] = {}
    for update in updates:
        twin = twins.get(update.device_id)
        if twin is None or update.in_doubt or reports.recognises_repeats(twin):
            continue
        other = taken_by_another(services.store, at.rollout.id, update.device_id, at.now)
        if other is not None:
            held_by[update.device_id] = other
    return held_by


def _claimed(
    services: Services,
    snapshot: Snapshot,
    batch: Batch,
    twins: Mapping[str, DeviceTwin | None],
    held_by: Mapping[str, str],
) -> tuple[Snapshot, Claims]:
    """Store each update as claimed that may start at this very moment; the others go back."""
    claims = Claims(batch.block, {})

    def decide(at: Moment, now_stored: Snapshot) -> Change | None:
        nonlocal claims
        claims = Claims(batch.block, {})
        rollout, found = starts.taken_up(now_stored.rollout, batch.hand_out)
        if found is None:
            return None
        block = now_stored.blocks[batch.block]
        after = claiming.claimed(at, block, found.members, twins, held_by)
        claims = Claims(batch.block, after.updates)
        rollout = starts.returned(rollout, batch.block, after.returned, repeat=found.repeat)
        return Change(rollout, {batch.block: after.block})

    snapshot = commit(services, snapshot, decide, [batch.block])
    return snapshot, claims


def _with_traffic(rollout: Rollout, called: Invocations) -> Rollout:
    """What was seen of the hub, for the next tick's pacing."""
    before = rollout.traffic
    seen = replace(
        before,
        methods=before.methods + len(called.outcomes),
        throttled=before.throttled + called.throttled,
        seconds=max(before.seconds, called.seconds),
    )
    return replace(rollout, traffic=seen)
