"""Make what is first stored of a new rollout: its record, its blocks, the claims of a small one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from functions.rollouts.model.block import Block, blocks_for, untouched_summaries
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.rollout import (
    freeze_matches,
    ledger,
    ready_devices,
    starts,
    strata,
    waves,
)
from functions.use_cases import before_claims, draft, freeze, quarantine, resolve_target
from functions.use_cases.services import Services
from functions.use_cases.target_devices import FoundDevices

_NO_BLOCK = Block(0, ())


@dataclass(frozen=True, slots=True)
class FirstRecords:
    """A rollout as it is first stored."""

    rollout: Rollout
    blocks: Sequence[Block] = ()
    # Claimed updates of the first block, by index; they are invoked right after the rollout is
    # stored.
    claimed: Mapping[int, DeviceUpdate] = field(default_factory=dict)
    before_claims: Block = _NO_BLOCK  # the first block


def make_records(
    services: Services, request: NewRollout, found: FoundDevices, rollout_id: str
) -> FirstRecords:
    """Make the records of a rollout of the devices that were found."""
    now = services.clock()
    load = HubLoad(queries=found.queries)
    rollout = draft.draft_rollout(request, rollout_id, now).with_hub_load(load)
    if not found.complete:
        return FirstRecords(replace(rollout, resolution=_begin_resolution(request, found)))
    new_waves = draft.make_waves(request, len(found.devices))
    device_ids = draft.order_devices(rollout, found.devices, new_waves)
    found_strata = strata.find_strata(request.strategy, found.devices)
    blocks = draft.make_blocks(
        rollout,
        device_ids,
        new_waves,
        now=now,
        package_keys=request.package_keys,
        strata=found_strata,
    )
    summaries = untouched_summaries(blocks_for(len(device_ids)))
    rollout = strata.add_strata(rollout, found_strata, device_ids, new_waves)
    rollout = replace(rollout, block_summaries=summaries)
    rollout = waves.settle(rollout, now)
    return FirstRecords(rollout, blocks)


def _begin_resolution(request: NewRollout, found: FoundDevices) -> TargetResolution:
    """Return how far the target of a large rollout is resolved.

    Raises InvalidError if the waves need more devices than the request lists.
    """
    count = len(found.devices)
    is_list = request.condition is None
    if is_list:
        draft.make_waves(request, count)
    parts = len(resolve_target.split_target(found.devices))
    return TargetResolution(
        parts=parts,
        listed_parts=parts if is_list else 0,
        devices=count,
        cursor=found.cursor,
        gathered=is_list and not request.strategy.stratify_by,
    )


def claim_devices(
    services: Services, rollout: Rollout, block: Block, twins: Mapping[str, DeviceTwin]
) -> FirstRecords:
    """Lease and claim the first devices in memory, before the rollout is stored."""
    moment = services.moment(rollout)
    changed, leases = starts.lease_batches(rollout, moment.now, len(block.updates))
    ids = [item.device_id for item in block.updates]
    frozen = freeze.find_frozen(services, rollout, ids)
    after = block
    claimed: dict[int, DeviceUpdate] = {}
    for lease in leases:
        changed, _ = starts.take_lease(changed, lease.number)
        result = before_claims.claim_devices(
            services, moment, after, lease.devices, twins, frozen=frozen
        )
        changed = ready_devices.return_devices(changed, 0, result.returned)
        changed = freeze_matches.record_matches(changed, result.block, result.frozen, moment.now)
        changed = quarantine.add_skipped_event(changed, moment, result.quarantined)
        after = result.block
        claimed |= result.updates
    load = replace(changed.measured.hub_load, starts=len(claimed))
    changed = changed.with_hub_load(load)
    counted, blocks = ledger.record_changes(moment, changed, {0: block}, {0: after})
    # The block's summary names the next revision, so the rollout is stored with that.
    first = replace(counted, revision=counted.revision + 1)
    return FirstRecords(first, list(blocks.values()), claimed, block)
