"""A cloud-to-device message as a value."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`properties` are the application's; `system_properties` by their names on the wire: mid."""

    body: bytes
    properties: dict[str, str] = field(default_factory=dict)
    system_properties: dict[str, str] = field(default_factory=dict)

    @property
    def property_bag(self) -> str:
        """As a topic has them: URL-encoded, system properties with a `$.` before their names.

        Raises UnicodeEncodeError for half a surrogate pair, which no topic can say.
        """
        bag = {f"$.{name}": value for name, value in self.system_properties.items()}
        return urlencode(bag | self.properties, quote_via=quote, safe="")
