"""Run an operator's command for strata: resume, cancel or roll back. The others go on."""

from collections.abc import Collection, Sequence
from functools import partial

from functions.errors import ConflictError, FieldError, InvalidError, LostRaceError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.identity import ITSELF
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import frozen
from functions.rollouts.rollout import stratum_commands as rules
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import rollback
from functions.use_cases.cancel_queued import cancel_queued_devices
from functions.use_cases.commands import conflicts, run_on
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import Creation
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services

_MAX_NAMED = 10


def resume_strata(
    services: Services,
    rollout_id: str,
    caller: Caller,
    names: Sequence[str],
    revision: int | None = None,
) -> Rollout:
    """Let frozen strata go on.

    Raises InvalidError for unknown strata, UnknownError, ConflictError (a stratum is not frozen,
    or was rolled back), StorageUnavailableError.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    strata = find_strata(snapshot.rollout, names)
    command = partial(rules.resume_strata, strata=strata, revision=revision)
    return run_on(services, snapshot, command, caller).rollout


def cancel_strata(
    services: Services, rollout_id: str, caller: Caller, names: Sequence[str]
) -> Rollout:
    """Cancel the queued devices of strata. Raises as `resume_strata`.

    In a large rollout the timer cancels them.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    strata = find_strata(snapshot.rollout, names)
    command = partial(rules.cancel_strata, strata=strata)
    snapshot = run_on(services, snapshot, command, caller)
    if snapshot.rollout.total <= BLOCK_SIZE:
        snapshot = cancel_queued_devices(services, snapshot)
    return snapshot.rollout


def roll_back_strata(
    services: Services, rollout_id: str, caller: Caller, names: Sequence[str]
) -> Creation:
    """Create a rollback of the devices of strata, and cancel their queued devices.

    Raises as `rollback.roll_back`, and InvalidError for unknown strata.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    strata = find_strata(snapshot.rollout, names)
    snapshot = create_due(services, snapshot)  # of an earlier request that crashed
    _refuse_open(services, snapshot.rollout, strata)
    plan = rollback.plan_rollback(services, snapshot, caller.known_as, strata)
    seen = snapshot.rollout.stratum_gates

    def decide(moment: Moment, stored: Snapshot) -> Change:
        for number in strata:
            now, before = stored.rollout.stratum_gates[number].frozen, seen[number].frozen
            if (now and now.rollback) != (before and before.rollback):
                raise LostRaceError("Another request rolls back a stratum; try again.")
        new_id = services.new_id(moment.now)
        with conflicts():
            decided = rules.roll_back_strata(stored.rollout, moment.now, caller, strata, new_id)
        return Change(decided)

    decided = commit(services, snapshot, decide)
    return _create(services, decided, plan, _due_id(decided.rollout, min(strata)))


def create_due(services: Services, snapshot: Snapshot) -> Snapshot:
    """Create the rollbacks of strata that an interrupted request decided.

    Return the snapshot as stored. Raises as `rollback.create_due`.
    """
    for rollback_id, strata in _find_due(snapshot.rollout).items():
        created = rollback.get_created(services.stores.rollouts, rollback_id)
        if created is not None:
            _record_created(services, snapshot, created, rollback_id, "")
            continue
        try:
            plan = rollback.plan_rollback(services, snapshot, ITSELF, strata)
        except ConflictError as error:
            _give_up(services, snapshot, rollback_id, str(error))
            continue
        _create(services, snapshot, plan, rollback_id)
    return get_snapshot(services.stores.rollouts, snapshot.rollout.id)


def find_strata(rollout: Rollout, names: Sequence[str]) -> frozenset[int]:
    """Return the indexes of strata that are judged. Raises InvalidError, with their pointers."""
    known = rollout.strata if rollout.stratum_gates else ()
    if not known:
        message = "The rollout has no strata: its strategy has no stratifyBy, or one value only."
        raise InvalidError(message, [FieldError("/strata", "must be left out")])
    more = f" and {len(known) - _MAX_NAMED} more" if len(known) > _MAX_NAMED else ""
    shown = ", ".join(known[:_MAX_NAMED]) + more
    unknown = [
        FieldError(f"/strata/{index}", f"is not a stratum of the rollout; it has {shown}")
        for index, name in enumerate(names)
        if name not in known
    ]
    if unknown:
        raise InvalidError("Not all of these are strata of the rollout.", unknown)
    return frozenset(known.index(name) for name in names)


def _refuse_open(services: Services, rollout: Rollout, strata: Collection[int]) -> None:
    """Raise ConflictError if a rollback of one of the strata is open."""
    for number in strata:
        freeze = rollout.stratum_gates[number].frozen
        if freeze is None or not isinstance(freeze.rollback, RolledBack):
            continue
        rollback_id = freeze.rollback.rollback_id
        earlier = services.stores.rollouts.get(rollback_id)
        if earlier is not None and not earlier.rollout.is_over:
            raise ConflictError(
                f"Stratum {rollout.strata[number]} is already being rolled back by rollout"
                f" {rollback_id}. Wait until that has ended."
            )


def _find_due(rollout: Rollout) -> dict[str, set[int]]:
    """Return the rollbacks that were decided, with their strata."""
    found: dict[str, set[int]] = {}
    for number in range(len(rollout.stratum_gates)):
        rollback_id = _due_id(rollout, number)
        if rollback_id is not None:
            found.setdefault(rollback_id, set()).add(number)
    return found


def _due_id(rollout: Rollout, stratum: int) -> str | None:
    freeze = frozen.find_freeze(rollout, stratum)
    due = freeze.rollback if freeze else None
    return due.rollback_id if isinstance(due, RollbackDue) else None


def _create(
    services: Services, snapshot: Snapshot, plan: rollback.RollbackPlan, rollback_id: str | None
) -> Creation:
    if rollback_id is None:
        raise LostRaceError("Another request rolls back the stratum; try again.")
    creation = rollback.create_with_plan(services, plan, rollback_id)
    _record_created(services, snapshot, creation, rollback_id, plan.left_out)
    return creation


def _record_created(
    services: Services, undone: Snapshot, creation: Creation, rollback_id: str, left_out: str
) -> None:
    def record(moment: Moment, stored: Snapshot) -> Change | None:
        strata = _find_due(stored.rollout).get(rollback_id)
        if strata is None:  # recorded by another request
            return None
        rollout = stored.rollout
        for number in strata:
            rollout = rules.set_rollback(rollout, number, RolledBack(rollback_id))
        devices = texts.count(creation.rollout.counts.total, "device")
        names = frozen.names_of(rollout, strata)
        message = f"Rollout {rollback_id} brings {devices} of {names} back.{left_out}"
        return Change(add_event(rollout, moment.now, "rollbackCreated", message))

    commit(services, undone, record)


def _give_up(services: Services, snapshot: Snapshot, rollback_id: str, why: str) -> None:
    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        strata = _find_due(stored.rollout).get(rollback_id)
        if strata is None:
            return None
        rollout = stored.rollout
        for number in strata:
            rollout = rules.set_rollback(rollout, number, None)
        return Change(add_event(rollout, moment.now, "rollbackImpossible", why))

    commit(services, snapshot, decide)
