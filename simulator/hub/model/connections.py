"""The connected devices and modules, and their subscriptions.

`device_id` is an identity's key here: a module connects as `device/module`.

Source: Microsoft Learn, "Communicate with your IoT hub using the MQTT protocol". Subscriptions
remain after a connection with clean session 0; the SDKs rely on it and do not subscribe again.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from simulator.hub.model.clock import Clock
from simulator.hub.model.device import ConnectionState, Status
from simulator.hub.model.json_types import Document
from simulator.hub.model.message import Message
from simulator.hub.model.store import Entry, Store


class Subscription(StrEnum):
    """What a device may subscribe to."""

    METHODS = "methods"
    TWIN_RESPONSES = "twin responses"
    DESIRED_CHANGES = "desired changes"
    DEVICEBOUND = "devicebound"


class DeviceLink(Protocol):
    """A live connection. No method may raise or block."""

    def send_method(self, request_id: str, name: str, payload: bytes) -> None: ...

    def send_desired(self, patch: Document, version: int) -> None: ...

    def send_message(self, message: Message, packet_id: int, *, duplicate: bool) -> None:
        """Send a message at QoS 1, or at QoS 0 if `packet_id` is 0."""

    def close(self, reason: str) -> None: ...

    def suspend(self, *, suspended: bool) -> None:
        """Stop or resume reading and writing. The peer is not notified."""

    @property
    def expires_at(self) -> int | None:
        """Return when the token of the connection expires (Unix time). None: it has no token."""


class Connections:
    """The links, at most one per device: a newer one replaces the older."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._links: dict[str, DeviceLink] = {}
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._clean_sessions: set[str] = set()
        self.on_ready_for_methods: list[Callable[[str], None]] = []
        self.on_lost: list[Callable[[str], None]] = []
        self.on_attached: list[Callable[[str], None]] = []
        store.watch(self._on_identity_change)

    @property
    def count(self) -> int:
        return len(self._links)

    @property
    def links(self) -> list[tuple[str, DeviceLink]]:
        """Return every live connection with its device's key, as a copy."""
        return list(self._links.items())

    def remembers(self, device_id: str) -> bool:
        """Return whether subscriptions would be kept if the device connected now."""
        return device_id in self._subscriptions and device_id not in self._clean_sessions

    def attach(self, device_id: str, link: DeviceLink, *, clean_session: bool) -> None:
        """Connect a device and close its older link. Clean sessions: [MQTT-3.1.2-6]."""
        older = self._links.get(device_id)
        if older is not None:
            self.detach(device_id, older)
            older.close("the device connected again")
        if clean_session:
            self._subscriptions.pop(device_id, None)
            self._clean_sessions.add(device_id)
        self._subscriptions.setdefault(device_id, set())
        self._links[device_id] = link
        self._set_state(device_id, ConnectionState.CONNECTED)
        for callback in self.on_attached:
            callback(device_id)
        self._notify_if_ready(device_id)

    def detach(self, device_id: str, link: DeviceLink) -> None:
        """Forget the link; harmless if another has taken over since."""
        if self._links.get(device_id) is not link:
            return
        del self._links[device_id]
        if device_id in self._clean_sessions:
            self._clean_sessions.remove(device_id)
            self._subscriptions.pop(device_id, None)
        if self._store.has(device_id):
            self._set_state(device_id, ConnectionState.DISCONNECTED)
        for callback in self.on_lost:
            callback(device_id)

    def subscribe(self, device_id: str, subscription: Subscription) -> None:
        """Add a subscription, unless an earlier one ended the connection and its clean session."""
        if device_id not in self._subscriptions:
            return
        self._subscriptions[device_id].add(subscription)
        self._notify_if_ready(device_id)

    def unsubscribe(self, device_id: str, subscription: Subscription) -> None:
        self._subscriptions[device_id].discard(subscription)

    def subscriber(self, device_id: str, subscription: Subscription) -> DeviceLink | None:
        """Return the device's link if it is connected and subscribed, or None."""
        link = self._links.get(device_id)
        if link is None or subscription not in self._subscriptions[device_id]:
            return None
        return link

    def _notify_if_ready(self, device_id: str) -> None:
        if self.subscriber(device_id, Subscription.METHODS) is not None:
            for callback in self.on_ready_for_methods:
                callback(device_id)

    def _set_state(self, device_id: str, state: ConnectionState) -> None:
        now = self._clock.now()
        device = self._store.get(device_id).device
        self._store.put_device(
            replace(
                device,
                connection_state=state,
                connection_state_updated=now,
                last_activity=now,
            )
        )

    def _on_identity_change(self, device_id: str, entry: Entry | None) -> None:
        """Close the connection of a device that was deleted or disabled."""
        if entry is not None and entry.device.status is Status.ENABLED:
            return
        link = self._links.get(device_id)
        if link is not None:
            self.detach(device_id, link)
            link.close("the device was deleted or disabled")
        if entry is None:
            self._subscriptions.pop(device_id, None)
