"""Exchange a simulated device's packets with its hub on one connection, after CONNACK.

Does no I/O: packets and times in, packets out. Twin requests are sent at QoS 0: the hub's response
acknowledges them, and without a response they are sent again. Topics: Microsoft Learn, "Communicate
with your IoT hub using the MQTT protocol".
"""

import json
import re
from urllib.parse import unquote

from simulator.hub.mqtt.packets import PingReq, PingResp, PubAck, Publish, SubAck, Subscribe
from simulator.simulated_fleet.device import SimulatedDevice

# Longer than the SDK's 60, so that thousands of idle devices cost little.
KEEP_ALIVE_SECONDS = 240
# How long to wait for a response before a request is sent again, or a connection counts as lost.
RESPONSE_SECONDS = 10.0

_METHODS, _TWIN_RESPONSES = "$iothub/methods/POST/#", "$iothub/twin/res/#"
_METHOD = re.compile(r"\$iothub/methods/POST/([^/]+)/\?\$rid=([^&]+)")
_TWIN_RESPONSE = re.compile(r"\$iothub/twin/res/(\d+)/\?\$rid=([^&]+)")
_REFUSED = 0x80
# 429 and the server errors are temporary; other refusals are permanent.
_TOO_MANY, _SERVER_ERROR, _BAD_REQUEST = 429, 500, 400

type Outgoing = list[PingReq | PubAck | Publish | Subscribe]


class ConnectionFailedError(Exception):
    """The connection has failed; the message gives the reason."""


class MqttSession:
    """A session: call `open` first, `receive` for every packet, and `tick` at `due`."""

    __slots__ = (
        "_device",
        "_early",
        "_pinged_at",
        "_request_id",
        "_requested_at",
        "_requests",
        "_sent_at",
    )

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device
        self._requests = 0
        self._request_id: str | None = None
        """The `$rid` of the twin request under way; None if there is no request."""
        self._requested_at = 0.0
        self._sent_at = 0.0
        self._pinged_at: float | None = None
        self._early: list[Publish] = []

    def open(self, now: float) -> Outgoing:
        """Subscribe, and read the twin first.

        Without the twin, a repeated method would start the update again.
        """
        self._sent_at = now
        if self._device.status is None:
            return [Subscribe(1, ((_TWIN_RESPONSES, 0),)), self._read_twin(now)]
        filters = ((_TWIN_RESPONSES, 0), (_METHODS, 0))
        return [Subscribe(1, filters), *self._send_due(now)]

    @property
    def due(self) -> float:
        """When `tick` has something to do."""
        ping = self._pinged_at
        alive = self._sent_at + KEEP_ALIVE_SECONDS if ping is None else ping + RESPONSE_SECONDS
        return (
            alive if self._request_id is None else min(alive, self._requested_at + RESPONSE_SECONDS)
        )

    def tick(self, now: float) -> Outgoing:
        """Return the packets that are due. Raises ConnectionFailedError."""
        if self._pinged_at is not None and now >= self._pinged_at + RESPONSE_SECONDS:
            raise ConnectionFailedError("the hub does not respond to a ping")
        if self._request_id is not None and now >= self._requested_at + RESPONSE_SECONDS:
            self._request_id = None
        packets = self._send_due(now)
        if not packets and self._pinged_at is None and now >= self._sent_at + KEEP_ALIVE_SECONDS:
            self._pinged_at = self._sent_at = now
            return [PingReq()]
        return packets

    def receive(self, packet: object, now: float) -> Outgoing:
        """Return the packets that respond to one of the hub. Raises ConnectionFailedError."""
        match packet:
            case Publish():
                acknowledgement = [PubAck(packet.packet_id)] if packet.qos else []
                return [*acknowledgement, *self._receive_publish(packet, now)]
            case PingResp():
                self._pinged_at = None
            case SubAck(_, codes) if _REFUSED in codes:
                raise ConnectionFailedError("the hub refuses a subscription")
        return []

    def _receive_publish(self, packet: Publish, now: float) -> Outgoing:
        if found := _TWIN_RESPONSE.match(packet.topic):
            return self._receive_twin_response(int(found[1]), found[2], packet.payload, now)
        if found := _METHOD.match(packet.topic):
            if self._device.status is None:
                self._early.append(packet)  # sent to the subscription of an earlier session
                return []
            return [self._invoke(unquote(found[1]), found[2], packet.payload, now)]
        return []

    def _receive_twin_response(
        self, status: int, request: str, body: bytes, now: float
    ) -> Outgoing:
        if request != self._request_id:
            return []
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            return []  # sent again after its timeout
        self._request_id = None
        if self._device.status is None:
            return self._start(status, body, now)
        if self._device.unacknowledged is not None:
            self._device.acknowledge(now)
        return []

    def _start(self, status: int, body: bytes, now: float) -> Outgoing:
        if status >= _BAD_REQUEST:
            raise ConnectionFailedError(
                f"the hub responds with {status} to the request for the twin"
            )
        self._device.start(json.loads(body).get("reported", {}), now)
        early, self._early = self._early, []
        responses = [
            response for packet in early for response in self._receive_publish(packet, now)
        ]
        return [Subscribe(2, ((_METHODS, 0),)), *responses, *self._send_due(now)]

    def _invoke(self, name: str, request: str, body: bytes, now: float) -> Publish:
        response = self._device.invoke(name, json.loads(body or b"null"), now)
        topic = f"$iothub/methods/res/{response.status}/?$rid={request}"
        self._sent_at = now
        return Publish(topic, _json(response.payload))

    def _send_due(self, now: float) -> Outgoing:
        """Return the request for the twin or the next report, unless a request is under way."""
        if self._request_id is not None:
            return []
        if self._device.status is None:
            return [self._read_twin(now)]
        patch = self._device.patch
        if patch is None:
            return []
        return [self._request("PATCH/properties/reported", _json(patch), now)]

    def _read_twin(self, now: float) -> Publish:
        return self._request("GET", b"", now)

    def _request(self, what: str, body: bytes, now: float) -> Publish:
        self._requests += 1
        self._request_id, self._requested_at, self._sent_at = str(self._requests), now, now
        return Publish(f"$iothub/twin/{what}/?$rid={self._requests}", body)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
