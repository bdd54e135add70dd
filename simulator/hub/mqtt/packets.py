"""The packets of MQTT 3.1.1 that IoT Hub uses.

Packets of QoS 2 are missing: the hub closes the connection instead (Microsoft Learn, "Communicate
with your IoT hub using the MQTT protocol").
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A CONNECT. `level` is 4 for MQTT 3.1.1; a packet of another level is not decoded further."""

    client_id: str
    clean_session: bool = True
    keep_alive: int = 0
    user_name: str | None = None
    password: bytes | None = None
    will: Will | None = None
    level: int = 4


@dataclass(frozen=True, slots=True)
class ConnAck:
    """The response to a CONNECT. Return codes: section 3.2.2.3 of the specification."""

    return_code: int
    session_present: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """A message. `packet_id` is 0 for QoS 0 and 1 to 65,535 for QoS 1."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    retain: bool = False
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class PubAck:
    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters with their requested QoS, in order; at least one."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SubAck:
    """One return code for each filter, in order: the granted QoS, or 0x80 for a refusal."""

    packet_id: int
    return_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnsubAck:
    packet_id: int


@dataclass(frozen=True, slots=True)
class PingReq:
    pass


@dataclass(frozen=True, slots=True)
class PingResp:
    pass


@dataclass(frozen=True, slots=True)
class Disconnect:
    pass


type Packet = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
)
