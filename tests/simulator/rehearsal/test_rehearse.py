"""A rehearsal runs to the end of its rollout, or to MAX_LENGTH after its start."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy
from simulator.rehearsal.rehearse import BEGINS, MAX_LENGTH, Rehearsal, rehearse
from simulator.simulated_fleet.shares import Shares
from tests.simulator.rehearsal.builders import make_request


def rehearsal(devices: int = 10, shares: Shares | None = None, **request: Any) -> Rehearsal:
    return Rehearsal(
        request=make_request(devices, **request),
        limits=quotas(Tier.S1, 1, 0.8),
        shares=shares or Shares(),
    )


def test_the_maximum_length_counts_from_the_start_of_the_rollout() -> None:
    outcome, timeline = rehearse(rehearsal(start_at=BEGINS + MAX_LENGTH + timedelta(days=30)))

    assert outcome.rollout.status is RolloutStatus.COMPLETED
    assert timedelta(seconds=timeline.seconds) > MAX_LENGTH


def test_a_rehearsal_creates_no_rollback_because_no_earlier_firmware_is_known() -> None:
    gate = FailureGate(on_breach=OnBreach.ROLLBACK)

    outcome, timeline = rehearse(
        rehearsal(100, Shares(fail=Decimal(50)), strategy=Strategy(failure_gate=gate))
    )

    assert outcome.rollout.status is RolloutStatus.CANCELLED
    assert outcome.rollout.counts.completed > 0
    assert outcome.rollout.rollback is None
    assert "rollbackImpossible" in {event.action for event in timeline.events}
