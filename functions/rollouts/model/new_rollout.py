"""A rollout that a caller asks for, valid as far as the request alone can tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRollout:
    """Either `device_ids` or `condition` is given."""

    firmware: Firmware  # what most devices get
    strategy: Strategy
    body_hash: str  # SHA-256 of the request's JSON; tells a repeated request from another one
    device_ids: tuple[str, ...] = ()  # empty: the target is the condition's
    condition: str | None = None  # the WHERE part of an IoT Hub query; None: a list
    start_at: datetime | None = None  # None: as soon as the devices are stored
    labels: Mapping[str, str] = field(default_factory=dict)
    plan_hash: str | None = None  # of the plan that the caller has seen; None: not checked
    created_by: str = "api"
    rollback_of: str | None = None  # the rollout that this one undoes; None: not a rollback
    versions: Mapping[str, str] = field(default_factory=dict)  # of a rollback: by device id
    earlier_firmware: tuple[Firmware, ...] = ()  # of a rollback: what `versions` may name
    remark: str = ""  # for the audit trail
