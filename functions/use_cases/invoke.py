"""Invoke the direct method on devices: the reads before their claims, the calls after them.

`dispatch` claims the devices of a batch, `create` those of a small rollout.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import HubGateway, Invocations
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import invoking, leaving, moves, reports, versions
from functions.rollouts.device.device_method import METHOD, payload
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import Lost, MethodOutcome, NotDelivered, Responded
from functions.rollouts.model.quotas import REPORTS_PER_UPDATE
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.usage import Usage
from functions.rollouts.rollout import breaker, claiming, control_group
from functions.rollouts.rollout.claiming import ClaimResult
from functions.rollouts.rollout.control_group import Control
from functions.use_cases import conflicts, control_groups, package_links, quarantine, usage
from functions.use_cases.commit import Change, commit
from functions.use_cases.device_locks import MAX_UNCHECKED, lock_device
from functions.use_cases.send_permission import SendPermission
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import MAX_SINGLE_READS


def claim_devices(
    services: Services,
    moment: Moment,
    block: Block,
    devices: DeviceSet,
    twins: Mapping[str, DeviceTwin],
    *,
    frozen: frozenset[str],
) -> ClaimResult:
    """Claim devices of a block that is not stored yet. `frozen` match a freeze's condition."""
    updates = [block.updates[index] for index in devices]
    updates = [update for update in updates if update.device_id not in frozen]
    locked_by = lock_devices(services, moment, updates, twins)
    return claiming.claim_batch(
        moment,
        block,
        devices,
        twins,
        locked_by,
        superseded={},
        frozen=frozen,
        quarantined=quarantine.find(
            services, moment.rollout, [item.device_id for item in block.updates]
        ),
    )


def read_baseline_twins(
    hub: HubGateway,
    moment: Moment,
    updates: Sequence[DeviceUpdate],
    before_single_reads: Callable[[int], None] = lambda _: None,
) -> Mapping[str, DeviceTwin | None]:
    """Read the twins as they are before the methods, by device id.

    A query suffices for devices whose reports name their rollout. For other devices an old report
    could pass for a new one, so their twins are read singly. So are those of devices that are to be
    skipped, or may be gone, and those of a rollout that follows closely on another one. A twin that
    must be read singly and could not be is missing. `before_single_reads` is called with the number
    of these.
    """
    if len(updates) <= MAX_SINGLE_READS or moment.rollout.needs_fresh_twins:
        if len(updates) > MAX_SINGLE_READS:
            before_single_reads(len(updates))
        return hub.read_twins([item.device_id for item in updates]) if updates else {}
    queried = hub.query_twins([item.device_id for item in updates])
    suffices = {
        item.device_id: queried[item.device_id]
        for item in updates
        if not leaving.is_gone(queried.get(item.device_id))
        and reports.recognises_repeats(queried[item.device_id])
        and not versions.may_skip(moment, item, queried[item.device_id])
    }
    to_read = [item.device_id for item in updates if item.device_id not in suffices]
    before_single_reads(len(to_read))
    return {**suffices, **(hub.read_twins(to_read) if to_read else {})}


def lock_devices(
    services: Services,
    moment: Moment,
    updates: Sequence[DeviceUpdate],
    twins: Mapping[str, DeviceTwin | None],
) -> Mapping[str, str]:
    """Lock the devices that cannot refuse a second update.

    Return the other rollout that keeps a device, by device id; empty if none does. A device that is
    to be skipped needs no lock, but another rollout's update of it must end first: it may install
    another version.
    """
    rollout_id, to_skip, kept_by = moment.rollout.id, [], dict[str, str]()
    for update in updates:
        twin = twins.get(update.device_id)
        if twin is None:
            continue
        if versions.may_skip(moment, update, twin):
            to_skip.append(update.device_id)
        elif not update.in_doubt and not reports.recognises_repeats(twin):
            now = services.clock()
            other = lock_device(services.stores, rollout_id, update.device_id, now, twin)
            kept_by |= {update.device_id: other} if other else {}
    return {**kept_by, **_find_updating(services, rollout_id, to_skip)}


def _find_updating(
    services: Services, rollout_id: str, device_ids: Sequence[str]
) -> Mapping[str, str]:
    """Find the earlier rollout that may be updating a device now, by device id."""
    if not device_ids:
        return {}
    earlier = conflicts.find_earlier(services, rollout_id, device_ids)
    updating = conflicts.find_updating(services.stores, earlier)
    return {device_id: other for other, found in updating.items() for device_id in found}


