"""Run an operator's command: pause, resume, cancel, approve or retry."""

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
    """Run a command that changes the rollout alone: pause, resume or approve.

    The command is in force when this returns: a change that was decided before it can no longer be
    stored. Raises UnknownError, ConflictError (the status does not allow the command),
    StorageUnavailableError.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    return _run(services, snapshot, command, caller).rollout


def cancel(services: Services, rollout_id: str, caller: Caller) -> Rollout:
    """Cancel the rollout; no device starts any more. Raises as `run_command`.

    In a large rollout the timer cancels the queued devices.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    snapshot = _run(services, snapshot, operator_commands.cancel, caller)
    if snapshot.rollout.total <= BLOCK_SIZE:
        snapshot = cancel_queued_devices(services, snapshot)
    return snapshot.rollout


def retry(
    services: Services, rollout_id: str, caller: Caller, package_uri: str | None = None
) -> Rollout:
    """Queue the failed devices again, each with its next attempt. Raises as `run_command`.

    `package_uri` is the new location of the same package.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    before = snapshot.rollout.firmware
    failed = services.stores.rollouts.list_blocks_with(rollout_id, [DeviceState.FAILED])
    parts = [list(part) for part in batched(failed, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    command: Command | None = partial(operator_commands.retry, package_uri=package_uri)
    for part in parts:
        snapshot = _requeue_blocks(services, snapshot, part, command, caller)
        command = None  # stored with the first part
    if package_uri is not None and services.stores.catalogue.get(before.version) == before:
        # A later rollback to this version finds the package at its new location.
        services.stores.catalogue.save(snapshot.rollout.firmware)
    return snapshot.rollout


def _requeue_blocks(
    services: Services,
    snapshot: Snapshot,
    numbers: Sequence[int],
    command: Command | None,
    caller: Caller,
) -> Snapshot:
    """Queue the failed devices of these blocks again, and store the command with them."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        rollout = stored.rollout
        if command:
            rollout = _apply_command(command, rollout, moment.now, caller)
        requeue = partial(operator_commands.requeue, moment)
        return Change(rollout, {number: stored.blocks[number].apply(requeue) for number in numbers})

    return commit(services, snapshot, decide, numbers)


def _run(services: Services, snapshot: Snapshot, command: Command, caller: Caller) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        return Change(_apply_command(command, stored.rollout, moment.now, caller))

    return commit(services, snapshot, decide)


def _apply_command(command: Command, rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    """Apply the command. Raises ConflictError if the rollout's status does not allow it."""
    try:
        return command(rollout, now, caller)
    except NotAllowedError as error:
        raise ConflictError(str(error)) from None
