"""Field types of bodies that are strings: URIs, device ids, names, time zones and free text."""

import re
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema

from functions.rollouts.model import manifest, package_uri
from functions.rollouts.model.texts import HIDDEN
from functions.wire.fields import described_as_text

# Formats that JSON Schema does not name.
TIMEZONE_FORMAT = "iana-time-zone"
MANIFEST_FORMAT = manifest.TYPE

# Microsoft Learn, "Understand the identity registry in your IoT hub": device identity properties.
_DEVICE_ID = r"^(?!\.{1,2}$)[A-Za-z0-9\-.+%_#*?!(),=@$':]{1,128}$"
_URI = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f\x7f\\/?#]+[^\s\x00-\x1f\x7f\\]*$"
_PRINTABLE = rf"^[^{HIDDEN}\ud800-\udfff]*$"
_TIMEZONE = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$"
# A path that needs no quoting in a hub query: section, then names.
_TWIN_PATH = r"^(tags|properties\.(reported|desired))(\.[A-Za-z_][A-Za-z0-9_]{0,63}){1,8}$"


_NOT_IN_URI = re.compile(rf"[\s{HIDDEN}\\\ud800-\udfff]")
# Python's parser accepts characters between the brackets of an IPv6 address and the port.
_AUTHORITY = re.compile(r"^[^:]+://([^/?#@]*@)?(\[[^\[\]]*\]|[^\[\]/?#@:]+)(:[0-9]*)?([/?#]|$)")


def _check_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _AUTHORITY.search(value) or _NOT_IN_URI.search(value):
        raise ValueError("must be an absolute http or https URI with a host")
    if package_uri.is_redacted(value):
        raise ValueError(
            "must be the complete URI: responses show *** instead of its query; send the original"
        )
    return value


def _check_manifest(value: str) -> str:
    manifest.read(value)
    return value


def _check_device_id(value: str) -> str:
    if not re.fullmatch(_DEVICE_ID, value):
        raise ValueError(
            "must be 1 to 128 ASCII letters, digits and - . + % _ # * ? ! ( ) , = @ $ ' :"
        )
    return value


def _check_printable(value: str) -> str:
    if not is_printable(value):
        raise ValueError("must not contain control characters or invisible characters")
    return value


def _check_not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not consist of spaces alone")
    return value


def _check_trimmed(value: str) -> str:
    if value != value.strip():
        raise ValueError("must not begin or end with a space")
    return value


def _check_condition(value: str) -> str:
    if re.match(r"\s*(select|from|where)\b", value, re.IGNORECASE):
        raise ValueError(
            "must be only the part after WHERE, such as tags.site = 'berlin', not a whole query"
        )
    return value


def _check_twin_path(value: str) -> str:
    if not re.fullmatch(_TWIN_PATH, value):
        raise ValueError(
            "must be a twin path of letters, digits and _, such as tags.model or"
            " properties.reported.site.id"
        )
    return value


@cache
def timezones() -> frozenset[str]:
    """Return the names of IANA time zones, without those whose meaning varies by machine."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def _check_timezone(value: str) -> str:
    if value not in timezones():
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


PackageUri = Annotated[
    str,
    Field(max_length=2048),
    AfterValidator(_check_uri),
    described_as_text(
        _URI, maxLength=2048, format="uri", examples=["https://packages.example/fw-2.4.0.bin"]
    ),
]
# Written without user, password and fragment; *** stands for the query, which may be a secret.
ShownPackageUri = Annotated[PackageUri, PlainSerializer(package_uri.redact, return_type=str)]
SignedManifest = Annotated[
    str,
    AfterValidator(_check_manifest),
    described_as_text(manifest.PATTERN, maxLength=manifest.MAX_CHARACTERS, format=MANIFEST_FORMAT),
]
DeviceId = Annotated[str, AfterValidator(_check_device_id), described_as_text(_DEVICE_ID)]
TwinPath = Annotated[
    str, AfterValidator(_check_twin_path), described_as_text(_TWIN_PATH, examples=["tags.model"])
]
Timezone = Annotated[
    str,
    AfterValidator(_check_timezone),
    described_as_text(_TIMEZONE, format=TIMEZONE_FORMAT, examples=["Europe/Berlin"]),
]
Link = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]


def text_schema(max_length: int) -> dict[str, Any]:
    """Return the JSON Schema of a text without invisible characters, and not of spaces alone."""
    pattern = rf"^[^{HIDDEN}]*[^\s{HIDDEN}][^{HIDDEN}]*$"
    return {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": max_length}


def _text(max_length: int) -> tuple[Any, ...]:
    limits = Field(min_length=1, max_length=max_length)
    described = WithJsonSchema(text_schema(max_length), mode="validation")
    return limits, AfterValidator(_check_printable), AfterValidator(_check_not_blank), described


# Texts without invisible characters and not of spaces alone, by their maximal length.
Text64 = Annotated[str, *_text(64)]
Text128 = Annotated[str, *_text(128)]
Text256 = Annotated[str, *_text(256)]
Text4000 = Annotated[str, *_text(4000)]
# A space at an end would make two versions of one.
Version = Annotated[
    str,
    *_text(64),
    AfterValidator(_check_trimmed),
    WithJsonSchema(
        {**text_schema(64), "pattern": rf"^[^\s{HIDDEN}]([^{HIDDEN}]*[^\s{HIDDEN}])?$"},
        mode="validation",
    ),
]
LabelValue = Annotated[
    str,
    Field(max_length=256),
    AfterValidator(_check_printable),
    described_as_text(rf"^[^{HIDDEN}]*$", maxLength=256),
]
Notes = Annotated[
    str,
    Field(max_length=2000),
    AfterValidator(_check_printable),
    described_as_text(rf"^[^{HIDDEN}]*$", maxLength=2000),
]
Condition = Annotated[Text4000, AfterValidator(_check_condition)]
# A name in a stored strategy. Requests are checked for invisible characters elsewhere.
StoredName64 = Annotated[
    str,
    Field(min_length=1, max_length=64),
    WithJsonSchema(text_schema(64), mode="validation"),
]


def is_printable(text: str) -> bool:
    """Return whether a text has no invisible character."""
    return re.fullmatch(_PRINTABLE, text) is not None
