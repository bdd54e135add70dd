"""What a rollout looks like before anything has happened to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, Block, blocks_for
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus
from functions.rollouts.model.target import Target, TargetDevice
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.start_order import WavesError, start_order, wave_sizes


def draft_rollout(request: NewRollout, rollout_id: str, now: datetime) -> Rollout:
    """A rollout whose devices are not known yet."""
    definition = Definition(
        firmware=request.firmware,
        target=Target(condition=request.condition),
        strategy=request.strategy,
        labels=request.labels,
        created_at=now,
        created_by=request.created_by,
        start_at=request.start_at,
        rollback_of=request.rollback_of,
        earlier_firmware=request.earlier_firmware,
    )
    rollout = Rollout(id=rollout_id, definition=definition, status=RolloutStatus.SCHEDULED)
    what = f"Firmware {request.firmware.version}.{request.remark}"
    return add_event(rollout, now, "created", what, request.created_by)


def make_waves(request: NewRollout, total: int) -> tuple[Wave, ...]:
    """Raises InvalidError when the waves ask for more devices than there are."""
    try:
        return wave_sizes(request.strategy.waves, total)
    except WavesError as error:
        field_error = FieldError("/strategy/waves", str(error))
        raise InvalidError("The strategy's waves do not fit the target.", [field_error]) from error


def order_devices(
    rollout: Rollout, members: Sequence[TargetDevice], waves: Sequence[Wave]
) -> Sequence[str]:
    """The device ids in the order of the start."""
    return start_order(rollout.id, members, [wave.size for wave in waves])


def make_blocks(
    rollout: Rollout,
    order: Sequence[str],
    waves: Sequence[Wave],
    *,
    now: datetime,
    versions: Mapping[str, str],
    first: int = 0,
    count: int | None = None,
) -> Sequence[Block]:
    """The blocks from number `first` on, at most `count`, all their devices queued."""
    end = blocks_for(len(order)) if count is None else min(first + count, blocks_for(len(order)))
    own = rollout.firmware.version
    queued = HistoryEntry(DeviceState.QUEUED, 1, now, "The rollout was created.")
    history = (queued,)

    def update(place: int) -> DeviceUpdate:
        device_id = order[place]
        version = versions.get(device_id)
        return DeviceUpdate(
            device_id=device_id,
            wave=next(n for n, wave in enumerate(waves) if place < wave.first + wave.size),
            queued_at=now,
            updated_at=now,
            version=None if version == own else version,
            history=history,
        )

    return [
        Block(
            number,
            tuple(
                update(place)
                for place in range(number * BLOCK_SIZE, min((number + 1) * BLOCK_SIZE, len(order)))
            ),
        )
        for number in range(first, end)
    ]
