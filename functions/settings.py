"""Read the app's settings. Nothing else in `functions` reads the environment.

Azure passes app settings to the worker as environment variables; Core Tools and the local host
pass `Values` of local.settings.json.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from functions.errors import SettingsError
from functions.outbound.port import AllowedAddresses
from functions.rollouts.model.quarantine import QuarantineRule
from functions.rollouts.model.quotas import Quotas, Tier, quotas

STORAGE = "AzureWebJobsStorage"
TABLES = "ROLLOUT_TABLES"
HUB = "IOTHUB_CONNECTION_STRING"
HUB_HOST = "IOTHUB_HOSTNAME"
HUB_CLIENT_ID = "IOTHUB_CLIENT_ID"
CLIENT_ID = "AZURE_CLIENT_ID"
TIER = "IOTHUB_TIER"
UNITS = "IOTHUB_UNITS"
SHARE = "ROLLOUT_QUOTA_SHARE"
DAILY_SHARE = "ROLLOUT_DAILY_SHARE"
SCALE = "IOTHUB_THROTTLE_SCALE"
PUBLIC_URL = "ROLLOUT_PUBLIC_URL"
TRUST_EASY_AUTH = "ROLLOUT_TRUST_EASY_AUTH"
QUARANTINE = "ROLLOUT_DEVICE_QUARANTINE"
MIN_QUARANTINE_FAILURES = 2  # one failure may be the firmware's
MAX_QUARANTINE_DAYS = 365
_QUARANTINE_RULE = re.compile(r"([1-9][0-9]?) in P([1-9][0-9]{0,2})D")
RETENTION = "ROLLOUT_RETENTION"
DEFAULT_RETENTION = "P400D"
_RETENTION = re.compile(
    r"P(?=.)((?P<days>\d{1,5})D)?(T(?=.)((?P<hours>\d{1,5})H)?((?P<minutes>\d{1,5})M)?"
    r"((?P<seconds>\d{1,5})S)?)?",
    re.ASCII,
)
OUTBOUND = "ROLLOUT_OUTBOUND_ADDRESSES"
INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PACKAGE_STORAGE = "ROLLOUT_PACKAGE_STORAGE"
PACKAGE_CHECK = "ROLLOUT_PACKAGE_CHECK"
SCHEDULE = "ROLLOUT_ADVANCE_SCHEDULE"
DEFAULT_SCHEDULE = "*/10 * * * * *"
# Schedules whose ticks come at equal intervals of seconds, or of minutes.
_EVERY_SECONDS = re.compile(r"\*(?:/(\d{1,2}))? \* \* \* \* \*", re.ASCII)
_EVERY_MINUTES = re.compile(r"0 \*(?:/(\d{1,2}))? \* \* \* \*", re.ASCII)
# The share of the hub's quotas for rollouts; the rest is for the customer's own use of the hub.
DEFAULT_SHARE_PERCENT = 80.0
# The share of the hub's messages of a day for rollouts. Once they are used up, the hub refuses the
# customer's devices, too, so this share is smaller.
DEFAULT_DAILY_SHARE_PERCENT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppIdentity:
    """The identity with which the app signs in to a service."""

    client_id: str | None = None  # of a user-assigned identity; None: the system-assigned one
    managed_only: bool = False  # no other credential of the environment is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one service: a connection string, or an address and an identity."""

    connection_string: str | None = field(default=None, repr=False)  # a secret
    address: str = ""  # a host name or a URL
    identity: AppIdentity | None = None  # None: the connection string has a key


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The connections of the app, each with its own way to sign in, and the hub's quotas."""

    hub: Connection
    tables: Connection
    queue: Connection
    quarantine: QuarantineRule | None = None  # None: off
    retention: timedelta | None = None  # how long ended rollouts are kept; None: for ever
    outbound: AllowedAddresses = AllowedAddresses.PUBLIC  # of webhooks and packages
    packages: Connection | None = None  # private storage of packages; None: not used
    checks_packages: bool = True  # a plan looks its package up
    public_url: str | None = None  # None: callers reach the app directly
    limits: Quotas = field(default_factory=lambda: quotas(Tier.S1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Where the telemetry of a process goes."""

    insights: str | None = field(default=None, repr=False)  # a connection string, a secret
    has_otlp_endpoint: bool = False  # used without `insights`; OpenTelemetry reads it itself

    @property
    def destination(self) -> str | None:
        """Return the name of the setting that counts, or None if no telemetry is exported."""
        if self.insights is not None:
            return INSIGHTS
        return OTLP_ENDPOINT if self.has_otlp_endpoint else None


def read_telemetry(environment: Mapping[str, str] = os.environ) -> TelemetrySettings:
    """Read where the telemetry goes. Raises nothing."""
    return TelemetrySettings(
        insights=environment.get(INSIGHTS) or None,
        has_otlp_endpoint=bool(environment.get(OTLP_ENDPOINT)),
    )


def read_environment() -> Settings:
    """Read the settings of this process. Raises SettingsError."""
    return read(os.environ)


def read_advance_schedule() -> str:
    """Read the timer's NCRONTAB expression.

    Importing the app needs it, also while other settings are missing.
    """
    return os.environ.get(SCHEDULE) or DEFAULT_SCHEDULE


def read_tick_interval() -> timedelta | None:
    """Return the longest time between two ticks by the schedule; None: it is irregular."""
    schedule = read_advance_schedule().strip()
    if found := _EVERY_SECONDS.fullmatch(schedule):
        return timedelta(seconds=int(found[1] or 1))
    if found := _EVERY_MINUTES.fullmatch(schedule):
        return timedelta(minutes=int(found[1] or 1))
    return None


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


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
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
    read_trust_easy_auth(environment)
    queue = _read_storage(environment, STORAGE, "queue")
    tables = _read_storage(environment, TABLES, "table") or _read_storage(
        environment, STORAGE, "table"
    )
    hub = _read_hub(environment)
    if queue is None or tables is None:
        raise SettingsError(f"set {STORAGE}, or {STORAGE}__accountName for a managed identity")
    return Settings(
        hub=hub,
        tables=tables,
        queue=queue,
        quarantine=_read_quarantine(environment),
        retention=_read_retention(environment),
        outbound=_read_outbound(environment),
        packages=_read_storage(environment, PACKAGE_STORAGE, "blob"),
        checks_packages=_read_boolean(environment, PACKAGE_CHECK, default="true"),
        public_url=read_public_url(environment),
        limits=_read_quotas(environment),
    )


def read_trust_easy_auth(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether App Service authentication is on, so that its headers are true.

    Raises SettingsError.
    """
    return _read_boolean(environment, TRUST_EASY_AUTH, default="false")


def _read_boolean(environment: Mapping[str, str], name: str, *, default: str) -> bool:
    text = (environment.get(name) or default).strip().lower()
    if text not in _BOOLEANS:
        raise SettingsError(f"{name} must be true or false, not {text[:20]!r}")
    return _BOOLEANS[text]


def _read_hub(environment: Mapping[str, str]) -> Connection:
    if text := environment.get(HUB):
        return Connection(connection_string=text)
    if host := environment.get(HUB_HOST):
        client_id = environment.get(HUB_CLIENT_ID) or environment.get(CLIENT_ID)
        return Connection(address=host, identity=AppIdentity(client_id=client_id or None))
    raise SettingsError(f"set {HUB}, or {HUB_HOST} to sign in with a managed identity")


def _read_storage(environment: Mapping[str, str], name: str, service: str) -> Connection | None:
    """Return the connection `name` to one service of an account, or None if it is not set.

    A connection string comes before an identity, and the identity is chosen as the host's triggers
    choose it (Microsoft Learn, "Azure Functions developer guide", identity-based connections).
    """
    if text := environment.get(name):
        return Connection(connection_string=text)
    url = environment.get(f"{name}__{service}ServiceUri")
    account = environment.get(f"{name}__accountName")
    if not url and not account:
        return None
    client_id = environment.get(f"{name}__clientId")
    managed_only = (environment.get(f"{name}__credential") or "").lower() == "managedidentity"
    if not managed_only:
        client_id = client_id or environment.get(CLIENT_ID)
    return Connection(
        address=url or f"https://{account}.{service}.core.windows.net",
        identity=AppIdentity(client_id=client_id or None, managed_only=managed_only),
    )


def _read_quotas(environment: Mapping[str, str]) -> Quotas:
    tier = environment.get(TIER) or Tier.S1
    if tier not in set(Tier):
        raise SettingsError(f"{TIER} must be one of {', '.join(Tier)}, not {tier[:20]!r}")
    units = _read_number(environment, UNITS, default=1, minimum=1, maximum=200)
    if units != int(units):
        raise SettingsError(f"{UNITS} must be a whole number")
    if tier == Tier.F1 and units > 1:
        raise SettingsError(f"{UNITS} must be 1 with {TIER} F1, which has one unit")
    percent = _read_number(
        environment, SHARE, default=DEFAULT_SHARE_PERCENT, minimum=1, maximum=100
    )
    daily_percent = _read_number(
        environment, DAILY_SHARE, default=DEFAULT_DAILY_SHARE_PERCENT, minimum=1, maximum=100
    )
    # For the local hub, which can run its quotas faster (--throttle-scale).
    scale = _read_number(environment, SCALE, default=1, minimum=0.001, maximum=100_000)
    return quotas(Tier(tier), int(units), percent / 100, scale, daily_percent / 100)


def _read_quarantine(environment: Mapping[str, str]) -> QuarantineRule | None:
    """Read a rule such as "3 in P30D". Return None without the setting, or if it is "off"."""
    text = (environment.get(QUARANTINE) or "off").strip()
    if text == "off":
        return None
    found = _QUARANTINE_RULE.fullmatch(text)
    failures, days = map(int, found.groups()) if found else (0, 0)
    if failures < MIN_QUARANTINE_FAILURES or days > MAX_QUARANTINE_DAYS:
        raise SettingsError(
            f"{QUARANTINE} must be off, or a number of rollouts from 2 to 99 and 1 to 365 days,"
            f" such as 3 in P30D, not {text[:20]!r}"
        )
    return QuarantineRule(failures=failures, period=timedelta(days=days))


def _read_retention(environment: Mapping[str, str]) -> timedelta | None:
    """Read how long ended rollouts are kept. Return None for "P0D": for ever."""
    text = (environment.get(RETENTION) or DEFAULT_RETENTION).strip()
    found = _RETENTION.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"{RETENTION} must be an ISO 8601 duration in days, hours, minutes or seconds, such as"
            f" P400D, or P0D to keep ended rollouts for ever, not {text[:20]!r}"
        )
    parts = {unit: int(number) for unit, number in found.groupdict().items() if number}
    return timedelta(**parts) or None


def _read_outbound(environment: Mapping[str, str]) -> AllowedAddresses:
    text = (environment.get(OUTBOUND) or AllowedAddresses.PUBLIC).strip().lower()
    if text not in set(AllowedAddresses):
        known = ", ".join(AllowedAddresses)
        raise SettingsError(f"{OUTBOUND} must be one of {known}, not {text[:20]!r}")
    return AllowedAddresses(text)


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
