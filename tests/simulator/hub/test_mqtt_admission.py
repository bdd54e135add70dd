"""Throttles, faults and messages from a device's side: the session, without a socket."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from simulator.hub.model.device import Status
from simulator.hub.model.errors import HubError
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.hub import Hub
from simulator.hub.model.message import Message
from simulator.hub.model.metering import Operation
from simulator.hub.model.methods import MethodRequest, MethodResponse
from simulator.hub.model.quotas import Quota, Tier
from simulator.hub.mqtt.packets import ConnAck, PingReq, PingResp, PubAck, Publish, Subscribe
from simulator.hub.mqtt.session import SessionClosed
from simulator.hub.mqtt.waiting import MAX_WAITING
from tests.simulator.hub.builders import NOW, ManualClock, make_device, make_hub, settings
from tests.simulator.hub.test_mqtt_session import DESIRED, METHODS, TWIN, Peer

DEVICEBOUND = "devices/one/messages/devicebound/#"
GET = Publish("$iothub/twin/GET/?$rid=1", b"")
REPORT = Publish("$iothub/twin/PATCH/properties/reported/?$rid=2", b'{"x":1}')
S1 = Quota(tier=Tier.S1)
TELEMETRY = Publish("devices/one/messages/events/", b"{}", 1, 9)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def peer_of(clock: ManualClock, quota: Quota | None = None) -> Peer:
    hub = make_hub(clock=clock, quota=quota)
    make_device(hub)
    return Peer(hub)


def connected(clock: ManualClock, quota: Quota | None = None) -> Peer:
    peer = peer_of(clock, quota)
    assert peer.connect() == [ConnAck(0)]
    peer.subscribe(TWIN, METHODS, DESIRED)
    return peer


def fault(peer: Peer, *faults: Fault) -> None:
    peer.hub.traffic.faults.put(FaultPlan(faults=faults))


def statuses(packets: Sequence[object]) -> list[str]:
    return [packet.topic.split("/")[3] for packet in packets if isinstance(packet, Publish)]


def use_up(hub: Hub, operation: Operation) -> None:
    """Use up the throttle, as other devices and services would."""
    with contextlib.suppress(HubError):
        while True:
            hub.traffic.admit(operation)


class TestThrottled:
    def test_twin_reads_are_shaped_first_and_refused_with_429_and_a_body_later(
        self, clock: ManualClock
    ) -> None:
        peer = connected(clock, S1)
        limit = 100
        for _ in range(limit):
            assert statuses(peer.send(GET)) == ["200"]
        assert peer.send(GET) == []
        clock.advance(0.01)
        assert statuses(peer.wire.taken()) == ["200"]
        # Another device, or a service, has used up the rest of the queue.
        use_up(peer.hub, Operation.TWIN_READ)
        [response] = peer.send(GET)
        assert isinstance(response, Publish)
        assert response.topic == "$iothub/twin/res/429/?$rid=1"
        assert json.loads(response.payload)["errorCode"] == 429001

    def test_a_waiting_operation_of_a_lost_connection_is_not_performed(
        self, clock: ManualClock
    ) -> None:
        peer = connected(clock, S1)
        for _ in range(50):
            peer.send(REPORT)
        peer.wire.taken()
        assert peer.send(REPORT) == []
        peer.session.detach()
        clock.advance(60)
        assert peer.wire.taken() == []
        assert peer.hub.twins.get("one").twin.reported.version == 51

    def test_a_device_that_never_waits_for_responses_is_closed(self, clock: ManualClock) -> None:
        peer = connected(clock, S1)
        for _ in range(100 + MAX_WAITING):
            peer.send(GET)
        with pytest.raises(SessionClosed):
            peer.send(GET)

    def test_telemetry_is_acknowledged_later_and_then_the_connection_closes(
        self, clock: ManualClock
    ) -> None:
        peer = connected(clock, S1)
        for _ in range(100):
            assert peer.send(TELEMETRY) == [PubAck(9)]
        assert peer.send(TELEMETRY) == []
        clock.advance(0.01)
        assert peer.wire.taken() == [PubAck(9)]
        use_up(peer.hub, Operation.TELEMETRY)
        with pytest.raises(SessionClosed):
            peer.send(TELEMETRY)

    def test_a_connect_waits_with_the_packets_sent_after_it(self, clock: ManualClock) -> None:
        peer = peer_of(clock, S1)
        for _ in range(100):
            peer.hub.traffic.admit(Operation.CONNECT)
        assert peer.connect() == []
        assert peer.send(PingReq()) == []
        clock.advance(0.01)
        assert peer.wire.taken() == [ConnAck(0), PingResp()]
        assert peer.hub.connections.count == 1

    @pytest.mark.parametrize("change", ["deleted", "disabled", "given new keys"])
    def test_a_device_that_may_not_connect_after_its_wait_is_refused(
        self, clock: ManualClock, change: str
    ) -> None:
        peer = peer_of(clock)
        fault(
            peer, Fault(action=Action.DELAY, operations=frozenset({Operation.CONNECT}), seconds=5)
        )
        assert peer.connect() == []
        if change == "deleted":
            peer.hub.registry.delete("one", None)
        elif change == "disabled":
            peer.hub.registry.update(replace(settings("one"), status=Status.DISABLED), "*")
        else:
            peer.hub.registry.update(settings("one"), "*")
        clock.advance(5)
        assert peer.wire.taken() == [ConnAck(5)]
        assert peer.wire.closed
        assert peer.hub.connections.count == 0

    def test_packets_after_one_that_closed_are_not_handled(self, clock: ManualClock) -> None:
        peer = peer_of(clock)
        connects, telemetry = frozenset({Operation.CONNECT}), frozenset({Operation.TELEMETRY})
        fault(
            peer,
            Fault(action=Action.DELAY, operations=connects, seconds=5),
            Fault(action=Action.DROP, operations=telemetry),
        )
        peer.wire.on_close = peer.session.detach
        peer.connect(clean_session=True)
        for packet in (TELEMETRY, TELEMETRY, Subscribe(3, ((METHODS, 0),))):
            peer.send(packet)
        clock.advance(5)
        assert peer.wire.taken() == [ConnAck(0)]
        assert peer.hub.traffic.counters.operations[Operation.TELEMETRY] == 1

    def test_too_many_connects_are_refused_with_3(self, clock: ManualClock) -> None:
        peer = peer_of(clock, S1)
        use_up(peer.hub, Operation.CONNECT)
        with pytest.raises(SessionClosed):
            peer.connect()
        assert peer.wire.sent == [ConnAck(3)]

    def test_a_days_messages_used_up_is_403_on_the_response_topic(self, clock: ManualClock) -> None:
        peer = connected(clock, Quota(tier=Tier.F1))
        peer.hub.traffic.meter(8_000 * 512)
        assert statuses(peer.send(GET)) == ["403"]
        with pytest.raises(SessionClosed):
            peer.send(TELEMETRY)


class TestCounted:
    def test_each_operation_and_its_messages(self, clock: ManualClock) -> None:
        peer = connected(clock)
        peer.send(GET)
        peer.send(REPORT)
        peer.send(Publish("devices/one/messages/events/", bytes(5000)))
        counters = peer.hub.traffic.counters
        assert {name: count for name, count in counters.operations.items() if count} == {
            Operation.CONNECT: 1,
            Operation.DEVICE_TWIN_READ: 1,
            Operation.DEVICE_TWIN_UPDATE: 1,
            Operation.TELEMETRY: 1,
        }
        assert counters.messages == 1 + 1 + 2


class TestFaults:
    def test_a_twin_request_fails_with_the_faults_status(self, clock: ManualClock) -> None:
        peer = connected(clock)
        fault(peer, Fault(action=Action.ERROR, status=500, count=1))
        assert statuses(peer.send(GET)) == ["500"]
        assert statuses(peer.send(GET)) == ["200"]

    def test_a_response_is_lost_after_the_method_ran(self, clock: ManualClock) -> None:
        peer = connected(clock)
        fault(peer, Fault(action=Action.LOSE_RESPONSE, count=1))
        ended: list[MethodResponse | HubError] = []
        for _ in range(2):
            peer.hub.methods.invoke("one", MethodRequest(name="x"), ended.append)
            [call] = peer.wire.taken()
            assert isinstance(call, Publish)
            rid = call.topic.partition("?")[2]
            peer.send(Publish(f"$iothub/methods/res/200/?{rid}", b"{}"))
        assert ended == [MethodResponse(200, {})]
        clock.advance(30)
        assert isinstance(ended[1], HubError)

    def test_a_duplicated_delivery_is_sent_twice(self, clock: ManualClock) -> None:
        peer = connected(clock)
        peer.subscribe(DEVICEBOUND)
        fault(peer, Fault(action=Action.DUPLICATE))
        peer.hub.methods.invoke("one", MethodRequest(name="x"), lambda _result: None)
        first, second = peer.wire.taken()
        assert first == second
        peer.hub.messages.send("one", Message(body=b"x"))
        first, second = peer.wire.taken()
        assert isinstance(first, Publish)
        assert isinstance(second, Publish)
        assert (first.packet_id, first.duplicate) == (second.packet_id, False)
        assert second.duplicate

    def test_a_delay_postpones_a_response(self, clock: ManualClock) -> None:
        peer = connected(clock)
        fault(peer, Fault(action=Action.DELAY, seconds=2))
        assert peer.send(GET) == []
        clock.advance(2)
        assert statuses(peer.wire.taken()) == ["200"]

    @pytest.mark.parametrize("packet", [GET, REPORT, TELEMETRY])
    def test_a_connection_drops_before_the_response(
        self, clock: ManualClock, packet: Publish
    ) -> None:
        peer = connected(clock)
        operations = frozenset(
            {Operation.DEVICE_TWIN_READ, Operation.DEVICE_TWIN_UPDATE, Operation.TELEMETRY}
        )
        fault(peer, Fault(action=Action.DROP, operations=operations))
        assert peer.send(packet) == []
        assert len(peer.wire.closed) == 1
        changed = packet is REPORT
        assert peer.hub.twins.get("one").twin.reported.version == (2 if changed else 1)

    def test_a_connection_that_drops_while_it_subscribes_ends_without_error(
        self, clock: ManualClock
    ) -> None:
        peer = peer_of(clock)
        peer.wire.on_close = peer.session.detach
        peer.connect(clean_session=True)
        waiting = MethodRequest(name="reboot", connect_timeout_seconds=5)
        peer.hub.methods.invoke("one", waiting, lambda _result: None)
        fault(peer, Fault(action=Action.DROP, operations=frozenset({Operation.METHOD})))
        peer.subscribe(METHODS, TWIN)
        assert peer.hub.connections.count == 0

    def test_a_connection_drops_with_a_method_delivered(self, clock: ManualClock) -> None:
        peer = connected(clock)
        fault(peer, Fault(action=Action.DROP, operations=frozenset({Operation.METHOD})))
        peer.hub.methods.invoke("one", MethodRequest(name="x"), lambda _result: None)
        assert len(peer.wire.taken()) == 1
        assert len(peer.wire.closed) == 1

    @pytest.mark.parametrize("code", [3, 5])
    def test_a_connect_is_refused_with_the_faults_return_code(
        self, clock: ManualClock, code: int
    ) -> None:
        peer = peer_of(clock)
        fault(peer, Fault(action=Action.REFUSE, return_code=code, count=1))
        with pytest.raises(SessionClosed):
            peer.connect()
        assert peer.wire.taken() == [ConnAck(code)]
        assert Peer(peer.hub).connect() == [ConnAck(0)]

    def test_a_connect_in_a_black_hole_is_accepted_after_it_ends(self, clock: ManualClock) -> None:
        peer = peer_of(clock)
        fault(peer, Fault(action=Action.BLACK_HOLE))
        assert peer.connect() == []
        assert peer.send(PingReq()) == []
        assert peer.wire.suspended == [True]
        fault(peer)
        assert peer.wire.taken() == [ConnAck(0), PingResp()]
        assert peer.wire.suspended == [True, False]

    def test_a_connect_in_a_black_hole_that_closed_is_forgotten(self, clock: ManualClock) -> None:
        peer = peer_of(clock)
        fault(peer, Fault(action=Action.BLACK_HOLE))
        peer.connect()
        peer.session.release()
        fault(peer)
        assert peer.wire.taken() == []
        assert peer.hub.connections.count == 0

    def test_an_expired_token_is_refused_and_a_newer_one_is_not(self, clock: ManualClock) -> None:
        peer = connected(clock)
        fault(peer, Fault(action=Action.EXPIRE_TOKEN))
        assert len(peer.wire.closed) == 1
        assert peer.session.expires_at == NOW + 3600
        again = Peer(peer.hub)
        with pytest.raises(SessionClosed):
            again.connect()
        assert again.wire.taken() == [ConnAck(5)]


class TestMessages:
    def test_properties_are_in_the_topic_and_a_puback_completes_the_message(
        self, clock: ManualClock
    ) -> None:
        peer = connected(clock)
        peer.subscribe(DEVICEBOUND)
        message = Message(
            body=b"hello", properties={"a b": "c&d"}, system_properties={"mid": "m/1"}
        )
        peer.hub.messages.send("one", message)
        [sent] = peer.wire.taken()
        assert isinstance(sent, Publish)
        assert sent.topic == "devices/one/messages/devicebound/%24.mid=m%2F1&a%20b=c%26d"
        assert (sent.payload, sent.qos) == (b"hello", 1)
        peer.send(PubAck(sent.packet_id))
        assert peer.hub.messages.pending("one") == 0

    def test_the_subscribed_qos_is_used(self, clock: ManualClock) -> None:
        peer = connected(clock)
        peer.send(Subscribe(3, ((DEVICEBOUND, 0),)))
        peer.hub.messages.send("one", Message(body=b"x"))
        [sent] = peer.wire.taken()
        assert isinstance(sent, Publish)
        assert sent.qos == 0


def test_more_than_five_filters_close(clock: ManualClock) -> None:
    peer = connected(clock)
    with pytest.raises(SessionClosed):
        peer.subscribe(*[TWIN] * 6)
