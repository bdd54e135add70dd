"""Ask devices to update: what is read before their claims are stored, and what is sent after it.

Which of them are claimed, and where that is stored, differs: a batch's in `dispatch`, those of a
small rollout in `create`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from functions.hub_gateway.port import HubGateway, Invocations
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import invoking, reports
from functions.rollouts.device.device_method import METHOD, payload
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import claiming
from functions.rollouts.rollout.claiming import ClaimResult
from functions.use_cases.commit import Change, commit
from functions.use_cases.device_locks import lock_device
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import MAX_SINGLE_READS


def claim_devices(
    services: Services,
    moment: Moment,
    block: Block,
    devices: DeviceSet,
    twins: Mapping[str, DeviceTwin],
) -> ClaimResult:
    """Claim the devices of a hand-out that is not stored yet."""
    asked = [block.updates[index] for index in devices]
    return claiming.claim_batch(
        moment, block, devices, twins, lock_devices(services, moment, asked, twins)
    )


def read_baseline_twins(
    hub: HubGateway, device_ids: Sequence[str]
) -> Mapping[str, DeviceTwin | None]:
    """What the twins hold before the methods are sent.

    A query will do for devices that name the rollout in their reports; for those that do not,
    an old report could pass for a new one, so their twins are read fresh.
    """
    if len(device_ids) <= MAX_SINGLE_READS:
        return hub.read_twins(device_ids) if device_ids else {}
    twins = hub.query_twins(device_ids)
    unsure = [
        device_id
        for device_id in device_ids
        if device_id not in twins or not reports.recognises_repeats(twins[device_id])
    ]
    return {**twins, **(hub.read_twins(unsure) if unsure else {})}


def lock_devices(
    services: Services,
    moment: Moment,
    updates: Sequence[DeviceUpdate],
    twins: Mapping[str, DeviceTwin | None],
) -> Mapping[str, str]:
    """Of devices that cannot refuse a second update: the other rollout that has them in hand."""
    found: dict[str, str] = {}
    for update in updates:
        twin = twins.get(update.device_id)
        if twin is None or update.in_doubt or reports.recognises_repeats(twin):
            continue
        other = lock_device(services.stores, moment.rollout.id, update.device_id, moment.now)
        if other is not None:
            found[update.device_id] = other
    return found


def invoke_claimed(
    services: Services, snapshot: Snapshot, block: int, claimed: Mapping[int, DeviceUpdate]
) -> Snapshot:
    """Invoke the method of each claimed device update, and store how they ended, together.

    `claimed` are updates of one block, by their place in it. Raises StorageUnavailableError; what
    was not stored is settled later, as after a crash.
    """
    if not claimed:
        return snapshot
    attempts = {item.device_id: item.attempt for item in claimed.values()}
    payloads = {item.device_id: payload(snapshot.rollout, item) for item in claimed.values()}
    called = services.hub.invoke_all(METHOD, payloads)

    def decide(moment: Moment, now_stored: Snapshot) -> Change:
        def answered(update: DeviceUpdate) -> DeviceUpdate:
            outcome = called.outcomes[update.device_id]
            return invoking.record_outcome(moment, update, attempts[update.device_id], outcome)

        changed = now_stored.blocks[block].apply(answered, claimed)
        return Change(_with_traffic(now_stored.rollout, called), {block: changed})

    return commit(services, snapshot, decide, [block])


def _with_traffic(rollout: Rollout, called: Invocations) -> Rollout:
    """What was seen of the hub, for the next tick's pacing."""
    before = rollout.measured.hub_load
    seen = replace(
        before,
        methods=before.methods + len(called.outcomes),
        throttled=before.throttled + called.throttled,
        seconds=max(before.seconds, called.seconds),
    )
    return rollout.with_hub_load(seen)
