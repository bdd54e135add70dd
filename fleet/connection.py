"""Where the API is and how to sign in: from options, environment and profile, in this order."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fleet.exit_codes import UsageError
from fleet.profiles import Profile, read_profile

_MAX_KEY_LENGTH = 4_096


@dataclass(frozen=True)
class Connection:
    """A checked address, and what signs the caller in."""

    api: str  # without a slash at the end
    key: str | None = field(default=None, repr=False)
    scope: str | None = None  # of the Entra ID token; None: no token is sent

    def headers(self) -> dict[str, str]:
        """Return the headers that sign a request in. Raises SignInError.

        Functions need their key also behind App Service authentication, which needs a token.
        """
        headers = {"x-functions-key": self.key} if self.key else {}
        if self.scope:
            headers["Authorization"] = f"Bearer {_entra_token(self.scope)}"
        return headers


def connect(given: Profile, profile_name: str | None) -> Connection:
    """Return the connection; what is not `given` comes from the profile. Raises UsageError.

    The key of a profile is sent only to the API of that profile.
    """
    kept = read_profile(profile_name)
    api = given.api or kept.api
    if not api:
        raise UsageError(
            "Which API? Set --api or FLEET_API, or keep a connection: fleet profile save --api ..."
        )
    is_kept = given.api is None or given.api.rstrip("/") == (kept.api or "").rstrip("/")
    key = given.key or (kept.key if is_kept and not given.scope else None)
    scope = given.scope or (kept.scope if is_kept and not given.key else None)
    return Connection(check_api(api), check_key(key), scope)


def check_api(api: str) -> str:
    """Return the URL without a slash at the end. Raises UsageError; no secret is repeated."""
    try:
        parts = urlsplit(api.strip())
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise UsageError("--api is not a valid URL.") from None
    if not api.strip().isprintable() or " " in api.strip():
        raise UsageError("--api is not a valid URL: it has spaces or control characters.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("--api must hold no key, user or query; set FLEET_KEY or --key instead.")
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(
            f"--api must be an http or https URL such as"
            f" https://<app>.azurewebsites.net/api, not {api!r}."
        )
    is_local = host in {"localhost", "::1"} or host.startswith("127.")
    if parts.scheme == "http" and not is_local:
        raise UsageError("--api must be https: http would send the key unencrypted.")
    return api.strip().rstrip("/")


def check_key(key: str | None) -> str | None:
    """Return the key without spaces at its ends. Raises UsageError; the key is not repeated."""
    key = (key or "").strip()
    if not key:
        return None
    if not (key.isascii() and key.isprintable() and len(key) <= _MAX_KEY_LENGTH):
        raise UsageError("The key has a character that no key has; copy it again.")
    return key


def _entra_token(scope: str) -> str:
    from fleet.sign_in import entra_token

    return entra_token(scope)
