"""Say what the use cases need to reach webhooks and packages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
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
    # Where a redirect leads, perhaps with a secret; None: nowhere.
    location: str | None = field(default=None, repr=False)
    content_length: int | None = None  # of the resource, in bytes; None: not known

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

    def get_first_byte(self, url: str) -> Outcome:
        """Send a GET for the first byte, and do not read it. Raises as `head`."""


class PackageLinkError(PortError):
    """No link for a package can be made; the message says why, and what to do.

    `is_refusal`: a repeat cannot succeed before a role or a setting is changed.
    """

    def __init__(self, message: str, *, is_refusal: bool) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


class PackageLinks(Protocol):
    """Make links that let a device download a package for a limited time."""

    def make(self, uri: str, valid_for: timedelta) -> str:
        """Return a link, which is a secret; the URI itself if its package needs none.

        Raises PackageLinkError.
        """


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was found at the location of a package."""

    problem: str | None = None  # why it cannot be downloaded from here, without secrets
    size_bytes: int | None = None  # None: not known


class PackageLookup(Protocol):
    """Look a package up, as a device that downloads it would."""

    def look_up(self, url: str) -> Lookup:
        """Return what is at a URL, within some seconds. Raises nothing."""
