"""The topics of IoT Hub: those that a device publishes to, subscribes to and receives.

Source: Microsoft Learn, "Communicate with your IoT hub using the MQTT protocol". Request ids and
device ids are not decoded, because the SDKs do not encode them. The length of a request id is
limited, because the topic of the response repeats it.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from simulator.hub.model.connections import Subscription
from simulator.hub.model.message import Message

_TWIN_GET = re.compile(r"\$iothub/twin/GET/\?\$rid=([^&]{1,1024})(?:&.*)?")
_TWIN_REPORT = re.compile(r"\$iothub/twin/PATCH/properties/reported/\?\$rid=([^&]{1,1024})(?:&.*)?")
_METHOD_RESPONSE = re.compile(r"\$iothub/methods/res/(-?\d{1,9})/\?\$rid=([^&]{1,1024})(?:&.*)?")


@dataclass(frozen=True, slots=True)
class TwinGet:
    request_id: str


@dataclass(frozen=True, slots=True)
class TwinReport:
    request_id: str


@dataclass(frozen=True, slots=True)
class MethodResult:
    status: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A device-to-cloud message. `properties` is the property bag, URL-encoded as received."""

    properties: str = ""


type DeviceTopic = TwinGet | TwinReport | MethodResult | Telemetry


def read_topic(topic: str, device_id: str) -> DeviceTopic | None:
    """Return the request that `topic` stands for, or None if the hub has no such topic."""
    if match := _METHOD_RESPONSE.fullmatch(topic):
        return MethodResult(int(match[1]), match[2])
    if match := _TWIN_REPORT.fullmatch(topic):
        return TwinReport(match[1])
    if match := _TWIN_GET.fullmatch(topic):
        return TwinGet(match[1])
    base = f"{_base(device_id)}/messages/events"
    if topic == base or topic.startswith(base + "/"):
        return Telemetry(topic[len(base) + 1 :])
    return None


def read_filter(topic_filter: str, device_id: str) -> Subscription | None:
    """Return the subscription of a topic filter, or None if devices may not have it."""
    if topic_filter == f"{_base(device_id)}/messages/devicebound/#":
        return Subscription.DEVICEBOUND
    return _FILTERS.get(topic_filter)


_FILTERS = {
    "$iothub/methods/POST/#": Subscription.METHODS,
    "$iothub/twin/res/#": Subscription.TWIN_RESPONSES,
    "$iothub/twin/PATCH/properties/desired/#": Subscription.DESIRED_CHANGES,
}


def _base(client_id: str) -> str:
    """Return `devices/{id}`, or `devices/{id}/modules/{id}` for a module's client id."""
    return "devices/" + client_id.replace("/", "/modules/", 1)


def method_topic(name: str, request_id: str) -> str:
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={request_id}"


def twin_response_topic(status: int, request_id: str, version: int | None = None) -> str:
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={request_id}{suffix}"


def devicebound_topic(device_id: str, message: Message) -> str:
    return f"{_base(device_id)}/messages/devicebound/{message.property_bag}"


def desired_topic(version: int) -> str:
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"
