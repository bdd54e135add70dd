"""Run an operator's command: pause, resume, cancel, approve or retry."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from functions.errors import ConflictError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout import retry as rules
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.rollouts.rollout.retry import Selection
from functions.use_cases import catalogue, order, requeue
from functions.use_cases.cancel_queued import cancel_queued_devices
from functions.use_cases.commit import Change, commit
from functions.use_cases.new_rollout import refuse_expired_link
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
    return run_on(services, snapshot, command, caller).rollout


def resume(
    services: Services,
    rollout_id: str,
    caller: Caller,
    revision: int | None = None,
    package_uri: str | None = None,
) -> Rollout:
    """Resume the rollout, see `operator_commands.resume`. Raises as `run_command`.

    `package_uri` is the new location of the same package. Raises InvalidError if it has expired.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    before = snapshot.rollout.firmware
    _check_link(services, package_uri)
    command = partial(operator_commands.resume, revision=revision, package_uri=package_uri)
    resumed = run_on(services, snapshot, command, caller).rollout
    catalogue.relocate(services.stores.catalogue, before, resumed.firmware)
    return resumed


def _check_link(services: Services, package_uri: str | None) -> None:
    if package_uri is not None:
        refuse_expired_link(package_uri, services.clock(), "/packageUri")


def cancel(services: Services, rollout_id: str, caller: Caller) -> Rollout:
    """Cancel the rollout; no device starts any more. Raises as `run_command`.

    In a large rollout the timer cancels the queued devices.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    snapshot = run_on(services, snapshot, operator_commands.cancel, caller)
    if snapshot.rollout.total <= BLOCK_SIZE:
        snapshot = cancel_queued_devices(services, snapshot)
    return snapshot.rollout


def retry(
    services: Services,
    rollout_id: str,
    caller: Caller,
    package_uri: str | None = None,
    *,
    states: Collection[RetryState] = (RetryState.FAILED,),
    device_ids: Sequence[str] = (),
) -> Rollout:
    """Queue devices in `states` again, each with its next attempt. Raises as `run_command`.

    `package_uri` is the new location of the same package. With `device_ids`, only these devices
    are queued; raises InvalidError for unknown ones, and ConflictError, with their pointers, for
    those in other states. A device that a later rollout has is skipped instead. In a large rollout
    the timer queues the rest of the devices.
    """
    rollouts = services.stores.rollouts
    snapshot = cancel_queued_devices(services, get_snapshot(rollouts, rollout_id))
    before = snapshot.rollout.firmware
    _check_link(services, package_uri)
    with conflicts():
        rules.check_allowed(snapshot.rollout)
    selection = Selection(states=frozenset(states))
    if device_ids:
        selection = requeue.choose(services, snapshot, device_ids, selection)

    later_ids = order.find_later_ids(services, snapshot)

    def accept(rollout: Rollout, now: datetime) -> Rollout:
        with conflicts():
            again = rules.retry(rollout, now, caller, selection, package_uri)
        return order.enter_later(again, later_ids)

    snapshot = requeue.begin(services, snapshot, accept, selection)
    snapshot = order.take_devices_again(services, snapshot)
    catalogue.relocate(services.stores.catalogue, before, snapshot.rollout.firmware)
    return requeue.continue_retry(services, snapshot).rollout


def run_on(services: Services, snapshot: Snapshot, command: Command, caller: Caller) -> Snapshot:
    """Run a command on a rollout that was read. Raises as `run_command`."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        with conflicts():
            return Change(command(stored.rollout, moment.now, caller))

    return commit(services, snapshot, decide)


@contextmanager
def conflicts() -> Iterator[None]:
    """Raise ConflictError if the rollout's status does not allow the command."""
    try:
        yield
    except NotAllowedError as error:
        raise ConflictError(str(error)) from None
