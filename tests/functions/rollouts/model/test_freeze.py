"""A freeze lasts until its end, and is shown beside what a rollout waits for."""

from dataclasses import replace

import pytest

from functions.rollouts.model.freeze import Freeze, describe
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.shown_reason import shown_reason
from tests.functions.builders import at, make_rollout

FREEZE = Freeze(revision=1, reason="an incident", by="ada", since=at(0))
SOME = replace(FREEZE, condition="tags.site = 'berlin'")
TOLD = "Frozen by ada since 2026-11-23T12:00:00Z, until it is removed: no device starts"
RUNNING, PAUSED = RolloutStatus.RUNNING, RolloutStatus.PAUSED
SCHEDULED = RolloutStatus.SCHEDULED


def shown(freeze: Freeze, status: RolloutStatus, code: str | None) -> tuple[str, str] | None:
    """Return the code that is shown for a status with the reason `code`, and what is told first."""
    reason = None if code is None else Reason(code=code, message="Because.")
    rollout = make_rollout(freeze=freeze, status=status, status_reason=reason, started_at=None)
    found = shown_reason(rollout)
    return None if found is None else (found.code, found.message.partition(" ")[0])


# -- how long it lasts -------------------------------------------------------------------------


def test_a_freeze_is_in_force_until_its_time_or_its_removal() -> None:
    timed = replace(FREEZE, until=at(60))
    assert [timed.is_in_force(at(second)) for second in (59, 60)] == [True, False]
    assert FREEZE.is_in_force(at(10**6))
    for freeze in (FREEZE, timed):
        assert not replace(freeze, ended_at=at(5)).is_in_force(at(1))


def test_a_freeze_with_a_condition_freezes_only_some_devices() -> None:
    assert (FREEZE.freezes_all(at(1)), FREEZE.freezes_some(at(1))) == (True, False)
    assert (SOME.freezes_all(at(1)), SOME.freezes_some(at(1))) == (False, True)
    for freeze in (FREEZE, SOME):
        over = replace(freeze, until=at(1))
        assert (over.freezes_all(at(1)), over.freezes_some(at(1))) == (False, False)


# -- how it is described -----------------------------------------------------------------------


def test_a_freeze_says_who_froze_what_until_when_and_why() -> None:
    assert describe(FREEZE) == f"{TOLD}. Reason: an incident."
    assert describe(SOME) == f"{TOLD} that matches tags.site = 'berlin'. Reason: an incident."
    timed = replace(FREEZE, until=at(60), reason=".NET is down.")
    assert describe(timed) == (
        "Frozen by ada since 2026-11-23T12:00:00Z, until 2026-11-23T12:01:00Z: no device starts."
        " Reason: .NET is down."
    )


# -- how it is shown ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freeze", "status", "code", "expected"),
    [
        (FREEZE, RUNNING, None, ("frozen", "Frozen")),
        (SOME, RUNNING, None, ("frozen", "Frozen")),
        # It goes on by itself, and not before the end of the freeze.
        (FREEZE, RUNNING, "window", ("frozen", "Frozen")),
        (SOME, RUNNING, "window", ("frozen", "Frozen")),
        (SOME, RUNNING, "waitingForDevices", ("frozen", "Frozen")),
        (FREEZE, SCHEDULED, None, ("frozen", "Frozen")),
        (SOME, SCHEDULED, None, ("frozen", "Frozen")),
        # A freeze of all devices comes before what a running rollout waits for.
        (FREEZE, RUNNING, "awaitingApproval", ("frozen", "Frozen")),
        (FREEZE, SCHEDULED, "hubUnavailable", ("frozen", "Frozen")),
        (SOME, RUNNING, "awaitingApproval", ("awaitingApproval", "Because.")),
        (SOME, RUNNING, "hubUnavailable", ("hubUnavailable", "Because.")),
        # A pause needs a person also after the freeze.
        (FREEZE, PAUSED, "failureGate", ("failureGate", "Because.")),
        (SOME, PAUSED, "failureGate", ("failureGate", "Because.")),
    ],
)
def test_a_freeze_is_shown_unless_something_else_needs_a_person(
    freeze: Freeze, status: RolloutStatus, code: str | None, expected: tuple[str, str]
) -> None:
    assert shown(freeze, status, code) == expected


@pytest.mark.parametrize("status", [RUNNING, PAUSED])
def test_both_the_reason_and_the_freeze_are_told(status: RolloutStatus) -> None:
    reason = Reason(code="awaitingApproval", message="Because.")
    rollout = make_rollout(freeze=FREEZE, status=status, status_reason=reason)
    found = shown_reason(rollout)
    assert found is not None
    assert "Because." in found.message
    assert describe(FREEZE) in found.message


def test_a_freeze_that_is_over_or_of_an_ended_rollout_is_not_shown() -> None:
    ended = replace(FREEZE, ended_at=at(9))
    assert shown(ended, RUNNING, None) is None
    assert shown(ended, RUNNING, "awaitingApproval") == ("awaitingApproval", "Because.")
    over = make_rollout(freeze=FREEZE, status=RolloutStatus.COMPLETED, ended_at=at(9))
    assert shown_reason(over) is None
