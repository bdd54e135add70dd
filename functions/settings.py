"""The deployment's settings, read from the environment once.

Azure gives app settings to the worker as environment variables; Core Tools and the local host do
so with `Values` of local.settings.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.errors import SettingsError

STORAGE = "AzureWebJobsStorage"
HUB = "IOTHUB_CONNECTION_STRING"
HUB_HOST = "IOTHUB_HOSTNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the hub and the storage account are, and how this app signs in to them.

    Exactly one of each pair is set. A connection string is a secret; repr() leaves it out.
    """

    hub_connection_string: str | None = field(default=None, repr=False)
    hub_hostname: str | None = None
    storage_connection_string: str | None = field(default=None, repr=False)
    table_service_url: str | None = None


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError that names what is missing."""
    hub = environment.get(HUB)
    host = environment.get(HUB_HOST)
    if not hub and not host:
        raise SettingsError(f"set {HUB}, or {HUB_HOST} to sign in with a managed identity")
    storage = environment.get(STORAGE)
    tables = _table_service_url(environment)
    if not storage and not tables:
        raise SettingsError(f"set {STORAGE}, or {STORAGE}__accountName for a managed identity")
    return Settings(
        hub_connection_string=hub or None,
        hub_hostname=None if hub else host,
        storage_connection_string=storage or None,
        table_service_url=None if storage else tables,
    )


def _table_service_url(environment: Mapping[str, str]) -> str | None:
    """Identity-based connections (Microsoft Learn, "Azure Functions developer guide")."""
    url = environment.get(f"{STORAGE}__tableServiceUri")
    account = environment.get(f"{STORAGE}__accountName")
    return url or (f"https://{account}.table.core.windows.net" if account else None)
