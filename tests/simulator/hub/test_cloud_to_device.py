"""Messages for a device: queued, delivered, delivered again, acknowledged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.cloud_to_device import (
    MAX_BYTES,
    MAX_DELIVERIES,
    MAX_PENDING,
    TIME_TO_LIVE_SECONDS,
)
from simulator.hub.model.connections import Subscription
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.message import Message
from tests.simulator.hub.builders import ManualClock, RecordingLink, connect, make_device, make_hub


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(clock: ManualClock) -> Hub:
    hub = make_hub(clock=clock)
    make_device(hub)
    return hub


def listen(hub: Hub, qos: int = 1) -> RecordingLink:
    link = connect(hub, "one", Subscription.DEVICEBOUND)
    hub.messages.on_subscribed("one", qos)
    return link


def send(hub: Hub, text: str = "x") -> None:
    hub.messages.send("one", Message(body=text.encode()))


@pytest.mark.parametrize(
    ("value", "code"),
    [("\ud800", ErrorCode.ARGUMENT_INVALID), ("x" * 65_000, ErrorCode.MESSAGE_TOO_LARGE)],
)
def test_properties_that_no_topic_can_contain_are_refused(
    hub: Hub, value: str, code: ErrorCode
) -> None:
    with pytest.raises(HubError) as caught:
        hub.messages.send("one", Message(body=b"", properties={"a": value}))
    assert caught.value.code is code
    assert hub.messages.pending("one") == 0


def received(link: RecordingLink) -> list[tuple[str, bool]]:
    return [(message.body.decode(), duplicate) for message, _id, duplicate in link.messages]


def test_a_connected_device_gets_a_message_at_once_and_acknowledges_it(hub: Hub) -> None:
    link = listen(hub)
    send(hub)
    assert received(link) == [("x", False)]
    assert hub.messages.pending("one") == 1
    hub.messages.acknowledge("one", link.messages[0][1])
    hub.messages.acknowledge("one", 999)
    assert hub.messages.pending("one") == 0


def test_messages_wait_for_the_device_to_subscribe(hub: Hub) -> None:
    send(hub, "a")
    send(hub, "b")
    assert received(listen(hub)) == [("a", False), ("b", False)]


def test_an_unacknowledged_message_is_sent_again_with_the_same_packet_id(hub: Hub) -> None:
    first = listen(hub)
    for text in "abc":
        send(hub, text)
    hub.messages.acknowledge("one", first.messages[1][1])
    again = connect(hub)
    assert received(again) == [("a", True), ("c", True)]
    assert [packet_id for _m, packet_id, _d in again.messages] == [
        first.messages[0][1],
        first.messages[2][1],
    ]


def test_at_qos_0_a_message_is_sent_once_and_forgotten(hub: Hub) -> None:
    link = listen(hub, qos=0)
    send(hub)
    assert link.messages[0][1] == 0
    assert hub.messages.pending("one") == 0
    assert connect(hub).messages == []


def test_a_queue_has_at_most_fifty_messages(hub: Hub) -> None:
    for _ in range(MAX_PENDING):
        send(hub)
    with pytest.raises(HubError) as error:
        send(hub)
    assert error.value.code is ErrorCode.DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED


def test_a_message_expires_after_an_hour(hub: Hub, clock: ManualClock) -> None:
    send(hub)
    clock.advance(TIME_TO_LIVE_SECONDS - 1)
    assert hub.messages.pending("one") == 1
    clock.advance(1)
    assert hub.messages.pending("one") == 0
    assert listen(hub).messages == []


def test_a_message_is_dropped_after_ten_deliveries(hub: Hub) -> None:
    listen(hub)
    send(hub)
    for _ in range(MAX_DELIVERIES - 1):
        assert len(connect(hub).messages) == 1
    assert connect(hub).messages == []
    assert hub.messages.pending("one") == 0


def test_a_message_for_an_unknown_device_or_too_large_is_refused(hub: Hub) -> None:
    with pytest.raises(HubError) as error:
        hub.messages.send("unknown", Message(body=b""))
    assert error.value.code is ErrorCode.DEVICE_NOT_FOUND
    hub.messages.send("one", Message(body=bytes(MAX_BYTES)))
    with pytest.raises(HubError) as error:
        hub.messages.send("one", Message(body=bytes(MAX_BYTES + 1)))
    assert error.value.code is ErrorCode.MESSAGE_TOO_LARGE


def test_a_deleted_devices_messages_are_deleted(hub: Hub) -> None:
    send(hub)
    hub.registry.delete("one", None)
    make_device(hub)
    assert hub.messages.pending("one") == 0


@given(st.lists(st.sampled_from(["send", "acknowledge", "reconnect"]), max_size=80))
def test_every_message_is_delivered_until_acknowledged_and_then_never_again(
    steps: list[str],
) -> None:
    hub = make_hub()
    make_device(hub)
    link, sent, done = listen(hub), 0, set[str]()
    for step in steps:
        if step == "send" and hub.messages.pending("one") < MAX_PENDING:
            sent += 1
            send(hub, str(sent))
        elif step == "reconnect":
            link = connect(hub)
            assert not done & {body for body, _duplicate in received(link)}
        elif step == "acknowledge" and link.messages:
            message, packet_id, _duplicate = link.messages.pop(0)
            if message.body.decode() not in done:
                hub.messages.acknowledge("one", packet_id)
                done.add(message.body.decode())
    ids = [packet_id for _m, packet_id, _d in link.messages]
    assert len(ids) == len(set(ids))
    assert hub.messages.pending("one") <= sent - len(done)
