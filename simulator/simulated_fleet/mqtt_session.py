"""What a light device and its hub say to each other on one connection, after CONNACK.

Packets and times in, packets out. Twin requests go out at QoS 0: the hub's own answer is the
acknowledgement, and without it they are sent again. Topics: Microsoft Learn, "Communicate with
your IoT hub using the MQTT protocol".
"""

import json
import re
from urllib.parse import unquote

from simulator.hub.mqtt.packets import PingReq, PingResp, PubAck, Publish, SubAck, Subscribe
from simulator.simulated_fleet.device import SimulatedDevice

KEEP_ALIVE_SECONDS = 240
"""Longer than the SDK's 60: thousands of idle devices should cost next to nothing."""
RESPONSE_SECONDS = 10.0
"""How long an answer may take before a request is sent again, or a ping means a dead line."""

_METHODS, _TWIN_ANSWERS = "$iothub/methods/POST/#", "$iothub/twin/res/#"
_METHOD = re.compile(r"\$iothub/methods/POST/([^/]+)/\?\$rid=([^&]+)")
_TWIN_ANSWER = re.compile(r"\$iothub/twin/res/(\d+)/\?\$rid=([^&]+)")
_REFUSED = 0x80
# 429 and what a hub in trouble says are worth another try; another refusal stays one.
_TOO_MANY, _SERVER_ERROR, _BAD_REQUEST = 429, 500, 400

type Outgoing = list[PingReq | PubAck | Publish | Subscribe]


class ConnectionFailedError(Exception):
    """The connection is of no use any more; the message says why."""


class MqttSession:
    """`opened` first, then `receive` for every packet and `tick` whenever `due`."""

    __slots__ = ("_asked", "_asked_at", "_device", "_early", "_pinged_at", "_requests", "_said_at")

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device
        self._requests = 0
        self._asked: str | None = None
        """The `$rid` of the twin request under way."""
        self._asked_at = 0.0
        self._said_at = 0.0
        self._pinged_at: float | None = None
        self._early: list[Publish] = []

    def opened(self, now: float) -> Outgoing:
        """The twin comes first: without its memory a repeated method would update once more."""
        self._said_at = now
        if self._device.status is None:
            return [Subscribe(1, ((_TWIN_ANSWERS, 0),)), self._ask(now)]
        filters = ((_TWIN_ANSWERS, 0), (_METHODS, 0))
        return [Subscribe(1, filters), *self._say(now)]

    @property
    def due(self) -> float:
        """When `tick` has something to do next."""
        ping = self._pinged_at
        alive = self._said_at + KEEP_ALIVE_SECONDS if ping is None else ping + RESPONSE_SECONDS
        return alive if self._asked is None else min(alive, self._asked_at + RESPONSE_SECONDS)

    def tick(self, now: float) -> Outgoing:
        """Say what there is to say by now. Raises ConnectionFailedError."""
        if self._pinged_at is not None and now >= self._pinged_at + RESPONSE_SECONDS:
            raise ConnectionFailedError("the hub does not answer a ping")
        if self._asked is not None and now >= self._asked_at + RESPONSE_SECONDS:
            self._asked = None
        said = self._say(now)
        if not said and self._pinged_at is None and now >= self._said_at + KEEP_ALIVE_SECONDS:
            self._pinged_at = self._said_at = now
            return [PingReq()]
        return said

    def receive(self, packet: object, now: float) -> Outgoing:
        """Act on a packet of the hub. Raises ConnectionFailedError."""
        match packet:
            case Publish():
                acknowledgement = [PubAck(packet.packet_id)] if packet.qos else []
                return [*acknowledgement, *self._published(packet, now)]
            case PingResp():
                self._pinged_at = None
            case SubAck(_, codes) if _REFUSED in codes:
                raise ConnectionFailedError("the hub refuses a subscription")
        return []

    def _published(self, packet: Publish, now: float) -> Outgoing:
        if found := _TWIN_ANSWER.match(packet.topic):
            return self._twin_answer(int(found[1]), found[2], packet.payload, now)
        if found := _METHOD.match(packet.topic):
            if self._device.status is None:
                self._early.append(packet)  # to an earlier life's subscription
                return []
            return [self._method(unquote(found[1]), found[2], packet.payload, now)]
        return []

    def _twin_answer(self, status: int, request: str, body: bytes, now: float) -> Outgoing:
        if request != self._asked:
            return []
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            return []  # sent again when its time is over
        self._asked = None
        if self._device.status is None:
            return self._twin(status, body, now)
        if self._device.unacknowledged is not None:
            self._device.acknowledged(now)
        return []

    def _twin(self, status: int, body: bytes, now: float) -> Outgoing:
        if status >= _BAD_REQUEST:
            raise ConnectionFailedError(f"the hub answers {status} for the twin")
        self._device.start(json.loads(body).get("reported", {}), now)
        early, self._early = self._early, []
        answers = [answer for packet in early for answer in self._published(packet, now)]
        return [Subscribe(2, ((_METHODS, 0),)), *answers, *self._say(now)]

    def _method(self, name: str, request: str, body: bytes, now: float) -> Publish:
        answer = self._device.invoke(name, json.loads(body or b"null"), now)
        topic = f"$iothub/methods/res/{answer.status}/?$rid={request}"
        self._said_at = now
        return Publish(topic, _json(answer.payload))

    def _say(self, now: float) -> Outgoing:
        """Read the twin, or report, unless a request is under way."""
        if self._asked is not None:
            return []
        if self._device.status is None:
            return [self._ask(now)]
        patch = self._device.patch
        if patch is None:
            return []
        return [self._request("PATCH/properties/reported", _json(patch), now)]

    def _ask(self, now: float) -> Publish:
        return self._request("GET", b"", now)

    def _request(self, what: str, body: bytes, now: float) -> Publish:
        self._requests += 1
        self._asked, self._asked_at, self._said_at = str(self._requests), now, now
        return Publish(f"$iothub/twin/{what}/?$rid={self._requests}", body)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
