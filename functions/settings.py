"""The deployment's settings, read from the environment once.

Azure gives app settings to the worker as environment variables; Core Tools and the local host do
so with `Values` of local.settings.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.errors import SettingsError
from functions.rollouts.model.quotas import Quotas, Tier, quotas

STORAGE = "AzureWebJobsStorage"
HUB = "IOTHUB_CONNECTION_STRING"
HUB_HOST = "IOTHUB_HOSTNAME"
TIER = "IOTHUB_TIER"
UNITS = "IOTHUB_UNITS"
SHARE = "ROLLOUT_QUOTA_SHARE"
SCALE = "IOTHUB_THROTTLE_SCALE"
# What rollouts may use of the hub's quotas, in percent; the rest is the customer's own hub_load's.
SHARE_PERCENT = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the hub and the storage account are, and how this app signs in to them.

    Exactly one of hub_connection_string and hub_hostname is set; likewise of the storage's
    connection string and its two service URLs. A connection string is a secret; repr() leaves it
    out. `limits` are the hub's quotas, by tier and units.
    """

    hub_connection_string: str | None = field(default=None, repr=False)
    hub_hostname: str | None = None
    storage_connection_string: str | None = field(default=None, repr=False)
    table_service_url: str | None = None
    queue_service_url: str | None = None
    limits: Quotas = field(default_factory=lambda: quotas(Tier.S1, 1))


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError that names what is missing or unusable."""
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
        limits=_limits(environment),
    )


def _limits(environment: Mapping[str, str]) -> Quotas:
    tier = environment.get(TIER) or Tier.S1
    if tier not in set(Tier):
        raise SettingsError(f"{TIER} must be one of {', '.join(Tier)}, not {tier[:20]!r}")
    units = _number(environment, UNITS, 1, 1, 200)
    if units != int(units):
        raise SettingsError(f"{UNITS} must be a whole number")
    share = _number(environment, SHARE, SHARE_PERCENT, 1, 100) / 100
    # Only stand-ins have one: a local hub whose quotas run faster (--throttle-scale).
    scale = _number(environment, SCALE, 1, 0.001, 100_000)
    return quotas(Tier(tier), int(units), share, scale)


def _number(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float
) -> float:
    text = (environment.get(name) or "").strip().removesuffix("%")
    try:
        value = float(text) if text else default
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{name} must be a number from {low:g} to {high:g}")
    return value


def _service_url(environment: Mapping[str, str], service: str) -> str | None:
    """Identity-based connections (Microsoft Learn, "Azure Functions developer guide")."""
    url = environment.get(f"{STORAGE}__{service}ServiceUri")
    account = environment.get(f"{STORAGE}__accountName")
    return url or (f"https://{account}.{service}.core.windows.net" if account else None)
