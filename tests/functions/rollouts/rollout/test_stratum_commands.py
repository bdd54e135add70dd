"""Carry out commands for strata: when they are refused, and what they leave of a rollout."""

from dataclasses import replace

import pytest

from functions.rollouts.model.gate_sequence import Mark
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.stratum import FrozenStratum
from functions.rollouts.rollout import stratum_commands
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from tests.functions.builders import at
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

ADA = Caller("ada", "because")
RUNNING, PAUSED = RolloutStatus.RUNNING, RolloutStatus.PAUSED
OPEN = {RUNNING, PAUSED}
FROZEN = Reason(code="stratumFrozen", message="5 devices wait.")
MORE = Reason(code="other", message="Something else.")


def make_frozen(*strata: int) -> Rollout:
    wave = make_stratified_wave(make_part(3, 4, completed=2), make_part(5, 6, queued=5))
    return replace(freeze(make_stratified(wave), *strata), revision=9)


def find_freeze(rollout: Rollout, stratum: int) -> FrozenStratum:
    found = rollout.stratum_gates[stratum].frozen
    assert found is not None
    return found


@pytest.mark.parametrize("status", RolloutStatus)
def test_commands_for_strata_are_for_running_and_paused_rollouts(status: RolloutStatus) -> None:
    rollout = replace(make_frozen(SMALL), status=status)
    if status in OPEN:
        stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])
        stratum_commands.cancel_strata(rollout, at(60), ADA, [SMALL])
        return
    with pytest.raises(NotAllowedError, match="resume of strata is for"):
        stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])
    with pytest.raises(NotAllowedError, match="cancel of strata is for"):
        stratum_commands.cancel_strata(rollout, at(60), ADA, [SMALL])


# -- resume ----------------------------------------------------------------------------------


def test_a_resume_lets_the_named_strata_go_on_and_is_recorded() -> None:
    found = stratum_commands.resume_strata(
        make_frozen(LARGE, SMALL), at(60), ADA, [SMALL, LARGE], 9
    )
    assert [gate.frozen for gate in found.stratum_gates] == [None, None]
    assert [gate.acknowledged_at for gate in found.stratum_gates] == [at(60), at(60)]
    event = found.audit.events[-1]
    assert (event.at, event.action, event.by) == (at(60), "stratumResumed", "ada")
    assert event.message == "Resumed by ada: large, small: because"


def test_a_stratum_that_is_not_frozen_cannot_be_resumed() -> None:
    with pytest.raises(NotAllowedError, match="large is not frozen"):
        stratum_commands.resume_strata(make_frozen(SMALL), at(60), ADA, [LARGE, SMALL])


@pytest.mark.parametrize("rollback", [RollbackDue("r"), RolledBack("r")])
def test_a_stratum_that_was_rolled_back_cannot_be_resumed(
    rollback: RollbackDue | RolledBack,
) -> None:
    rollout = freeze(make_frozen(), SMALL, rollback=rollback)
    with pytest.raises(NotAllowedError, match="small was rolled back"):
        stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])


@pytest.mark.parametrize(("revision", "is_shown"), [(5, False), (6, True), (9, True), (10, False)])
def test_a_resume_must_name_a_revision_that_shows_the_freeze(
    revision: int, *, is_shown: bool
) -> None:
    rollout = freeze(make_frozen(), SMALL, revision=6)
    if is_shown:
        stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL], revision)
        return
    with pytest.raises(NotAllowedError, match=f"revision {revision} does not show"):
        stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL], revision)


@pytest.mark.parametrize(("revision", "left"), [(6, 1), (7, 1), (8, 0), (None, 0)])
def test_a_resume_acknowledges_only_the_failures_that_its_revision_showed(
    revision: int | None, left: int
) -> None:
    one = ShownFailures(revision=6, failed=1, ended=False, mark=Mark(2, 0, 1))
    both = ShownFailures(revision=8, failed=2, ended=False, mark=Mark(2, 0, 2))
    rollout = freeze(make_frozen(), SMALL, revision=6, shown=(one, both))
    found = stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL], revision)
    assert found.stratum_gates[SMALL].sequence.failures == left


