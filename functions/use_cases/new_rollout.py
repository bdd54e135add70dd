"""Check a new rollout for what depends on the current time."""

from datetime import datetime

from functions.errors import FieldError, InvalidError
from functions.rollouts.model import manifest, package_uri, texts
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.use_cases.catalogue import HOW_TO_REGISTER


def refuse_expired_firmware(request: NewRollout, now: datetime) -> None:
    """Raise InvalidError if the manifest or the link expires before the rollout begins.

    Every device would refuse such a manifest, and none could download from such a link.
    """
    begins_at = max(now, request.start_at or now)
    if not request.is_from_catalogue:
        refuse_expired_manifest_and_link(request.firmware, begins_at, "/firmware")
        return
    try:
        refuse_expired_manifest_and_link(request.firmware, begins_at)
    except InvalidError as error:
        what = ", ".join(f"its {field.pointer[1:]} {field.detail}" for field in error.fields)
        detail = f"{what}. Register it again {HOW_TO_REGISTER}."
        raise InvalidError(str(error), [FieldError("/firmware/version", detail)]) from None


def refuse_expired_manifest_and_link(firmware: Firmware, begins_at: datetime, at: str = "") -> None:
    """Raise InvalidError if devices could not use the firmware at a time.

    `at` is the JSON Pointer of the firmware.
    """
    refuse_expired_link(firmware.package_uri, begins_at, f"{at}/packageUri")
    signed = manifest.get(firmware)
    if signed is None or signed.expires_at > begins_at:
        return
    detail = (
        f"expires at {signed.expires_at_text}, before the rollout begins: sign it again with a"
        " later expiresAt"
    )
    field_error = FieldError(f"{at}/manifest", detail)
    raise InvalidError("The firmware's manifest is no longer valid.", [field_error])


def refuse_expired_link(uri: str, begins_at: datetime, pointer: str) -> None:
    """Raise InvalidError if a link expires before devices may download from it."""
    expires_at = package_uri.expires_at(uri)
    if expires_at is None or expires_at > begins_at:
        return
    detail = (
        f"expires at {texts.utc_time(expires_at)}, before devices can download from it: sign a new"
        " link with a later expiry"
    )
    raise InvalidError("The package URI is no longer valid.", [FieldError(pointer, detail)])