def invoke_claimed(
    services: Services,
    snapshot: Snapshot,
    before: Block,
    claimed: Mapping[int, DeviceUpdate],
    locked_at: datetime,
    *,
    is_running: bool = True,
) -> Snapshot:
    """Invoke the method for each claimed device update, then store all outcomes together.

    `claimed` are updates of one block, by index; `before` is the block before their claims. No
    device lock of theirs is older than `locked_at`. `is_running` is False if the rollout stopped
    after the claims, and nothing is to be sent. What was not sent, because the rollout stopped, no
    thread was free or no link to the package could be made, is taken back. Raises
    StorageUnavailableError; the next ticks settle the outcomes that were not stored, as after a
    crash.
    """
    if not claimed:
        return snapshot
    rollout, number = snapshot.rollout, before.number
    attempts = {item.device_id: item.attempt for item in claimed.values()}
    earlier = {before.updates[index].device_id: before.updates[index] for index in claimed}
    lost = _lock_again(services, rollout.id, claimed.values(), locked_at)
    payloads = {
        item.device_id: payload(rollout, item)
        for item in claimed.values()
        if item.device_id not in lost
    }
    signed = package_links.sign(services, rollout, payloads)
    may_send = SendPermission(services, rollout, is_running=is_running)
    invocations = services.hub.invoke_all(METHOD, signed.payloads, may_send, rollout.id)
    sent = [item for item in claimed.values() if item.device_id in invocations.outcomes]
    services.telemetry.record_started(rollout, sent)
    is_hubs_failure = breaker.blame_hub(rollout, invocations.outcomes.values())
    responses = {name: signed.hide_link(name, item) for name, item in invocations.outcomes.items()}
    outcomes = {**responses, **lost}

    def record_outcome(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
        device_id = update.device_id
        outcome = outcomes.get(device_id)
        if outcome is None:
            return moves.take_back(moment, update, earlier[device_id])
        if is_hubs_failure and isinstance(outcome, Lost):
            outcome = replace(outcome, hub_failed=True)
        return invoking.record_outcome(moment, update, attempts[device_id], outcome)

    suspects = [
        index for index, item in claimed.items() if not _has_accepted(outcomes.get(item.device_id))
    ]
    controls = _compare(services, snapshot, number, suspects, record_outcome)
    with usage.take_usage(services.hub) as used:

        def decide(moment: Moment, stored: Snapshot) -> Change:
            rollout = control_group.judge(stored.rollout, controls, moment.now)
            now = replace(moment, rollout=rollout)
            changed = stored.blocks[number].apply(partial(record_outcome, now), claimed)
            rollout = package_links.pause(rollout, moment.now, signed.refusal)
            return Change(_add_load(rollout, invocations, used), {number: changed})

        return commit(services, snapshot, decide, [number])


def _compare(
    services: Services,
    snapshot: Snapshot,
    number: int,
    suspects: Sequence[int],
    record_outcome: Callable[[Moment, DeviceUpdate], DeviceUpdate],
) -> Sequence[Control]:
    """Compare devices that are about to fail as unreachable with their control groups.

    `suspects` are the indexes of the claimed devices that may be.
    """
    if not suspects:
        return ()
    moment = services.moment(snapshot.rollout)
    before = snapshot.blocks[number]
    after = before.apply(partial(record_outcome, moment), suspects)
    strata = control_group.find_suspects(before, after)
    try:
        found = sorted(strata, key=lambda stratum: stratum or 0)
        return control_groups.read(
            services.hub, services.stores.rollouts, snapshot, found, moment.now
        )
    except HubUnavailableError:
        return ()


def _has_accepted(outcome: MethodOutcome | None) -> bool:
    return isinstance(outcome, Responded) and outcome.response.accepts


def _lock_again(
    services: Services, rollout_id: str, claimed: Iterable[DeviceUpdate], locked_at: datetime
) -> Mapping[str, NotDelivered]:
    """Lock the claimed devices again if a lock may have ended before its claim was stored.

    Return an outcome for each device that another rollout has locked since.
    """
    if services.clock() < locked_at + MAX_UNCHECKED:
        return {}
    lost: dict[str, NotDelivered] = {}
    for update in claimed:
        if update.baseline.recognises_repeats:
            continue
        other = lock_device(services.stores, rollout_id, update.device_id, services.clock())
        if other is not None:
            lost[update.device_id] = NotDelivered(f"The device is busy with rollout {other}.")
    return lost


def _add_load(rollout: Rollout, invocations: Invocations, used: Usage) -> Rollout:
    """Add the load of the invocations to the rollout, for the next tick's budget.

    Devices that accepted will report, which the app does not see.
    """
    accepted = sum(
        isinstance(outcome, Responded) and outcome.response.status < 300  # noqa: PLR2004 - as in HTTP
        for outcome in invocations.outcomes.values()
    )
    before = breaker.measure(invocations.outcomes.values(), rollout.measured.hub_load)
    load = replace(
        before,
        methods=before.methods + len(invocations.outcomes),
        throttled=before.throttled + invocations.throttled,
        seconds=max(before.seconds, invocations.seconds),
        usage=before.usage + used + Usage(reports=accepted * REPORTS_PER_UPDATE),
    )
    return rollout.with_hub_load(load)
