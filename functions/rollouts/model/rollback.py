"""Whether a rollout is being undone, and by which rollout."""

from dataclasses import dataclass

_SEPARATOR = "\n"  # no version contains it


@dataclass(frozen=True, slots=True)
class RollbackDue:
    """A rollback was decided and is not created yet."""

    rollback_id: str | None = None  # stored before it is created; None: not chosen yet


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The rollback exists."""

    rollback_id: str


def package_key(version: str, number: int) -> str:
    """Return a text that names one of a rollback's packages: its version, and which of these.

    It is the device's stratum, so that the waves are spread over the packages.
    """
    return f"{version}{_SEPARATOR}{number}" if number else version


def read_package_key(key: str) -> tuple[str, int]:
    """Return the version and the number that `package_key` was called with."""
    version, _, number = key.partition(_SEPARATOR)
    return version, int(number or 0)


type Rollback = RollbackDue | RolledBack
