"""A cloud-to-device message."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a device."""

    body: bytes
    properties: dict[str, str] = field(default_factory=dict)
    """The application's properties."""
    system_properties: dict[str, str] = field(default_factory=dict)
    """By their names in a topic: `mid`."""

    @property
    def property_bag(self) -> str:
        """Encode as in a topic: URL-encoded, with `$.` before the names of system properties.

        Raises UnicodeEncodeError for half a surrogate pair, which no topic can contain.
        """
        bag = {f"$.{name}": value for name, value in self.system_properties.items()}
        return urlencode(bag | self.properties, quote_via=quote, safe="")
