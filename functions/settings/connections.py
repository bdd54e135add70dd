"""Read how the app reaches and signs in to the hub and to storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.errors import SettingsError
from functions.settings.names import CLIENT_ID, HUB, HUB_CLIENT_ID, HUB_HOST


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


def read_hub(environment: Mapping[str, str]) -> Connection:
    if text := environment.get(HUB):
        return Connection(connection_string=text)
    if host := environment.get(HUB_HOST):
        client_id = environment.get(HUB_CLIENT_ID) or environment.get(CLIENT_ID)
        return Connection(address=host, identity=AppIdentity(client_id=client_id or None))
    raise SettingsError(f"set {HUB}, or {HUB_HOST} to sign in with a managed identity")


def read_storage(environment: Mapping[str, str], name: str, service: str) -> Connection | None:
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
