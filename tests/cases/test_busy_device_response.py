"""Check that a device that responds with a temporary status is invoked again.

Today 408, 429 and 5xx of a device count as a final refusal.
"""

import pytest

from functions.rollouts.device import invoking
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from tests.functions.builders import at, make_moment, make_rollout, make_update


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="C4: a temporary status of the device is retried"
)
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_device_that_responds_with_a_temporary_status_is_invoked_again(status: int) -> None:
    update = make_update(state=DeviceState.DISPATCHING, dispatched_at=at(0), not_before=at(90))
    outcome = Responded(MethodResponse(status=status, payload=None))
    after = invoking.record_outcome(make_moment(1, rollout=make_rollout()), update, 1, outcome)
    assert after.state is not DeviceState.FAILED
