"""The firmware in JSON."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from functions.rollouts.model.firmware import Firmware
from functions.wire.fields import AcceptsWholeFloat
from functions.wire.schema import RequestSchema
from functions.wire.texts import ShownPackageUri, SignedManifest, Version

EXAMPLE: dict[str, Any] = {
    "version": "2.4.0",
    "packageUri": "https://packages.example/fw-2.4.0.bin",
    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "sizeBytes": 1_048_576,
}


# More names than one version has in practice. A rollback's record keeps those of many versions.
MAX_REPORTED_AS = 10


def _check_different(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("must list each name once")
    return names


class FirmwareSchema(RequestSchema):
    """One version of the firmware and where its package is."""

    record_type = Firmware

    version: Version
    package_uri: ShownPackageUri = Field(
        description="In responses without user and fragment; *** stands for its query."
    )
    sha256: (
        Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)] | None
    ) = None
    size_bytes: Annotated[int, Field(ge=1, le=2**53), AcceptsWholeFloat] | None = None
    manifest: SignedManifest | None = None
    reported_as: Annotated[list[Version], AfterValidator(_check_different)] = Field(
        default=[],
        max_length=MAX_REPORTED_AS,
        description="Other names under which devices report this version.",
        json_schema_extra={"uniqueItems": True},
    )
