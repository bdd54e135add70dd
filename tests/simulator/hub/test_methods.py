"""Direct methods: each way a call can end, and that it ends once."""

from dataclasses import dataclass, field, replace

import pytest

from simulator.hub.model import methods
from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import Status
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.methods import (
    MAX_PAYLOAD_BYTES,
    MAX_PENDING_PER_DEVICE,
    MethodRequest,
    MethodResponse,
)
from tests.simulator.hub.builders import ManualClock, connect, make_device, make_hub, settings


@dataclass
class Caller:
    """Starts calls and notes how they end."""

    clock: ManualClock = field(default_factory=ManualClock)
    ended: list[MethodResponse | ErrorCode] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub: Hub = make_hub(clock=self.clock)
        make_device(self.hub)

    def call(self, *, connect_timeout: int = 0, device_id: str = "one", name: str = "x") -> None:
        request = MethodRequest(
            name=name,
            payload={"a": None},
            response_timeout_seconds=10,
            connect_timeout_seconds=connect_timeout,
        )
        self.hub.methods.invoke(device_id, request, self._done)

    def _done(self, result: MethodResponse | HubError) -> None:
        self.ended.append(result.code if isinstance(result, HubError) else result)


def test_a_response_ends_the_call_once() -> None:
    caller = Caller()
    link = connect(caller.hub, "one", Subscription.METHODS)
    caller.call()
    [(request_id, name, payload)] = link.methods
    assert (name, payload) == ("x", b'{"a":null}')

    caller.hub.methods.respond("one", request_id, MethodResponse(200, "done"))
    caller.hub.methods.respond("one", request_id, MethodResponse(200, "again"))
    caller.clock.advance(1000)

    assert caller.ended == [MethodResponse(200, "done")]


def test_another_device_cannot_respond() -> None:
    caller = Caller()
    make_device(caller.hub, "two")
    link = connect(caller.hub, "one", Subscription.METHODS)
    caller.call()
    caller.hub.methods.respond("two", link.methods[0][0], MethodResponse(200, None))
    assert caller.ended == []


def test_a_call_without_a_response_times_out() -> None:
    caller = Caller()
    connect(caller.hub, "one", Subscription.METHODS)
    caller.call()
    caller.clock.advance(9.9)
    assert caller.ended == []
    caller.clock.advance(0.1)
    assert caller.ended == [ErrorCode.GATEWAY_TIMEOUT]


@pytest.mark.parametrize("subscriptions", [None, (), (Subscription.DESIRED_CHANGES,)])
def test_a_device_that_is_offline_or_not_subscribed_ends_the_call_at_once(
    subscriptions: tuple[Subscription, ...] | None,
) -> None:
    caller = Caller()
    if subscriptions is not None:
        connect(caller.hub, "one", *subscriptions)
    caller.call()
    assert caller.ended == [ErrorCode.DEVICE_NOT_ONLINE]


def test_the_response_timeout_begins_when_the_device_connects() -> None:
    caller = Caller()
    caller.call(connect_timeout=60)
    caller.clock.advance(59)
    link = connect(caller.hub, "one", Subscription.METHODS)
    assert len(link.methods) == 1
    caller.clock.advance(9)
    assert caller.ended == []
    caller.clock.advance(1)
    assert caller.ended == [ErrorCode.GATEWAY_TIMEOUT]


def test_a_device_that_does_not_connect_in_time_ends_the_call() -> None:
    caller = Caller()
    caller.call(connect_timeout=60)
    caller.clock.advance(60)
    link = connect(caller.hub, "one", Subscription.METHODS)
    assert caller.ended == [ErrorCode.DEVICE_NOT_ONLINE]
    assert link.methods == []


def test_a_lost_connection_ends_its_calls() -> None:
    caller = Caller()
    link = connect(caller.hub, "one", Subscription.METHODS)
    caller.call()
    caller.call()
    caller.hub.connections.detach("one", link)
    assert caller.ended == [ErrorCode.DEVICE_CONNECTION_CLOSED_REMOTELY] * 2


def test_a_replaced_link_does_not_disconnect_the_device() -> None:
    caller = Caller()
    older = connect(caller.hub, "one", Subscription.METHODS)
    newer = connect(caller.hub, "one")
    assert older.closed
    caller.hub.connections.detach("one", older)
    caller.call()
    assert len(newer.methods) == 1


def test_unknown_and_disabled_devices_are_not_found() -> None:
    caller = Caller()
    caller.hub.registry.update(replace(settings("one"), status=Status.DISABLED), "*")
    caller.call()
    caller.call(device_id="two")
    assert caller.ended == [ErrorCode.DEVICE_NOT_FOUND] * 2


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a?", "a$", "é", "a\n"])
def test_names_outside_the_allowed_characters_are_refused(name: str) -> None:
    caller = Caller()
    caller.call(name=name)
    assert caller.ended == [ErrorCode.ARGUMENT_INVALID]


@pytest.mark.parametrize(
    ("response", "connecting", "fits"),
    [
        (5, 0, True),
        (300, 300, True),
        (4, 0, False),
        (301, 0, False),
        (5, 301, False),
        (5, -1, False),
    ],
)
def test_timeouts_have_bounds(response: int, connecting: int, fits: bool) -> None:
    request = MethodRequest(
        name="x", response_timeout_seconds=response, connect_timeout_seconds=connecting
    )
    if fits:
        request.check()
    else:
        with pytest.raises(HubError):
            request.check()


def test_a_payload_may_have_128_kilobytes() -> None:
    caller = Caller()
    link = connect(caller.hub, "one", Subscription.METHODS)
    for length in (MAX_PAYLOAD_BYTES - 2, MAX_PAYLOAD_BYTES - 1):
        request = MethodRequest(name="x", payload="y" * length)
        caller.hub.methods.invoke("one", request, caller._done)  # noqa: SLF001
    assert len(link.methods) == 1
    assert caller.ended == [ErrorCode.MESSAGE_TOO_LARGE]


def test_the_calls_in_progress_of_a_device_are_limited() -> None:
    caller = Caller()
    for _ in range(MAX_PENDING_PER_DEVICE // 2):
        caller.call(connect_timeout=5)
    link = connect(caller.hub, "one", Subscription.METHODS)
    for _ in range(MAX_PENDING_PER_DEVICE // 2 + 1):
        caller.call()
    assert caller.ended == [ErrorCode.DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED]
    caller.hub.methods.respond("one", link.methods[0][0], MethodResponse(200, None))
    caller.call()
    assert len(link.methods) == MAX_PENDING_PER_DEVICE + 1


def test_the_hub_has_a_limit_of_calls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "MAX_PENDING", 3)
    caller = Caller()
    make_device(caller.hub, "two")
    for device_id in ("one", "two"):
        caller.call(connect_timeout=5, device_id=device_id)
        caller.call(connect_timeout=5, device_id=device_id)
    assert caller.ended == [ErrorCode.SERVER_BUSY]
    caller.call(device_id="unknown")
    caller.clock.advance(5)
    assert len(caller.ended) == 5
    caller.call()
    assert caller.ended[-1] is ErrorCode.DEVICE_NOT_ONLINE
