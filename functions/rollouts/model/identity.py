"""Who created or changed a rollout, as far as the app knows."""

from dataclasses import dataclass
from enum import StrEnum


class IdentityKind(StrEnum):
    """How well an identity is known."""

    PRINCIPAL = "principal"  # App Service authentication has signed the caller in
    API = "api"  # a caller with a function key; the name is what the caller said, or `api`
    ROLLOUT = "rollout"  # the app itself, such as for an automatic rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller, or the app itself."""

    kind: IdentityKind
    name: str  # for people; the audit trail shows it
    id: str | None = None  # the principal's object id; None: not known
    app_id: str | None = None  # the application that the principal used, or is; None: not known


API = Identity(kind=IdentityKind.API, name="api")
ITSELF = Identity(kind=IdentityKind.ROLLOUT, name="rollout")


def named(name: str) -> Identity:
    """Return the identity of a caller known by name alone, as rows of earlier releases have it."""
    return ITSELF if name == ITSELF.name else Identity(kind=IdentityKind.API, name=name)
