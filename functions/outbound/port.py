"""Say what the use cases need to reach webhooks and packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from functions.errors import PortError


class AllowedAddresses(StrEnum):
    """Which addresses may be dialled. Link-local and platform addresses never are."""

    PUBLIC = "public"
    LOOPBACK = "loopback"  # public ones, and this machine's
    PRIVATE = "private"  # public ones, this machine's, and those of private networks


class AddressError(PortError):
    """A URL may not be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended."""

    status: int | None  # None: no response came
    detail: str  # for people, without secrets
    retry_after_seconds: float | None = None  # as the response says; None: it says nothing

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class Outbound(Protocol):
    """Send requests. Redirects are not followed, and responses are not kept."""

    def check(self, url: str) -> None:
        """Resolve a URL's host. Raises AddressError if its address may not be dialled."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Send a POST. Raises nothing."""

    def head(self, url: str) -> Outcome:
        """Send a HEAD. Raises AddressError if the URL's address may not be dialled."""
