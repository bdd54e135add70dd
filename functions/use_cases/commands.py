"""Pause, resume, cancel, approve and retry a rollout, on behalf of a caller."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import batched

from functions.errors import ConflictError
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.use_cases.cancel_queued import cancel_queued_devices
from functions.use_cases.commit import Change, commit
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

type Command = Callable[[Rollout, datetime, Caller], Rollout]


def run_command(services: Services, rollout_id: str, command: Command, caller: Caller) -> Rollout:
    """Carry out a command of `steering` that changes the rollout alone: pause, resume, approve.

    When it returns, it is in force: whatever was read before can no longer be stored. Raises
    UnknownError, ConflictError (the status does not allow it), StorageUnavailableError.
    """
    return _commanded(
        services, get_snapshot(services.stores.rollouts, rollout_id), command, caller
    ).rollout


def cancel(services: Services, rollout_id: str, caller: Caller) -> Rollout:
    """Cancel. Nothing starts any more; the queued devices of a large rollout follow by the timer.

    Raises as `steer`.
    """
    snapshot = _commanded(
        services,
        get_snapshot(services.stores.rollouts, rollout_id),
        operator_commands.cancel,
        caller,
    )
    small = snapshot.rollout.total <= BLOCK_SIZE
    return (cancel_queued_devices(services, snapshot) if small else snapshot).rollout


def retry(
    services: Services, rollout_id: str, caller: Caller, package_uri: str | None = None
) -> Rollout:
    """Queue the failed devices again, each with its next attempt. Raises as `steer`.

    `package_uri` is where the same package is from now on.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    before = snapshot.rollout.firmware
    with_failed = services.stores.rollouts.list_blocks_with(rollout_id, [DeviceState.FAILED])
    parts = [list(part) for part in batched(with_failed, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    command: Command | None = partial(operator_commands.retry, package_uri=package_uri)
    for part in parts:
        snapshot = _queued_again(services, snapshot, part, command, caller)
        command = None
    if package_uri is not None and services.stores.catalogue.get(before.version) == before:
        # A later rollback to this version would look for the package where it was.
        services.stores.catalogue.save(snapshot.rollout.firmware)
    return snapshot.rollout


def _queued_again(
    services: Services,
    snapshot: Snapshot,
    part: Sequence[int],
    command: Command | None,
    caller: Caller,
) -> Snapshot:
    """The command itself is stored together with the first blocks; the others follow, in parts."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        rollout = (
            _allowed(command, stored.rollout, moment.now, caller) if command else stored.rollout
        )
        again = partial(operator_commands.requeue, moment)
        return Change(rollout, {number: stored.blocks[number].apply(again) for number in part})

    return commit(services, snapshot, decide, part)


def _commanded(
    services: Services, snapshot: Snapshot, command: Command, caller: Caller
) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        return Change(_allowed(command, stored.rollout, moment.now, caller))

    return commit(services, snapshot, decide)


def _allowed(command: Command, rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    try:
        return command(rollout, now, caller)
    except NotAllowedError as error:
        raise ConflictError(str(error)) from None
