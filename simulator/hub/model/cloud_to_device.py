"""Cloud-to-device messages: a queue for each device, and delivery until acknowledged.

Source: Microsoft Learn, "Understand cloud-to-device messaging from an IoT hub": at most 50
pending messages for a device, an hour to live, ten deliveries. Over MQTT an acknowledgement
(PUBACK) completes a message; an unacknowledged one is sent again, with the same packet
identifier and DUP, when the device connects again ([MQTT-4.4.0-1]).
"""

from dataclasses import dataclass, field

from simulator.hub.model.clock import Clock
from simulator.hub.model.connections import Connections, Subscription
from simulator.hub.model.device import Status
from simulator.hub.model.errors import ErrorCode, HubError, device_not_found, invalid
from simulator.hub.model.message import Message
from simulator.hub.model.store import Entry, Store

MAX_PENDING = 50
MAX_BYTES = 64 * 1024
MAX_PROPERTIES_CHARACTERS = 60_000
"""URL-encoded: an MQTT topic contains them all and has at most 64 KB (MQTT 3.1.1, 1.5.3)."""
MAX_DELIVERIES = 10
TIME_TO_LIVE_SECONDS = 3600.0
_MAX_PACKET_ID = 0xFFFF


@dataclass(slots=True)
class _Pending:
    message: Message
    packet_id: int
    expires_at: float
    deliveries: int = 0


@dataclass(slots=True)
class _Queue:
    """The messages of one device, in order of arrival."""

    pending: dict[int, _Pending] = field(default_factory=dict)
    last_packet_id: int = 0
    at_most_once: bool = False
    """The device subscribed at QoS 0."""

    def free_packet_id(self) -> int:
        """Return a packet identifier that no message waiting for PUBACK uses ([MQTT-2.3.1-4])."""
        while True:
            self.last_packet_id = self.last_packet_id % _MAX_PACKET_ID + 1
            if self.last_packet_id not in self.pending:
                return self.last_packet_id


class CloudToDevice:
    """The queues by device id, of the devices that have subscribed or have messages."""

    def __init__(self, store: Store, clock: Clock, connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._queues: dict[str, _Queue] = {}
        store.watch(self._on_identity_change)
        connections.on_attached.append(self._on_attached)

    def pending(self, device_id: str) -> int:
        """Return the number of messages that are neither acknowledged nor expired."""
        queue = self._queues.get(device_id)
        if queue is None:
            return 0
        self._expire(queue)
        return len(queue.pending)

    def send(self, device_id: str, message: Message) -> None:
        """Queue a message, and deliver it if the device can take it now.

        Raises DEVICE_NOT_FOUND, MESSAGE_TOO_LARGE, ARGUMENT_INVALID or
        DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED.
        """
        if self._store.get(device_id).device.status is not Status.ENABLED:
            raise device_not_found(device_id)
        _check(message)
        if self.pending(device_id) >= MAX_PENDING:
            raise HubError(
                ErrorCode.DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED,
                f"{MAX_PENDING} messages are waiting for {device_id}",
            )
        queue = self._queues.setdefault(device_id, _Queue())
        packet_id = queue.free_packet_id()
        pending = _Pending(message, packet_id, self._clock.now() + TIME_TO_LIVE_SECONDS)
        queue.pending[packet_id] = pending
        self._deliver(device_id, queue, pending)

    def on_subscribed(self, device_id: str, qos: int) -> None:
        """Deliver what has never been delivered, now that the device has subscribed."""
        queue = self._queues.setdefault(device_id, _Queue())
        queue.at_most_once = qos == 0
        self._deliver_all(device_id, queue, again=False)

    def acknowledge(self, device_id: str, packet_id: int) -> None:
        """Remove the message of a PUBACK. An unknown packet identifier is ignored."""
        queue = self._queues.get(device_id)
        if queue is not None:
            queue.pending.pop(packet_id, None)

    def _on_attached(self, device_id: str) -> None:
        """Deliver every unacknowledged message again, now that the device has reconnected."""
        queue = self._queues.get(device_id)
        if queue is not None:
            self._deliver_all(device_id, queue, again=True)

    def _deliver_all(self, device_id: str, queue: _Queue, *, again: bool) -> None:
        self._expire(queue)
        for pending in list(queue.pending.values()):
            if again or not pending.deliveries:
                self._deliver(device_id, queue, pending)

    def _deliver(self, device_id: str, queue: _Queue, pending: _Pending) -> None:
        link = self._connections.subscriber(device_id, Subscription.DEVICEBOUND)
        if link is None:
            return
        if pending.deliveries >= MAX_DELIVERIES:
            queue.pending.pop(pending.packet_id, None)
            return
        again = pending.deliveries > 0
        pending.deliveries += 1
        if queue.at_most_once:
            queue.pending.pop(pending.packet_id, None)
            link.send_message(pending.message, 0, duplicate=False)
        else:
            link.send_message(pending.message, pending.packet_id, duplicate=again)

    def _expire(self, queue: _Queue) -> None:
        now = self._clock.now()
        for pending in [one for one in queue.pending.values() if one.expires_at <= now]:
            del queue.pending[pending.packet_id]

    def _on_identity_change(self, device_id: str, entry: Entry | None) -> None:
        if entry is None:
            self._queues.pop(device_id, None)


def _check(message: Message) -> None:
    """Refuse a message that no packet can carry; it would block its device's queue."""
    try:
        properties = len(message.property_bag)
    except UnicodeEncodeError as error:
        raise invalid("a property contains half a surrogate pair") from error
    if len(message.body) > MAX_BYTES or properties > MAX_PROPERTIES_CHARACTERS:
        raise HubError(ErrorCode.MESSAGE_TOO_LARGE, "the message is larger than 64 KB")
