"""Check a new rollout for what depends on the current time."""

from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model import manifest
from functions.rollouts.model.new_rollout import NewRollout


def refuse_expired_manifest(request: NewRollout, now: datetime) -> None:
    """Raise InvalidError if the manifest expires before the rollout begins.

    Every device would refuse such a manifest.
    """
    signed = manifest.get(request.firmware)
    begins_at = max(now, request.start_at or now)
    if signed is None or signed.expires_at > begins_at:
        return
    detail = (
        f"expires at {signed.expires_at_text}, before the rollout begins: sign it again with a"
        " later expiresAt"
    )
    field_error = FieldError("/firmware/manifest", detail)
    raise InvalidError("The firmware's manifest is no longer valid.", [field_error])
