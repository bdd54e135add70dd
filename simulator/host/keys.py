"""Check function keys, if keys are enforced.

Source: Microsoft Learn, "Work with access keys in Azure Functions". There are no system keys.
"""

import hmac
import secrets
from collections.abc import Mapping

from simulator.host.bindings import AuthLevel

MASTER = "_master"
DEFAULT = "default"


def generate_keys() -> dict[str, str]:
    """Return a random master key and a random host key."""
    return {name: secrets.token_urlsafe(32) for name in (MASTER, DEFAULT)}


class KeyRing:
    """Checks the key of a request. Without keys everything is allowed, as in Core Tools."""

    def __init__(self, keys: Mapping[str, str] | None) -> None:
        """Take keys as in HostOptions; None switches the check off."""
        self._keys = keys

    def allows(self, level: AuthLevel, function: str, given: str | None) -> bool:
        """Return whether the key `given` is valid for a function of this level."""
        if self._keys is None or level == "anonymous":
            return True
        if not given:
            return False
        accepted = [value for name, value in self._keys.items() if _is_for(name, function.lower())]
        # Compare every key, so that the time taken tells nothing about them.
        matches = [hmac.compare_digest(given.encode(), value.encode()) for value in accepted]
        return any(matches)


def _is_for(name: str, function: str) -> bool:
    """Return whether a key is a host key or the function's own; the master key is a host key."""
    owner, slash, _ = name.rpartition("/")
    return not slash or owner.lower() == function
