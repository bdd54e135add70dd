"""Make device updates in each state, by the operations that lead to it."""

from functions.rollouts.device import following, invoking, leaving
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import Lost, MethodResponse, Responded
from functions.rollouts.model.strategy import Strategy
from tests.functions.builders import make_moment, make_twin, make_update, speaking_twin

YES = Responded(MethodResponse(status=200, payload={"Response": "Firmware update started"}))
BUSY = Responded(MethodResponse(status=409))
STANDING_BY = speaking_twin("standBy", -60)
AWAY = speaking_twin("standBy", -60, connected=False)
TUTORIAL_TWIN = make_twin(firmwareStatus=("standBy", -60))


def make_claimed(twin: DeviceTwin = STANDING_BY, seconds: float = 0) -> DeviceUpdate:
    """Make an update whose method is about to be sent."""
    return invoking.claim(make_moment(seconds), make_update(), twin)


def make_accepted(twin: DeviceTwin = STANDING_BY, seconds: float = 0) -> DeviceUpdate:
    return invoking.record_outcome(make_moment(seconds), make_claimed(twin, seconds), 1, YES)


def make_in_doubt(twin: DeviceTwin = STANDING_BY) -> DeviceUpdate:
    """Make an update whose method was sent at noon and got no response."""
    return invoking.record_outcome(make_moment(), make_claimed(twin), 1, Lost("504"))


def make_soaking(strategy: Strategy, seconds: float = 45) -> DeviceUpdate:
    """Make an update accepted at noon and completed after `seconds` as version 2.4.0."""
    twin = speaking_twin("completed", seconds, version=("2.4.0", seconds))
    update = following.observe(make_moment(seconds, strategy), make_accepted(), twin)
    assert update.state is DeviceState.SOAKING
    return update


def follow(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """Observe the fresh twin, then decide what is due. Return the changed update."""
    observed = following.observe(moment, update, twin) if twin else update
    observed = leaving.leave_if_gone(moment, observed, twin)
    if twin is None:
        return observed
    return following.decide(moment, observed, twin, connected=twin.connected)


def error_code(update: DeviceUpdate) -> str | None:
    return update.error.code if update.error else None


def states(update: DeviceUpdate) -> list[str]:
    return [step.state.value for step in update.history]
