"""What a firmware's manifest has to say to a rollout, or a rollback, that is to begin."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from functions.errors import ConflictError, FieldError, InvalidError
from functions.rollouts import manifest
from functions.rollouts.rollout import Firmware, Rollout
from functions.use_cases.new_rollout import NewRollout

NAMED_AT_MOST = 5


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


def refused(known: Mapping[str, Firmware], undone: Rollout, now: datetime) -> Mapping[str, str]:
    """Of earlier firmware by version: what devices would not take back, and why."""
    found = {version: manifest.refusal(item, undone, now) for version, item in known.items()}
    return {version: why for version, why in sorted(found.items()) if why is not None}


def nothing_left(refused: Mapping[str, str]) -> ConflictError:
    """The refusal of a rollback for which only refused firmware is left."""
    return ConflictError(
        f"No device can be brought back, as each would refuse: {_listed(refused)}. A rollout of"
        " that version with a new manifest brings devices back, and makes rollbacks possible."
    )


def left_out(before: Mapping[str, str], refused: Mapping[str, str]) -> str:
    """A sentence on the devices that a rollback leaves as they are; `before` is by device."""
    count = Counter(before.values())
    devices = sum(count[version] for version in refused)
    if not devices:
        return ""
    return f" {devices} devices would refuse, and stay as they are: {_listed(refused)}."


def _listed(refused: Mapping[str, str]) -> str:
    several = [f"firmware {version}, for {why}" for version, why in refused.items()]
    more = f"; and {len(several) - NAMED_AT_MOST} more" if len(several) > NAMED_AT_MOST else ""
    return "; ".join(several[:NAMED_AT_MOST]) + more
