"""Building blocks of the tests: a manual clock, a hub, a device's link, tokens."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub.model import sas
from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import Authentication, AuthenticationType, Device, DeviceSettings
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.message import Message
from simulator.hub.model.persistence import Kind, Record, StateError, Table
from simulator.hub.model.quotas import Quota

NOW = 1_700_000_000.0


@dataclass
class ManualTimer:
    due: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class ManualClock:
    """A clock that changes with `advance` only."""

    time: float = NOW
    timers: list[ManualTimer] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> ManualTimer:
        timer = ManualTimer(self.time + seconds, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.time += seconds
        due = [timer for timer in self.timers if timer.due <= self.time]
        self.timers = [timer for timer in self.timers if timer.due > self.time]
        for timer in sorted(due, key=lambda timer: timer.due):
            if not timer.cancelled:
                timer.callback()


@dataclass(eq=False)
class RecordingLink:
    """A connected device that records what it receives."""

    methods: list[tuple[str, str, bytes]] = field(default_factory=list)
    desired: list[tuple[Document, int]] = field(default_factory=list)
    messages: list[tuple[Message, int, bool]] = field(default_factory=list)
    suspended: list[bool] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    expires_at: int | None = None

    def send_method(self, request_id: str, name: str, payload: bytes) -> None:
        self.methods.append((request_id, name, payload))

    def send_desired(self, patch: Document, version: int) -> None:
        self.desired.append((patch, version))

    def send_message(self, message: Message, packet_id: int, *, duplicate: bool) -> None:
        self.messages.append((message, packet_id, duplicate))

    def suspend(self, *, suspended: bool) -> None:
        self.suspended.append(suspended)

    def close(self, reason: str) -> None:
        self.closed.append(reason)


class MemoryTable:
    """Records as a table would store them; `is_full` refuses every change."""

    def __init__(self) -> None:
        self.records: dict[tuple[Kind, str], Record] = {}
        self.is_full = False

    def put(self, record: Record) -> None:
        self._check_space()
        document = json.loads(json.dumps(record.document))
        self.records[record.kind, record.key] = replace(record, document=document)

    def remove(self, kind: Kind, key: str) -> None:
        self._check_space()
        del self.records[kind, key]

    def in_order(self) -> list[Record]:
        """Return the records in the order in which a new hub restores them."""
        order = sorted(self.records.values(), key=lambda record: (record.kind, record.serial))
        return copy.deepcopy(order)

    def _check_space(self) -> None:
        if self.is_full:
            raise StateError("no space left")


def make_hub(
    *,
    clock: ManualClock | None = None,
    query_lag_seconds: float = 0,
    quota: Quota | None = None,
    table: Table | None = None,
) -> Hub:
    hub = Hub(
        clock=clock or ManualClock(),
        owner_key=DEVELOPMENT_KEY,
        names=("localhost", "127.0.0.1", "::1"),
        query_lag_seconds=query_lag_seconds,
        quota=quota,
    )
    hub.persistence.store_in(table)
    return hub


def make_device(hub: Hub, device_id: str = "one", **changes: str) -> Device:
    """Register a device with SAS keys."""
    return hub.registry.create(settings(device_id, **changes))


def settings(device_id: str, **authentication: str) -> DeviceSettings:
    return DeviceSettings(
        device_id=device_id,
        authentication=Authentication(type=AuthenticationType.SAS, **authentication),
    )


def connect(hub: Hub, device_id: str = "one", *subscriptions: Subscription) -> RecordingLink:
    link = RecordingLink()
    hub.connections.attach(device_id, link, clean_session=False)
    for subscription in subscriptions:
        hub.connections.subscribe(device_id, subscription)
    return link


def token(resource: str, key: str, *, expiry: float = NOW + 3600, policy: str | None = None) -> str:
    """Return a SAS token as the SDKs make it."""
    encoded = quote(resource, safe="")
    signature = quote(sas.signature(encoded, int(expiry), key), safe="")
    text = f"SharedAccessSignature sr={encoded}&sig={signature}&se={int(expiry)}"
    return text if policy is None else f"{text}&skn={policy}"
