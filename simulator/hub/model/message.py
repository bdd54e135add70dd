"""A cloud-to-device message as a value."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`properties` are the application's; `system_properties` by their names on the wire: mid."""

    body: bytes
    properties: dict[str, str] = field(default_factory=dict)
    system_properties: dict[str, str] = field(default_factory=dict)
