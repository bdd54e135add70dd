"""Check that a device on a third version counts as failed, and that the version is shown.

Today it is `completed` and "stayed healthy" on any version but its previous one.
"""

from datetime import timedelta

import pytest

from functions.rollouts.device import following, soaking
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import Baseline
from functions.rollouts.model.strategy import Strategy
from tests.functions.builders import at, make_moment, make_rollout, make_twin, make_update

pytestmark = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="C1: `wrongVersion`; the running version is shown"
)


def test_a_device_that_falls_back_to_a_third_version_in_its_soak_has_failed() -> None:
    rollout = make_rollout(strategy=Strategy(soak=timedelta(minutes=10)))
    update = make_update(
        state=DeviceState.SOAKING,
        dispatched_at=at(0),
        soak_until=at(700),
        previous_version="1.0.0",
        baseline=Baseline(status_at=at(-50)),
    )
    twin = make_twin(
        firmwareStatus=("standBy", 100),
        firmwareUpdate=({"rolloutId": rollout.id, "attempt": 1}, 60),
        firmwareVersion=("2.3.9", 100),
        lastFirmwareUpdate=("t", 60),
    )
    after = soaking.observe(make_moment(100, rollout=rollout), update, twin)
    assert after.state is DeviceState.FAILED


def test_the_explanation_names_another_version_than_the_expected_one() -> None:
    rollout = make_rollout()
    update = make_update(state=DeviceState.ACCEPTED, dispatched_at=at(0), accepted_at=at(1))
    twin = make_twin(
        firmwareStatus=("completed", 50),
        firmwareVersion=("2.3.9", 50),
        lastFirmwareUpdate=("t", 50),
        firmwareUpdate=({"rolloutId": rollout.id, "attempt": 1, "version": "2.3.9"}, 50),
    )
    after = following.observe(make_moment(60, rollout=rollout), update, twin)
    assert "2.3.9" in (after.explanation or "")
