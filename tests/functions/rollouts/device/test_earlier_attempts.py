"""A device that cannot refuse a second update is busy until its latest attempt has ended."""

from datetime import timedelta

import pytest

from functions.rollouts.device.earlier_attempts import busy_until
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from tests.functions.builders import NOON, at, make_twin, make_update
from tests.functions.rollouts.device.under_way import (
    STANDING_BY,
    TUTORIAL_TWIN,
    make_accepted,
    make_claimed,
)

DAY = timedelta(days=1)


def with_states(*states: DeviceState) -> DeviceUpdate:
    """Make an update that was invoked at noon and moved through `states`."""
    lines = tuple(HistoryEntry(state, 1, at(1), "why") for state in states)
    return make_claimed(TUTORIAL_TWIN)._replace(state=states[-1], history=lines)


def test_it_is_busy_for_a_day_after_its_method() -> None:
    update = make_accepted(TUTORIAL_TWIN)
    for twin in (TUTORIAL_TWIN, None):
        last = NOON + DAY - timedelta(microseconds=1)
        assert busy_until(update, twin, last) == NOON + DAY
        assert busy_until(update, twin, NOON + DAY) is None


@pytest.mark.parametrize("status", ["completed", "failed", "standBy", "Standby "])
def test_it_is_busy_until_it_reports_an_end_since_its_method(status: str) -> None:
    update = make_accepted(TUTORIAL_TWIN)
    assert busy_until(update, make_twin(firmwareStatus=(status, 5)), at(9)) is None
    assert busy_until(update, make_twin(firmwareStatus=(status, -60)), at(9)) is not None


@pytest.mark.parametrize("status", ["downloading", "applying", "resting", None])
def test_another_status_is_no_end(status: str | None) -> None:
    twin = make_twin(firmwareStatus=(status, 5))
    assert busy_until(make_accepted(TUTORIAL_TWIN), twin, at(9)) is not None


@pytest.mark.parametrize("twin", [STANDING_BY, make_twin(firmwareVersion=("1.0.0", 5))])
def test_a_device_that_refuses_a_second_update_is_never_waited_for(twin: DeviceTwin) -> None:
    assert busy_until(make_accepted(TUTORIAL_TWIN), twin, at(9)) is None


def test_a_device_that_was_not_invoked_is_not_busy() -> None:
    assert busy_until(make_update(), TUTORIAL_TWIN, at(9)) is None
    assert busy_until(make_update(dispatched_at=at(0)), None, at(9)) is None
    accepted = make_accepted(TUTORIAL_TWIN)
    assert busy_until(accepted._replace(dispatched_at=None), TUTORIAL_TWIN, at(9)) is None


@pytest.mark.parametrize(
    "last", [DeviceState.ACCEPTED, DeviceState.DOWNLOADING, DeviceState.APPLYING]
)
@pytest.mark.parametrize("end", [None, DeviceState.FAILED, DeviceState.QUEUED])
def test_an_attempt_that_began_may_be_at_work_also_after_it_was_given_up(
    last: DeviceState, end: DeviceState | None
) -> None:
    states = [DeviceState.DISPATCHING, last, *([end] if end else [])]
    assert busy_until(with_states(*states), TUTORIAL_TWIN, at(9)) == NOON + DAY


@pytest.mark.parametrize(
    "last", [DeviceState.DISPATCHING, DeviceState.SOAKING, DeviceState.COMPLETED]
)
def test_an_attempt_that_did_not_begin_or_was_completed_is_not_at_work(last: DeviceState) -> None:
    update = with_states(DeviceState.ACCEPTED, last, DeviceState.FAILED)
    assert busy_until(update, TUTORIAL_TWIN, at(9)) is None
    assert busy_until(make_claimed(TUTORIAL_TWIN), TUTORIAL_TWIN, at(9)) is None
