"""Connections that are kept under a name, in `~/.config/fleet/profiles.json`.

The file holds keys, so only its owner may read it (mode 0600). A file that others can read is
refused, as ssh does with private keys.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fleet.exit_codes import UsageError

DEFAULT_PROFILE = "default"
_OWNER_ONLY = 0o600
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True)
class Profile:
    """A connection: how to reach the API and how to sign in."""

    api: str | None = None  # the URL, ending with /api
    key: str | None = field(default=None, repr=False)  # the function key
    scope: str | None = None  # of an Entra ID token, e.g. api://<app id>/.default


def profiles_path() -> Path:
    """Return where profiles are kept (XDG Base Directory)."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "fleet" / "profiles.json"


def read_profiles() -> Mapping[str, Profile]:
    """Read all profiles. Raises UsageError if others can read the file, or it is not valid."""
    path = profiles_path()
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    if os.name == "posix" and mode & _READABLE_BY_OTHERS:
        raise UsageError(f"{path} holds keys, and other users can read it: chmod 600 {path}")
    try:
        return {name: _check(Profile(**values)) for name, values in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        # The cause could show the file's text, which holds keys.
        raise UsageError(f"{path} is not valid; write its profiles again.") from None


def _check(profile: Profile) -> Profile:
    if all(isinstance(part, str | None) for part in vars(profile).values()):
        return profile
    raise TypeError("a part of a profile is no text")


def read_profile(name: str | None) -> Profile:
    """Read the named profile, or `default` if there is one. Raises UsageError."""
    profiles = read_profiles()
    if name is not None and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise UsageError(f"No profile is named {name!r}. Known: {known}.")
    return profiles.get(name or DEFAULT_PROFILE, Profile())


def save_profile(name: str, profile: Profile | None) -> None:
    """Keep a profile under this name; None removes it."""
    profiles = {kept: asdict(value) for kept, value in read_profiles().items()}
    profiles.pop(name, None)
    if profile is not None:
        profiles[name] = asdict(profile)
    path = profiles_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(profiles, file, indent=2)
    new.replace(path)
