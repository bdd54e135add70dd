"""Function keys: who may call what, when keys are enforced.

Source: Microsoft Learn, "Work with access keys in Azure Functions". System keys are not emulated.
"""

import hmac
import secrets
from collections.abc import Mapping

from simulator.host.bindings import AuthLevel

MASTER = "_master"
DEFAULT = "default"


def generate_keys() -> dict[str, str]:
    """A master key and one host key, random."""
    return {name: secrets.token_urlsafe(32) for name in (MASTER, DEFAULT)}


class KeyRing:
    """Checks the key a request brings. Without keys everything is allowed, like Core Tools."""

    def __init__(self, keys: Mapping[str, str] | None) -> None:
        """`keys` as in HostOptions; None switches the check off."""
        self._keys = keys

    def allows(self, level: AuthLevel, function: str, given: str | None) -> bool:
        """Whether `given` opens a function of this level; the name matters for its own keys."""
        if self._keys is None or level == "anonymous":
            return True
        if not given:
            return False
        accepted = [
            value for name, value in self._keys.items() if _opens(name, level, function.lower())
        ]
        # Every key is compared, so that the time taken tells nothing about them.
        matches = [hmac.compare_digest(given.encode(), value.encode()) for value in accepted]
        return any(matches)

    def allows_admin(self, given: str | None) -> bool:
        """Whether `given` is the master key, which the admin endpoints need."""
        return self.allows("admin", "", given)


def _opens(name: str, level: AuthLevel, function: str) -> bool:
    if name == MASTER:
        return True
    if level == "admin":
        return False
    owner, slash, _ = name.rpartition("/")
    return not slash or owner.lower() == function
