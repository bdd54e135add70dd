"""Read and lock the devices of a batch before they are claimed.

`dispatch` claims the devices of a batch, `create` those of a small rollout.
"""

from collections.abc import Callable, Mapping, Sequence

from functions.hub_gateway.port import HubGateway
from functions.rollouts.device import leaving, reports, versions
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.rollout import claiming
from functions.rollouts.rollout.claiming import ClaimResult
from functions.use_cases import conflicts, quarantine
from functions.use_cases.device_locks import lock_device
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
    open_ids = services.stores.rollouts.list_open_ids()
    earlier = conflicts.find_earlier(services, open_ids, rollout_id, device_ids)
    updating = conflicts.find_updating(services.stores, earlier)
    return {device_id: other for other, found in updating.items() for device_id in found}
