"""A whole rehearsal: where it ends, and what is said of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy
from functions.rollouts.rollout.pacing import Tier, quotas
from simulator.rehearsal.rehearse import BEGINS, LONGEST, Rehearsal, rehearse
from simulator.simulated_fleet.shares import Shares
from tests.simulator.rehearsal.builders import make_request


def rehearsal(devices: int = 10, shares: Shares | None = None, **request: Any) -> Rehearsal:
    return Rehearsal(
        request=make_request(devices, **request),
        limits=quotas(Tier.S1, 1, 0.8),
        shares=shares or Shares(),
    )


def test_the_longest_time_of_a_rehearsal_is_counted_from_its_start() -> None:
    outcome, timeline = rehearse(rehearsal(start_at=BEGINS + LONGEST + timedelta(days=30)))

    assert outcome.rollout.status is RolloutStatus.COMPLETED
    assert timedelta(seconds=timeline.seconds) > LONGEST


def test_a_rehearsed_rollback_is_not_created_as_no_earlier_firmware_is_known() -> None:
    gate = FailureGate(on_breach=OnBreach.ROLLBACK)

    outcome, timeline = rehearse(
        rehearsal(100, Shares(fail=Decimal(50)), strategy=Strategy(failure_gate=gate))
    )

    assert outcome.rollout.status is RolloutStatus.CANCELLED
    assert outcome.rollout.counts.completed > 0
    assert outcome.rollout.rolled_back_by is None
    assert "rollbackImpossible" in {event.action for event in timeline.events}
