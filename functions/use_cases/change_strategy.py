"""Change the strategy of a rollout that is open."""

from collections.abc import Callable, Collection, Sequence

from functions.errors import ConflictError, FieldError, InvalidError, StaleError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout import changing
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.rollouts.rollout.start_order import OpenedWavesError, WavesError
from functions.use_cases.commit import Change, commit
from functions.use_cases.latest_snapshots import keep_blocks
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

type ApplyChange = Callable[[Strategy], Strategy]

_WAVES = "/strategy/waves"
_MOVED = tuple(state for state in DeviceState if state is not DeviceState.QUEUED)


def change_strategy(
    services: Services,
    rollout_id: str,
    caller: Caller,
    apply_change: ApplyChange,
    revisions: Collection[int] | None = None,
) -> Rollout:
    """Give the rollout the strategy that `apply_change` makes of its present one.

    The new strategy is in force when this returns. With `revisions`, the rollout must have one of
    them. Raises UnknownError, StaleError, ConflictError, InvalidError, StorageUnavailableError.
    """

    known: Snapshot | None = None

    def decide(moment: Moment, stored: Snapshot) -> Change:
        nonlocal known
        rollout = stored.rollout
        _check_revision(rollout, revisions)
        try:
            changing.require_open(rollout)
            strategy = apply_change(rollout.strategy)
            known = _read_pending(services, stored, strategy, known)
            changed = changing.change(rollout, moment.now, caller, strategy, known.blocks)
        except NotAllowedError as error:
            raise ConflictError(str(error)) from None
        except OpenedWavesError as error:
            fields = [FieldError(_WAVES, str(error))]
            raise ConflictError("The rollout's waves cannot be changed so.", fields) from None
        except WavesError as error:
            fields = [FieldError(_WAVES, str(error))]
            raise InvalidError("The strategy's waves do not fit the target.", fields) from None
        return Change(changed)

    return commit(services, get_snapshot(services.stores.rollouts, rollout_id), decide).rollout


def _check_revision(rollout: Rollout, revisions: Collection[int] | None) -> None:
    if revisions is not None and rollout.revision not in revisions:
        raise StaleError(
            f"The rollout's revision is {rollout.revision}. Read it again, and send its ETag as"
            " If-Match; or send no If-Match to change whatever revision it has."
        )


def _read_pending(
    services: Services, stored: Snapshot, strategy: Strategy, known: Snapshot | None
) -> Snapshot:
    """Read the blocks of waves that have not opened, as far as their devices are counted anew.

    Reads none if the waves stay. Blocks that have not been written since `known` are not read.
    """
    rollout, store = stored.rollout, services.stores.rollouts
    if strategy.waves == rollout.strategy.waves:
        return stored
    numbers: Sequence[int] = ()
    if rollout.stratum_gates:
        numbers = changing.pending_blocks(rollout)
    elif changing.has_moved_pending(rollout):
        numbers = store.list_blocks_with(rollout.id, _MOVED)
    return store.get_blocks(keep_blocks(stored, known) if known else stored, numbers)
