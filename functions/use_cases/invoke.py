"""Invoke the direct method on claimed devices, and store the outcomes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import Invocations
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import invoking, moves
from functions.rollouts.device.device_method import METHOD, payload
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import Lost, MethodOutcome, NotDelivered, Responded
from functions.rollouts.model.quotas import REPORTS_PER_UPDATE
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.usage import Usage
from functions.rollouts.rollout import breaker, control_group
from functions.rollouts.rollout.outage_chance import Control
from functions.use_cases import control_groups, package_links, usage
from functions.use_cases.commit import Change, commit
from functions.use_cases.device_locks import MAX_UNCHECKED, lock_device
from functions.use_cases.send_permission import SendPermission
from functions.use_cases.services import Services


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the methods of claimed updates ended, by device id."""

    attempts: Mapping[str, int]
    before: Mapping[str, DeviceUpdate]  # before the claims
    outcomes: Mapping[str, MethodOutcome]  # a device whose method was not sent is missing
    is_hubs_failure: bool  # silence is the hub's failure, and not the device's

    def record(self, moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
        """Record the outcome of an update, or take its claim back if its method was not sent."""
        device_id = update.device_id
        outcome = self.outcomes.get(device_id)
        if outcome is None:
            return moves.take_back(moment, update, self.before[device_id])
        if self.is_hubs_failure and isinstance(outcome, Lost):
            outcome = replace(outcome, hub_failed=True)
        return invoking.record_outcome(moment, update, self.attempts[device_id], outcome)


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
    lost = _lock_again(services, rollout.id, claimed.values(), locked_at)
    wanted = [item for item in claimed.values() if item.device_id not in lost]
    signed = package_links.sign(
        services, rollout, {item.device_id: payload(rollout, item) for item in wanted}
    )
    may_send = SendPermission(services, rollout, is_running=is_running)
    invocations = services.hub.invoke_all(METHOD, signed.payloads, may_send, rollout.id)
    sent = [item for item in wanted if item.device_id in invocations.outcomes]
    services.telemetry.record_started(rollout, sent)
    responses = {name: signed.hide_link(name, item) for name, item in invocations.outcomes.items()}
    ended = _Ended(
        attempts={item.device_id: item.attempt for item in claimed.values()},
        before={before.updates[index].device_id: before.updates[index] for index in claimed},
        outcomes={**responses, **lost},
        is_hubs_failure=breaker.blame_hub(rollout, invocations.outcomes.values()),
    )
    controls = _compare(services, snapshot, number, claimed, ended)
    with usage.take_usage(services.hub) as used:

        def decide(moment: Moment, stored: Snapshot) -> Change:
            rollout = control_group.judge(stored.rollout, controls, moment.now)
            now = replace(moment, rollout=rollout)
            changed = stored.blocks[number].apply(partial(ended.record, now), claimed)
            rollout = package_links.pause(rollout, moment.now, signed.refusal)
            return Change(_add_load(rollout, invocations, used), {number: changed})

        return commit(services, snapshot, decide, [number])


def _compare(
    services: Services,
    snapshot: Snapshot,
    number: int,
    claimed: Mapping[int, DeviceUpdate],
    ended: _Ended,
) -> Sequence[Control]:
    """Compare devices that are about to fail as unreachable with their control groups."""
    suspects = [
        index
        for index, item in claimed.items()
        if not _has_accepted(ended.outcomes.get(item.device_id))
    ]
    if not suspects:
        return ()
    moment = services.moment(snapshot.rollout)
    before = snapshot.blocks[number]
    after = before.apply(partial(ended.record, moment), suspects)
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
    accepted = sum(map(_has_accepted, invocations.outcomes.values()))
    before = breaker.measure(invocations.outcomes.values(), rollout.measured.hub_load)
    load = replace(
        before,
        methods=before.methods + len(invocations.outcomes),
        throttled=before.throttled + invocations.throttled,
        seconds=max(before.seconds, invocations.seconds),
        usage=before.usage + used + Usage(reports=accepted * REPORTS_PER_UPDATE),
    )
    return rollout.with_hub_load(load)
