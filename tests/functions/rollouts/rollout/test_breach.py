"""What a breach does to a rollout, and which stratum alone is its cause."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, percent
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout import breach
from tests.functions.builders import NOON, at, make_rollout, make_wave
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

RUNNING, PAUSED = RolloutStatus.RUNNING, RolloutStatus.PAUSED
FREEZE = Strategy(failure_gate=FailureGate(on_breach=OnBreach.FREEZE))


# -- a rollback ------------------------------------------------------------------------------


def make_cancelled(counts: Counts, *cancelled: float, due: RollbackDue | None = None) -> Rollout:
    """Make a rollout that is to be rolled back, and was cancelled at these times."""
    events = [Event(at=at(second), action="cancelled", by="x", message="") for second in cancelled]
    events.append(Event(at=at(9999), action="other", by="x", message=""))
    return make_rollout(
        make_wave(counts.total, counts=counts),
        status=RolloutStatus.CANCELLED,
        rollback=due or RollbackDue(),
        events=tuple(events),
        strategy=Strategy(timeout=timedelta(minutes=10)),
    )


@pytest.mark.parametrize("counts", [Counts(updating=1), Counts(queued=1)])
def test_a_rollback_waits_for_devices_under_way_until_their_timeout(counts: Counts) -> None:
    rollout = make_cancelled(counts, 10, 100)
    assert not breach.can_begin_rollback(rollout, at(699))
    assert breach.can_begin_rollback(rollout, at(700))
    unknown = make_cancelled(counts)
    assert not breach.can_begin_rollback(unknown, at(599))
    assert breach.can_begin_rollback(unknown, at(600))
    chosen = make_cancelled(counts, 100, due=RollbackDue("r"))
    assert breach.can_begin_rollback(chosen, at(101))


def test_a_rollback_without_devices_under_way_begins_at_once() -> None:
    rollout = make_cancelled(Counts(completed=3, soaking=1, cancelled=1), 100)
    assert breach.can_begin_rollback(rollout, at(101))
    for other in (None, RolledBack("r")):
        assert not breach.can_begin_rollback(replace(rollout, rollback=other), at(9999))


# -- devices that have not started -----------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "not_started", "acknowledged", "is_breached"),
    [
        (percent(10), 2, 0, False),
        (percent(10), 3, 0, True),  # 2 of 20
        (percent(10), 4, 2, False),
        (percent(10), 5, 2, True),
        (0, 1, 0, False),  # one device may always be away
        (0, 2, 0, True),
        (3, 3, 0, False),
        (3, 4, 0, True),
    ],
)
def test_more_devices_than_allowed_have_not_started(
    limit: object, not_started: int, acknowledged: int, *, is_breached: bool
) -> None:
    wave = make_wave(20, not_started=not_started, acknowledged_not_started=acknowledged)
    strategy = Strategy(max_not_started=limit)  # type: ignore[arg-type]
    reason = breach.find_not_started(make_rollout(wave, strategy=strategy), wave)
    assert (reason is not None) is is_breached
    if reason is not None:
        found = not_started - acknowledged
        assert reason.code == "notStarted"
        assert reason.message.startswith(f"Wave all: {found} of 20 devices were not reached, or")
        known = "2 more before a retry are acknowledged."
        assert reason.message.endswith(known) is bool(acknowledged)


def test_the_reason_tells_since_when_failures_count() -> None:
    failed = GateSequence(started=5, first=2, carried=2, failed=(3, 4, 5))
    wave = make_wave(20, sequence=failed, acknowledged_failed=1)
    reason = breach.find_breach(make_rollout(wave), wave)
    assert reason is not None
    assert "Counted since a retry: " in reason.message
    assert reason.message.endswith("1 failure before it is acknowledged.")
    resumed = breach.find_breach(make_rollout(wave), replace(wave, acknowledged_at=at(60)))
    assert resumed is not None
    assert "Counted since the resume at 2026-11-23T12:01:00Z: " in resumed.message
    first = replace(wave, sequence=failed._replace(first=0, carried=0))
    fresh = breach.find_breach(make_rollout(first), first)
    assert fresh is not None
    assert "Counted since" not in fresh.message


# -- what follows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "event"), [(RUNNING, "paused"), (PAUSED, "waveFailed")], ids=str
)
@pytest.mark.parametrize("action", [OnBreach.PAUSE, OnBreach.FREEZE])
def test_a_breached_wave_pauses_the_rollout(
    action: OnBreach, status: RolloutStatus, event: str
) -> None:
    strategy = Strategy(failure_gate=FailureGate(on_breach=action))
    rollout = make_rollout(make_wave(), make_wave(name="b"), status=status, strategy=strategy)
    found = breach.act_on_breach(rollout, 1, WHY, at(60))
    assert (found.status, found.status_reason) == (PAUSED, WHY)
    assert [wave.status for wave in found.waves] == [WaveStatus.RUNNING, WaveStatus.FAILED]
    assert [(stop.reason, stop.wave, stop.stratum) for stop in found.stops] == [(WHY, 1, None)]
    last = found.audit.events[-1]
    assert (last.at, last.action, last.message) == (at(60), event, WHY.message)


@pytest.mark.parametrize("action", [OnBreach.CANCEL, OnBreach.ROLLBACK])
def test_a_breached_wave_or_stratum_cancels_the_rollout(action: OnBreach) -> None:
    gate = FailureGate(on_breach=action)
    rollout = make_both(strategy=Strategy(failure_gate=gate))
    for found in (
        breach.act_on_breach(rollout, 0, WHY, at(60)),
        breach.act_on_stratum_breach(rollout, SMALL, WHY, at(60)),
        breach.act_on_breach(make_both(), 0, WHY, at(60), action),
    ):
        assert (found.status, found.status_reason) == (RolloutStatus.CANCELLED, WHY)
        assert found.rollback == (RollbackDue() if action is OnBreach.ROLLBACK else None)
        last = found.audit.events[-1]
        assert (last.at, last.action, last.message) == (at(60), "cancelled", WHY.message)


def test_a_breached_stratum_is_frozen_or_pauses_the_rollout() -> None:
    frozen = breach.act_on_stratum_breach(make_both(), SMALL, WHY, at(60))
    gate = frozen.stratum_gates[SMALL].frozen
    assert gate is not None
    assert (gate.reason, gate.at, frozen.status) == (WHY, at(60), RUNNING)
    last = frozen.audit.events[-1]
    assert (last.at, last.action, last.message) == (at(60), "stratumFrozen", WHY.message)
    for status, event in ((RUNNING, "paused"), (PAUSED, "stratumFailed")):
        rollout = make_both(strategy=Strategy(), status=status)
        found = breach.act_on_stratum_breach(rollout, SMALL, WHY, at(60))
        assert (found.status, found.stratum_gates) == (PAUSED, rollout.stratum_gates)
        assert [(stop.wave, stop.stratum) for stop in found.stops] == [(None, SMALL)]
        assert (found.audit.events[-1].at, found.audit.events[-1].action) == (at(60), event)


# -- strata ----------------------------------------------------------------------------------


def make_both(*failed: int, **values: object) -> Rollout:
    """Make a rollout of ten large devices and ten small ones; some small ones failed."""
    wave = make_stratified_wave(make_part(updating=10), make_part(*failed, updating=10))
    known: dict[str, object] = {"strategy": FREEZE}
    return make_stratified(wave, **(known | values))


def test_a_stratum_is_breached_by_its_own_failures_once() -> None:
    failing = make_both(1, 2, 3)
    reason = breach.find_stratum_breach(failing, SMALL)
    assert reason is not None
    assert reason.message.startswith("Stratum small: 3 of its first 3 devices failed")
    assert "Counted since" not in reason.message
    assert breach.find_stratum_breach(failing, LARGE) is None
    assert breach.find_stratum_breach(freeze(failing, SMALL), SMALL) is None
    stopped = replace(failing, stops=(Stop(reason=WHY, revision=1, stratum=SMALL),))
    assert breach.find_stratum_breach(stopped, SMALL) is None
    other = replace(failing, stops=(Stop(reason=WHY, revision=1, stratum=LARGE),))
    assert breach.find_stratum_breach(other, SMALL) == reason
    gates = list(failing.stratum_gates)
    gates[SMALL] = replace(gates[SMALL], acknowledged_at=NOON)
    again = breach.find_stratum_breach(replace(failing, stratum_gates=tuple(gates)), SMALL)
    assert again is not None
    assert again.message.endswith(
        "Counted since its failures were acknowledged at 2026-11-23T12:00:00Z."
    )


def make_caused(large: tuple[int, ...], small: tuple[int, ...]) -> Wave:
    wave = make_stratified_wave(make_part(*large, updating=20), make_part(*small, updating=20))
    ranks = tuple(sorted((*large, *small)))
    return replace(wave, sequence=GateSequence(started=60, in_flight=40, failed=ranks))


@pytest.mark.parametrize(
    ("large", "small", "cause"),
    [
        ((), (1, 2, 3), SMALL),
        ((), (1, 2), SMALL),
        ((1, 2, 3), (40,), LARGE),
        ((), (1,), None),  # one failure may be anything
        ((1, 3), (2, 4), None),  # as many in each
        ((1, 2), (3, 4, 5), None),  # without the small ones, the wave is still breached
        ((10, 40), (20, 50), None),
        ((10, 40), (20, 50, 58), SMALL),
        ((), (), None),
    ],
)
def test_the_stratum_with_most_failures_is_the_only_cause_if_the_rest_would_pass(
    large: tuple[int, ...], small: tuple[int, ...], cause: int | None
) -> None:
    rollout = make_stratified(make_caused(large, small), strategy=FREEZE)
    assert breach.find_only_cause(rollout, 0, WHY, at(60)) == cause
    paused = make_stratified(make_caused(large, small), strategy=Strategy())
    assert breach.find_only_cause(paused, 0, WHY, at(60)) is None
