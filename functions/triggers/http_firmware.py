"""HTTP routes of the firmware catalogue."""

from http import HTTPStatus
from urllib.parse import quote

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers.address import base_url
from functions.triggers.caller import identify
from functions.triggers.entity_tags import IF_MATCH, etag_header, read_revisions
from functions.triggers.paging import PAGE, build_page, read_page
from functions.triggers.parameters import PathParameter
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.route import Route
from functions.use_cases import register_firmware
from functions.wire import catalogue
from functions.wire.catalogue import (
    FirmwareEntriesSchema,
    FirmwareEntryRequestSchema,
    FirmwareEntrySchema,
)

VERSION = PathParameter(
    "version", "A firmware version, percent-encoded once: a/b is a%2Fb in the path."
)


@Route(
    "PUT",
    "firmware/{version}",
    summary="Register a firmware, or replace what is registered under its version",
    response=FirmwareEntrySchema,
    body=FirmwareEntryRequestSchema,
    is_body_required=True,
    parameters=(VERSION, IF_MATCH),
    statuses=(200, 201),
    is_tagged=True,
    problems=(400, 409, 411, 412, 413, 415, 422, 503),
)
def set_firmware(request: HttpRequest) -> HttpResponse:
    version = _read_version(request)
    firmware, body = catalogue.parse(version, read_body(request))
    registered = register_firmware.register(
        wiring.services(),
        firmware,
        body.notes,
        identify(request, body.by),
        read_revisions(request),
    )
    entry, status, headers = registered.entry, HTTPStatus.OK, etag_header(registered.entry)
    if registered.is_new:
        location = f"{base_url(request)}/firmware/{quote(version, safe='')}"
        status, headers = HTTPStatus.CREATED, {**headers, "Location": location}
    return json_response(FirmwareEntrySchema.of_entry(entry), status, headers)


@Route(
    "GET",
    "firmware/{version}",
    summary="Return one firmware of the catalogue",
    response=FirmwareEntrySchema,
    parameters=(VERSION,),
    is_tagged=True,
    problems=(404, 503),
)
def get_firmware(request: HttpRequest) -> HttpResponse:
    entry = register_firmware.get_entry(wiring.services(), _read_version(request))
    return json_response(FirmwareEntrySchema.of_entry(entry), headers=etag_header(entry))


@Route(
    "GET",
    "firmware",
    summary="List the firmware of the catalogue, in the order of the versions as text",
    response=FirmwareEntriesSchema,
    parameters=PAGE,
    problems=(422, 503),
)
def list_firmware(request: HttpRequest) -> HttpResponse:
    services = wiring.services()
    page = read_page(
        lambda limit, cursor: register_firmware.list_entries(services, limit, cursor), request
    )
    items = map(FirmwareEntrySchema.of_entry, page.items)
    return json_response(build_page(FirmwareEntriesSchema, request, items, page.cursor))


def _read_version(request: HttpRequest) -> str:
    """Return the version; the host decodes all escapes but that of a slash."""
    return VERSION.read(request).replace("%2F", "/").replace("%2f", "/")
