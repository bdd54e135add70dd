"""Device updates that are under way, each made by the operations that lead there."""

from functions.rollouts.device import following, invoking
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


def claimed(twin: DeviceTwin = STANDING_BY, seconds: float = 0) -> DeviceUpdate:
    """Its method is about to be sent."""
    return invoking.claim(make_moment(seconds), make_update(), twin)


def accepted(twin: DeviceTwin = STANDING_BY, seconds: float = 0) -> DeviceUpdate:
    return invoking.record_outcome(make_moment(seconds), claimed(twin, seconds), 1, YES)


def doubtful(twin: DeviceTwin = STANDING_BY) -> DeviceUpdate:
    """Its method was sent at noon, and no answer came."""
    return invoking.record_outcome(make_moment(), claimed(twin), 1, Lost("504"))


def soaking(strategy: Strategy, seconds: float = 45) -> DeviceUpdate:
    """It was asked at noon and reported `completed` so many seconds later, as version 2.4.0."""
    twin = speaking_twin("completed", seconds, version=("2.4.0", seconds))
    update = following.observe(make_moment(seconds, strategy), accepted(), twin)
    assert update.state is DeviceState.SOAKING
    return update


def followed(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """What a look at the fresh twin makes of the update: what it says, then what time decides."""
    observed = following.observe(moment, update, twin) if twin else update
    connected = twin.connected if twin else None
    return following.decide(moment, observed, twin, connected=connected)


def error_code(update: DeviceUpdate) -> str | None:
    return update.error.code if update.error else None


def states(update: DeviceUpdate) -> list[str]:
    return [step.state.value for step in update.history]
