"""A rollout that a caller requests, valid as far as the request alone shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import API, Identity
from functions.rollouts.model.strategy import ResolveTarget, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRollout:
    """A request for a rollout, with either `device_ids` or `condition`."""

    # Of all devices that `package_keys` does not name. One without a package URI is to be taken
    # from the catalogue.
    firmware: Firmware
    strategy: Strategy  # how the rollout is carried out
    body_hash: str  # SHA-256 of the request's JSON; tells a repeated request from another one
    device_ids: tuple[str, ...] = ()  # the target as a list; empty: `condition` is the target
    condition: str | None = None  # the WHERE part of an IoT Hub query; None: a list
    joiners: bool = False  # devices that come to meet the condition later join the rollout
    start_at: datetime | None = None  # None: as soon as the devices are stored
    labels: Mapping[str, str] = field(default_factory=dict)  # free text of the caller, by name
    plan_hash: str | None = None  # hash of the plan that the caller has seen; None: not checked
    created_by: Identity = API
    rollback_of: str | None = None  # the rollout that this one undoes; None: not a rollback
    # Of a rollback: which package each device goes back to (`rollback.package_key`), by device id.
    package_keys: Mapping[str, str] = field(default_factory=dict)
    earlier_firmware: tuple[Firmware, ...] = ()  # of a rollback: the packages besides `firmware`
    key_hash: str | None = None  # SHA-256 of the idempotency key, in hex; None: it has none
    is_from_catalogue: bool = False  # the request named the version alone
    remark: str = ""  # for the audit trail

    def is_resolved_later(self, now: datetime) -> bool:
        """Return whether the target's condition is evaluated at a start time that has not come."""
        has_come = self.start_at is None or self.start_at <= now
        at_start = self.strategy.resolve_target is ResolveTarget.START
        return at_start and self.condition is not None and not has_come
