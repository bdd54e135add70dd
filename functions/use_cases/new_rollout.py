"""What a caller asks for, valid as far as the request alone can tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model import manifest
from functions.rollouts.model.rollout import Firmware
from functions.rollouts.model.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRollout:
    """Either `device_ids` or `condition` is given.

    `body_hash` is of the request as it was sent, to tell a repeat from another request;
    `plan_hash` is of the plan that the caller has seen. `versions` is for rollbacks: the firmware
    of each device, of those in `earlier_firmware` or `firmware`; `remark` is for the audit trail.
    """

    firmware: Firmware
    strategy: Strategy
    body_hash: str
    device_ids: tuple[str, ...] = ()
    condition: str | None = None
    start_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    plan_hash: str | None = None
    created_by: str = "api"
    rollback_of: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    earlier_firmware: tuple[Firmware, ...] = ()
    remark: str = ""


def refuse_expired(request: NewRollout, now: datetime) -> None:
    """Raises InvalidError for a manifest that every device would refuse by the time it is asked."""
    signed = manifest.of(request.firmware)
    begins = max(now, request.start_at or now)
    if signed is None or signed.expires_at > begins:
        return
    detail = (
        f"expires at {signed.expires_at_text}, before the rollout begins: sign it anew with a later"
        " expiresAt"
    )
    field_error = FieldError("/firmware/manifest", detail)
    raise InvalidError("The firmware's manifest is no longer valid.", [field_error])
