"""Read the app's settings. Nothing else in `functions` reads the environment.

Azure passes app settings to the worker as environment variables; Core Tools and the local host
pass `Values` of local.settings.json.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from functions.errors import SettingsError
from functions.rollouts.model.quotas import Quotas, Tier, quotas

STORAGE = "AzureWebJobsStorage"
HUB = "IOTHUB_CONNECTION_STRING"
HUB_HOST = "IOTHUB_HOSTNAME"
TIER = "IOTHUB_TIER"
UNITS = "IOTHUB_UNITS"
SHARE = "ROLLOUT_QUOTA_SHARE"
SCALE = "IOTHUB_THROTTLE_SCALE"
PUBLIC_URL = "ROLLOUT_PUBLIC_URL"
SCHEDULE = "ROLLOUT_ADVANCE_SCHEDULE"
DEFAULT_SCHEDULE = "*/10 * * * * *"
# The share of the hub's quotas for rollouts; the rest is for the customer's own use of the hub.
DEFAULT_SHARE_PERCENT = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The addresses of hub and storage account, how to sign in to them, and the hub's quotas.

    The hub has a connection string or a host name, the storage account a connection string or two
    service URLs. Connection strings are secrets; repr() leaves them out.
    """

    hub_connection_string: str | None = field(default=None, repr=False)
    hub_hostname: str | None = None
    storage_connection_string: str | None = field(default=None, repr=False)
    table_service_url: str | None = None
    queue_service_url: str | None = None
    identity_client_id: str | None = None  # of a user-assigned identity
    limits: Quotas = field(default_factory=lambda: quotas(Tier.S1, 1))


def read_environment() -> Settings:
    """Read the settings of this process. Raises SettingsError."""
    return read(os.environ)


def read_advance_schedule() -> str:
    """Read the timer's NCRONTAB expression.

    Importing the app needs it, also while other settings are missing.
    """
    return os.environ.get(SCHEDULE) or DEFAULT_SCHEDULE


def read_public_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """Read the URL at which callers reach the API's paths, without a slash at its end.

    None: callers reach the app directly. Raises SettingsError.
    """
    text = (environment.get(PUBLIC_URL) or "").strip()
    url = text.rstrip("/")
    if not text:
        return None
    if len(url) > _MAX_URL_CHARACTERS or not _BASE_URL.fullmatch(url) or not _has_valid_port(url):
        # What is before an @ or after a question mark may be a secret.
        shown = "" if set(text) & {"@", "?"} else f", not {text[:80]!r}"
        raise SettingsError(
            f"{PUBLIC_URL} must be an http or https URL with a host and no user, query or fragment,"
            f" such as https://rollouts.example/api{shown}"
        )
    return url


_MAX_URL_CHARACTERS = 1024
# Scheme, host (a name, or an IPv6 address in brackets), port, and path segments that no client
# would resolve: neither empty nor dots.
_BASE_URL = re.compile(
    r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
    r"(/(?!\.{1,2}(/|$))[a-z0-9._~!$&'()*+,;=:@%-]+)*",
    re.IGNORECASE | re.ASCII,
)


def _has_valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def read(environment: Mapping[str, str]) -> Settings:
    """Read settings. Raises SettingsError, which names the setting that is missing or invalid."""
    read_public_url(environment)
    hub = environment.get(HUB)
    host = environment.get(HUB_HOST)
    if not hub and not host:
        raise SettingsError(f"set {HUB}, or {HUB_HOST} to sign in with a managed identity")
    storage = environment.get(STORAGE)
    tables = _service_url(environment, "table")
    queues = _service_url(environment, "queue")
    if not storage and not (tables and queues):
        raise SettingsError(f"set {STORAGE}, or {STORAGE}__accountName for a managed identity")
    return Settings(
        hub_connection_string=hub or None,
        hub_hostname=None if hub else host,
        storage_connection_string=storage or None,
        table_service_url=None if storage else tables,
        queue_service_url=None if storage else queues,
        # The host's triggers read the client id from this setting too.
        identity_client_id=environment.get(f"{STORAGE}__clientId"),
        limits=_read_quotas(environment),
    )


def _read_quotas(environment: Mapping[str, str]) -> Quotas:
    tier = environment.get(TIER) or Tier.S1
    if tier not in set(Tier):
        raise SettingsError(f"{TIER} must be one of {', '.join(Tier)}, not {tier[:20]!r}")
    units = _read_number(environment, UNITS, default=1, minimum=1, maximum=200)
    if units != int(units):
        raise SettingsError(f"{UNITS} must be a whole number")
    percent = _read_number(
        environment, SHARE, default=DEFAULT_SHARE_PERCENT, minimum=1, maximum=100
    )
    # For the local hub, which can run its quotas faster (--throttle-scale).
    scale = _read_number(environment, SCALE, default=1, minimum=0.001, maximum=100_000)
    return quotas(Tier(tier), int(units), percent / 100, scale)


def _read_number(
    environment: Mapping[str, str], name: str, *, default: float, minimum: float, maximum: float
) -> float:
    text = (environment.get(name) or "").strip().removesuffix("%")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan  # compares as out of range
    if not minimum <= value <= maximum:
        raise SettingsError(f"{name} must be a number from {minimum:g} to {maximum:g}")
    return value


def _service_url(environment: Mapping[str, str], service: str) -> str | None:
    """Return the URL for a managed identity, or None if no setting names the account.

    Microsoft Learn, "Azure Functions developer guide", identity-based connections.
    """
    url = environment.get(f"{STORAGE}__{service}ServiceUri")
    account = environment.get(f"{STORAGE}__accountName")
    return url or (f"https://{account}.{service}.core.windows.net" if account else None)
