"""A whole rehearsal: where it ends, and what is said of it."""

from datetime import timedelta
from typing import Any

from functions.rollouts.pacing import Tier, quotas
from functions.rollouts.rollout import Firmware, RolloutStatus
from functions.rollouts.strategy import Strategy
from functions.use_cases.new_rollout import NewRollout
from simulator.fleet.shares import Shares
from simulator.rehearsal.fleet import device_ids
from simulator.rehearsal.rehearse import BEGINS, LONGEST, Rehearsal, rehearse


def rehearsal(devices: int = 10, shares: Shares | None = None, **request: Any) -> Rehearsal:
    known: dict[str, Any] = {
        "firmware": Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
        "strategy": Strategy(),
        "body_hash": "hash",
        "device_ids": tuple(device_ids(devices)),
    }
    return Rehearsal(
        request=NewRollout(**(known | request)),
        limits=quotas(Tier.S1, 1, 0.8),
        shares=shares or Shares(),
    )


def test_the_longest_time_of_a_rehearsal_is_counted_from_its_start() -> None:
    outcome, timeline = rehearse(rehearsal(start_at=BEGINS + LONGEST + timedelta(days=30)))

    assert outcome.rollout.status is RolloutStatus.COMPLETED
    assert timedelta(seconds=timeline.seconds) > LONGEST
