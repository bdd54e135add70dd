"""Make links to packages in one storage account, which allows no anonymous reads.

A blob is the account's if its URI begins with the account's own address and has no query. With an
identity the link is a user delegation SAS: it allows no more than the roles of the identity
(Microsoft Learn, "Create a user delegation SAS"). With a connection string the account's key signs
it. Links are never stored or shown.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from functions.errors import SettingsError
from functions.outbound.port import PackageLinkError

# A user delegation key, and so its signatures, is valid for 7 days at most (same source).
KEY_VALIDITY = timedelta(days=7) - timedelta(minutes=15)
MAX_VALIDITY = timedelta(days=6)
# One request per hour and process; a key that was withdrawn is noticed after that.
KEY_RENEWAL = timedelta(hours=1)
# Clocks differ a little; a key must not begin in the service's future.
_CLOCK_DIFFERENCE = timedelta(minutes=5)
CONNECT_SECONDS = 5
READ_SECONDS = 20
# Containers that hold no packages: the Functions host keeps function keys in azure-webjobs-secrets.
_CONTAINER = re.compile(r"(?!azure-webjobs-)[a-z0-9](?:-?[a-z0-9]){2,62}")
_REFUSALS = frozenset({400, 401, 403, 404})


@dataclass(frozen=True, slots=True)
class _Key:
    """A user delegation key."""

    value: Any
    fetched_at: datetime
    expires_at: datetime


def open_blob_links(
    source: str,
    credential: TokenCredential | None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **options: Any,
) -> "BlobLinks":
    """Open the account of a connection string or, with a credential, of a blob service's URL.

    `options` are those of the SDK's client. Raises SettingsError.
    """
    # Slow to import, and needed only where the setting names an account.
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415

    options = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retry_total": 1,
        **options,
    }
    try:
        service = (
            BlobServiceClient(source, credential=credential, **options)
            if credential
            else BlobServiceClient.from_connection_string(source, **options)
        )
    except ValueError:
        # Without the cause: the SDK's message may repeat the string, which contains a key.
        raise SettingsError("ROLLOUT_PACKAGE_STORAGE is not a connection string") from None
    return BlobLinks(service, clock, has_key=credential is None)


class BlobLinks:
    """Implement `port.PackageLinks`. Threads may share it."""

    def __init__(self, service: Any, clock: Callable[[], datetime], *, has_key: bool) -> None:
        self._service = service
        self._clock = clock
        self._has_key = has_key  # of the account; False: the identity's key signs
        self._lock = Lock()
        self._key: _Key | None = None

    def make(self, uri: str, valid_for: timedelta) -> str:
        found = self._split(uri)
        if found is None:
            return uri
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415

        container, blob = found
        expires_at = self._clock() + min(valid_for, MAX_VALIDITY)
        signature = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=container,
            blob_name=blob,
            permission=BlobSasPermissions(read=True),
            expiry=expires_at,
            protocol=None if uri.startswith("http:") else "https",
            **self._signer(expires_at),
        )
        return f"{uri}?{signature}"

    def _split(self, uri: str) -> tuple[str, str] | None:
        """Return container and blob of a URI, or None if the account has no such package."""
        parts, own = urlsplit(uri), urlsplit(str(self._service.url))
        prefix = f"{own.path.rstrip('/')}/"
        is_own = _origin(parts) == _origin(own) and parts.path.startswith(prefix)
        if not is_own or parts.query or parts.fragment or "@" in parts.netloc:
            return None
        container, _, blob = parts.path.removeprefix(prefix).partition("/")
        return (container, unquote(blob)) if blob and _CONTAINER.fullmatch(container) else None

    def _signer(self, expires_at: datetime) -> dict[str, Any]:
        if self._has_key:
            return {"account_key": self._service.credential.account_key}
        with self._lock:
            now, key = self._clock(), self._key
            is_usable = key is not None and key.expires_at >= expires_at
            if key is None or not is_usable or now >= key.fetched_at + KEY_RENEWAL:
                key = self._key = self._fetch_key(now)
            return {"user_delegation_key": key.value}

    def _fetch_key(self, now: datetime) -> _Key:
        begins_at, expires_at = now - _CLOCK_DIFFERENCE, now + KEY_VALIDITY
        try:
            value = self._service.get_user_delegation_key(begins_at, expires_at)
        except ClientAuthenticationError as error:
            raise self._refused("the app's identity cannot sign in, or has no role") from error
        except HttpResponseError as error:
            status = error.status_code
            if status in _REFUSALS:
                raise self._refused(f"status {status}") from error
            raise self._unreachable(f"status {status}") from error
        except AzureError as error:
            raise self._unreachable(type(error).__name__) from error
        return _Key(value, now, expires_at)

    def _refused(self, why: str) -> PackageLinkError:
        return PackageLinkError(
            f"The storage account {self._host()} gives the app no key for links to packages: {why}."
            " Assign Storage Blob Delegator and Storage Blob Data Reader to the app's identity, and"
            " check ROLLOUT_PACKAGE_STORAGE.",
            is_refusal=True,
        )

    def _unreachable(self, why: str) -> PackageLinkError:
        return PackageLinkError(
            f"The storage account {self._host()} with the packages cannot be reached: {why}.",
            is_refusal=False,
        )

    def _host(self) -> str:
        return str(urlsplit(str(self._service.url)).hostname)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
