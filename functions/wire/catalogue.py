"""The body of `PUT /firmware/{version}`, and the firmware of the catalogue in responses."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.wire import firmware
from functions.wire.fields import Count, Time
from functions.wire.firmware import FirmwareSchema, ReportedAs, Sha256, SizeBytes
from functions.wire.firmware import add_manifest_values as complete
from functions.wire.parsing import parse_as
from functions.wire.rollout import IdentitySchema
from functions.wire.schema import PageSchema, Schema
from functions.wire.texts import Notes, PackageUri, SignedManifest, Text128, Version

_VERSION: TypeAdapter[str] = TypeAdapter(Version)
_EXAMPLES: Mapping[str, Any] = {
    "factory firmware": {
        "packageUri": "https://packages.example/fw-1.0.0.bin",
        "sha256": firmware.EXAMPLE["sha256"],
        "sizeBytes": 1_048_576,
        "reportedAs": ["1.0"],
        "notes": "From the factory, lots 1 to 40.",
    },
}


class FirmwareEntryRequestSchema(Schema):
    """A package and what is known of it."""

    request_name = "FirmwareEntryRequest"
    body_examples = _EXAMPLES

    version: Version | None = Field(default=None, description="If given, that of the path.")
    package_uri: PackageUri
    sha256: Sha256 | None = None
    size_bytes: SizeBytes | None = None
    manifest: SignedManifest | None = None
    reported_as: ReportedAs = Field(default=[])
    notes: Notes = Field(default="")
    by: Text128 | None = None


class FirmwareEntrySchema(Schema):
    """A firmware of the catalogue.

    `registered` is false where only rollouts named the version. Once it is `used`, its package is
    never replaced by another one. `createdAt` and `createdBy` are null for entries of earlier
    releases.
    """

    version: str
    package_uri: str
    sha256: str | None
    size_bytes: int | None
    manifest: str | None
    reported_as: list[str]
    notes: str
    registered: bool
    used: bool
    revision: Count
    created_at: Time | None
    created_by: IdentitySchema | None
    changed_at: Time | None
    changed_by: IdentitySchema | None

    @classmethod
    def of_entry(cls, entry: CatalogueEntry) -> Self:
        """Return an entry; the query of its package URI is not shown."""
        shown = FirmwareSchema.of(entry.firmware).to_json_value()
        return cls.of(
            entry,
            version=entry.firmware.version,
            package_uri=shown["packageUri"],
            sha256=entry.firmware.sha256,
            size_bytes=entry.firmware.size_bytes,
            manifest=entry.firmware.manifest,
            reported_as=list(entry.firmware.reported_as),
        )


class FirmwareEntriesSchema(PageSchema):
    """One page of the catalogue, in the order of the versions as text."""

    value: list[FirmwareEntrySchema]


def parse(version: str, body: bytes) -> tuple[Firmware, FirmwareEntryRequestSchema]:
    """Parse the body of a PUT to the version.

    Raises TooLargeError, MalformedError, InvalidError.
    """
    given = parse_as(FirmwareEntryRequestSchema, body)
    try:
        _VERSION.validate_python(version)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidError(f"The version in the path is invalid: {why}.") from None
    if given.version not in {None, version}:
        detail = f"must be that of the path, {version}, or be left out"
        raise InvalidError("1 field is invalid.", [FieldError("/version", detail)])
    record = Firmware(
        version=version,
        package_uri=given.package_uri,
        sha256=given.sha256,
        size_bytes=given.size_bytes,
        manifest=given.manifest,
        reported_as=tuple(given.reported_as),
    )
    return complete(record, ""), given
