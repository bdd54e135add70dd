"""Make the records of a rollout that has not begun."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, Block, blocks_for
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollback import read_package_key
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus
from functions.rollouts.model.target import Target, TargetDevice
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.start_order import WavesError, plan_waves, start_order
from functions.rollouts.rollout.strata import Strata


def draft_rollout(request: NewRollout, rollout_id: str, now: datetime) -> Rollout:
    """Make a scheduled rollout without devices."""
    definition = Definition(
        firmware=request.firmware,
        target=Target(condition=request.condition, joiners=request.joiners),
        strategy=request.strategy,
        labels=request.labels,
        created_at=now,
        created_by=request.created_by,
        start_at=request.start_at,
        rollback_of=request.rollback_of,
        earlier_firmware=request.earlier_firmware,
        key_hash=request.key_hash,
    )
    rollout = Rollout(id=rollout_id, definition=definition, status=RolloutStatus.SCHEDULED)
    message = f"Firmware {request.firmware.version}.{request.remark}"
    return add_event(rollout, now, "created", message, request.created_by.name)


def make_waves(request: NewRollout, total: int) -> tuple[Wave, ...]:
    """Make the waves of `total` devices.

    Raises InvalidError if the waves need more devices than that.
    """
    try:
        return plan_waves(request.strategy.waves, total)
    except WavesError as error:
        field_error = FieldError("/strategy/waves", str(error))
        raise InvalidError("The strategy's waves do not fit the target.", [field_error]) from error


def order_devices(
    rollout: Rollout, devices: Sequence[TargetDevice], waves: Sequence[Wave]
) -> Sequence[str]:
    """Return the device ids in start order."""
    return start_order(rollout.id, devices, [wave.size for wave in waves])


def make_blocks(
    rollout: Rollout,
    order: Sequence[str],
    waves: Sequence[Wave],
    *,
    now: datetime,
    package_keys: Mapping[str, str],
    strata: Strata,
    first: int = 0,
    count: int | None = None,
) -> Sequence[Block]:
    """Make blocks of queued devices, from number `first` on; at most `count` if it is given.

    `order` are the device ids in start order. `package_keys` name the package of each device of a
    rollback, by device id.
    """
    end = blocks_for(len(order)) if count is None else min(first + count, blocks_for(len(order)))
    main_version = rollout.firmware.version
    history = (HistoryEntry(DeviceState.QUEUED, 1, now, "The rollout was created."),)

    def make_update(position: int) -> DeviceUpdate:
        device_id = order[position]
        key = package_keys.get(device_id, main_version)
        version, package = read_package_key(key)
        return DeviceUpdate(
            device_id=device_id,
            wave=next(n for n, wave in enumerate(waves) if position < wave.first + wave.size),
            queued_at=now,
            updated_at=now,
            version=None if key == main_version else version,
            package=package,
            stratum=strata.index_by_device.get(device_id),
            history=history,
        )

    def make_block(number: int) -> Block:
        begin = number * BLOCK_SIZE
        positions = range(begin, min(begin + BLOCK_SIZE, len(order)))
        return Block(number, tuple(map(make_update, positions)))

    return [make_block(number) for number in range(first, end)]
