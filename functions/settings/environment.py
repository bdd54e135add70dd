"""Read the settings from the environment. Nothing else in `functions` reads it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from functions.errors import SettingsError
from functions.outbound.port import AllowedAddresses
from functions.rollouts.model.quarantine import QuarantineRule
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.settings.connections import Connection, read_hub, read_storage
from functions.settings.names import (
    INSIGHTS,
    OTLP_ENDPOINT,
    PACKAGE_CHECK,
    PACKAGE_STORAGE,
    PUBLIC_URL,
    SCHEDULE,
    STORAGE,
    TABLES,
    TRUST_EASY_AUTH,
)
from functions.settings.quotas import read_quotas
from functions.settings.values import (
    check_schedule,
    read_boolean,
    read_outbound,
    read_quarantine,
    read_retention,
    read_url,
)

DEFAULT_SCHEDULE = "*/10 * * * * *"
# Schedules whose ticks come at equal intervals of seconds, or of minutes.
_EVERY_SECONDS = re.compile(r"\*(?:/(\d{1,2}))? \* \* \* \* \*", re.ASCII)
_EVERY_MINUTES = re.compile(r"0 \*(?:/(\d{1,2}))? \* \* \* \*", re.ASCII)


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


def read(environment: Mapping[str, str]) -> Settings:
    """Read settings. Raises SettingsError, which names the setting that is missing or invalid."""
    read_trust_easy_auth(environment)
    check_schedule(environment)
    queue = read_storage(environment, STORAGE, "queue")
    tables = read_storage(environment, TABLES, "table") or read_storage(
        environment, STORAGE, "table"
    )
    hub = read_hub(environment)
    if queue is None or tables is None:
        raise SettingsError(f"set {STORAGE}, or {STORAGE}__accountName for a managed identity")
    return Settings(
        hub=hub,
        tables=tables,
        queue=queue,
        quarantine=read_quarantine(environment),
        retention=read_retention(environment),
        outbound=read_outbound(environment),
        packages=read_storage(environment, PACKAGE_STORAGE, "blob"),
        checks_packages=read_boolean(environment, PACKAGE_CHECK, default="true"),
        public_url=read_public_url(environment),
        limits=read_quotas(environment),
    )


def read_advance_schedule() -> str:
    """Read the timer's NCRONTAB expression.

    Importing the app needs it, also while other settings are missing.
    """
    return (os.environ.get(SCHEDULE) or "").strip() or DEFAULT_SCHEDULE


def read_tick_interval() -> timedelta | None:
    """Return the longest time between two ticks by the schedule; None: it is irregular."""
    schedule = read_advance_schedule()
    if found := _EVERY_SECONDS.fullmatch(schedule):
        return timedelta(seconds=int(found[1] or 1))
    if found := _EVERY_MINUTES.fullmatch(schedule):
        return timedelta(minutes=int(found[1] or 1))
    return None


def read_public_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """Read the URL at which callers reach the API's paths, without a slash at its end.

    None: callers reach the app directly. Raises SettingsError.
    """
    return read_url(environment, PUBLIC_URL)


def read_trust_easy_auth(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether App Service authentication is on, so that its headers are true.

    Raises SettingsError.
    """
    return read_boolean(environment, TRUST_EASY_AUTH, default="false")
