"""The firmware in JSON."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from functions.errors import FieldError, InvalidError
from functions.rollouts.model import manifest
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


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
SizeBytes = Annotated[int, Field(ge=1, le=2**53), AcceptsWholeFloat]
ReportedAs = Annotated[
    list[Version],
    AfterValidator(_check_different),
    Field(
        max_length=MAX_REPORTED_AS,
        description="Other names under which devices report this version.",
        json_schema_extra={"uniqueItems": True},
    ),
]


class FirmwareSchema(RequestSchema):
    """One version of the firmware and where its package is."""

    record_type = Firmware

    version: Version
    package_uri: ShownPackageUri = Field(
        description="In responses without user and fragment; *** stands for its query."
    )
    sha256: Sha256 | None = None
    size_bytes: SizeBytes | None = None
    manifest: SignedManifest | None = None
    reported_as: ReportedAs = Field(default=[])


def _describe_version_alone(schema: dict[str, Any]) -> None:
    del schema["properties"]["packageUri"]["default"]
    others = [name for name in schema["properties"] if name not in {"version", "packageUri"}]
    schema["dependentRequired"] = {name: ["packageUri"] for name in others}


class NewFirmwareSchema(FirmwareSchema):
    """The firmware of a new rollout: a version that the catalogue knows, or with its package."""

    request_name = "FirmwareRequest"
    model_config = ConfigDict(json_schema_extra=_describe_version_alone)

    package_uri: ShownPackageUri = Field(
        default="",
        description="Without it, the catalogue's firmware of the version; nothing else is given.",
    )


def add_manifest_values(given: Firmware, at: str) -> Firmware:
    """Add the values that only the firmware's manifest states. Raises InvalidError.

    `at` is the JSON Pointer of the firmware in the body.
    """
    try:
        return manifest.complete(given)
    except manifest.DifferingError as error:
        fields = [FieldError(f"{at}/{name}", why) for name, why in error.differences.items()]
        raise InvalidError("The firmware and its manifest differ.", fields) from None