# -- cancel and roll back --------------------------------------------------------------------


def test_a_cancel_freezes_the_strata_and_is_recorded() -> None:
    found = stratum_commands.cancel_strata(make_frozen(), at(60), ADA, [SMALL])
    message = "Cancelled by ada: small: because"
    freeze = find_freeze(found, SMALL)
    assert freeze.reason == Reason(code="stratumCancelled", message=message)
    assert (freeze.at, freeze.is_cancelled, freeze.rollback) == (at(60), True, None)
    assert found.stratum_gates[LARGE].frozen is None
    event = found.audit.events[-1]
    assert (event.action, event.message, event.by) == ("stratumCancelled", message, "ada")


def test_a_frozen_stratum_that_is_cancelled_keeps_its_reason() -> None:
    found = stratum_commands.cancel_strata(make_frozen(SMALL), at(60), ADA, [LARGE, SMALL])
    assert find_freeze(found, SMALL).reason == WHY
    assert find_freeze(found, SMALL).is_cancelled
    assert find_freeze(found, LARGE).is_cancelled


def test_a_rollback_cancels_the_strata_and_is_due_under_its_id() -> None:
    found = stratum_commands.roll_back_strata(make_frozen(), at(60), ADA, [LARGE, SMALL], "r")
    for number in (LARGE, SMALL):
        freeze = find_freeze(found, number)
        assert (freeze.is_cancelled, freeze.rollback) == (True, RollbackDue("r"))
    event = found.audit.events[-1]
    assert (event.at, event.action, event.by) == (at(60), "stratumRolledBack", "ada")
    assert event.message == "Rolled back by ada: large, small: because"


def test_strata_of_a_rollout_that_is_rolled_back_are_not_rolled_back() -> None:
    rollout = replace(make_frozen(), rollback=RollbackDue())
    with pytest.raises(NotAllowedError, match="whole rollout"):
        stratum_commands.roll_back_strata(rollout, at(60), ADA, [SMALL], "r")


def test_only_a_frozen_stratum_has_a_rollback() -> None:
    rollout = make_frozen(SMALL)
    found = stratum_commands.set_rollback(rollout, SMALL, RolledBack("r"))
    assert find_freeze(found, SMALL).rollback == RolledBack("r")
    assert stratum_commands.set_rollback(rollout, LARGE, RolledBack("r")) is rollout


# -- what goes on ----------------------------------------------------------------------------


def test_the_reason_for_frozen_strata_goes_and_any_other_stays() -> None:
    for reason, expected in ((FROZEN, None), (MORE, MORE), (None, None)):
        rollout = replace(make_frozen(SMALL), status_reason=reason)
        found = stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])
        assert (found.status, found.status_reason) == (RUNNING, expected)


def test_a_rollout_that_paused_for_frozen_strata_runs_again() -> None:
    stops = (Stop(reason=FROZEN, revision=1),)
    for shown in (FROZEN, MORE):
        rollout = replace(make_frozen(SMALL), status=PAUSED, stops=stops, status_reason=shown)
        found = stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])
        assert (found.status, found.status_reason, found.stops) == (RUNNING, None, ())


@pytest.mark.parametrize(("shown", "expected"), [(FROZEN, MORE), (WHY, WHY)])
def test_any_other_stop_keeps_the_rollout_paused_with_its_reason(
    shown: Reason, expected: Reason
) -> None:
    stops = tuple(Stop(reason=reason, revision=1) for reason in (WHY, WHY, MORE, FROZEN))
    rollout = replace(make_frozen(SMALL), status=PAUSED, stops=stops, status_reason=shown)
    found = stratum_commands.resume_strata(rollout, at(60), ADA, [SMALL])
    assert (found.status, found.status_reason, found.stops) == (PAUSED, expected, stops[:3])
