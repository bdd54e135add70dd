"""Checks of a new rollout that need the time of day."""

from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model import manifest
from functions.rollouts.model.new_rollout import NewRollout


def refuse_expired_manifest(request: NewRollout, now: datetime) -> None:
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
