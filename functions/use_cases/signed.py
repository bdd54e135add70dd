"""What a firmware's manifest has to say to a rollout that is to begin."""

from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts import manifest
from functions.use_cases.new_rollout import NewRollout


def refuse_expired(request: NewRollout, now: datetime) -> None:
    """Raises InvalidError for a manifest that every device would refuse by the time it is asked."""
    signed = manifest.of(request.firmware)
    begins = max(now, request.start_at or now)
    if signed is None or signed.expires_at > begins:
        return
    when = f"{signed.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    field = FieldError(
        "/firmware/manifest",
        f"expires at {when}, before the rollout begins: sign it anew with a later expiresAt",
    )
    raise InvalidError("The firmware's manifest is no longer valid.", [field])
